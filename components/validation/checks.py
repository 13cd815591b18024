"""All rules about several values, and doubts about allowed ones."""

from __future__ import annotations

from collections.abc import Iterator

from components.validation import addresses, instances, networks, operators, overlays, stack, tenants
from components.validation.draft import Draft
from components.validation.problem import Problem


def cross_problems(draft: Draft) -> Iterator[Problem]:
    """Every rule that a configuration breaks across its values, as far as these can be read."""
    for rules in (stack, operators, networks, addresses, overlays, tenants, instances):
        yield from rules.check(draft)


def doubts(draft: Draft) -> Iterator[Problem]:
    """Allowed, but hardly meant."""
    for network in networks.every_network(draft):
        if network.value.is_global:
            yield network.problem(
                "is a public range: hosts there would hide whoever owns it on the internet",
                "choose a private range, unless it is really yours",
            )
