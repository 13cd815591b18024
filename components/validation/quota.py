"""How many networks a security group has room for: each is a rule of its own."""

from __future__ import annotations

from collections.abc import Iterator

from components.validation.draft import Draft
from components.validation.problem import Problem

RULES = 60  # of a group, per direction: AWS's default quota
OWN_RULES = 10  # of Causeway's own at most, in the groups that the operator's networks are in


def operators_fit(draft: Draft) -> Iterator[Problem]:
    """The operator's networks share their groups with tunnels and services."""
    yield from _at_most(
        draft, "access.operator_cidrs", RULES - OWN_RULES, f", and {OWN_RULES} of them are Causeway's own"
    )


def destinations_fit(draft: Draft, tenant: str) -> Iterator[Problem]:
    """A tenant's networks have the user ENI's group to themselves."""
    yield from _at_most(draft, f"{tenant}.cidrs", RULES, "")


def _at_most(draft: Draft, key: str, most: int, of_which: str) -> Iterator[Problem]:
    count = len(draft.each(key))
    if count > most:
        yield Problem(
            key=key,
            value=f"{count} networks",
            rule=f"are too many, at most {most} fit: each is a rule of a security group, which takes {RULES} by "
            f"AWS's default quota{of_which}",
            way_out="write neighbouring networks as one, and leave out those that nobody needs",
        )
