"""All rules about several values, and doubts about allowed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from components.plan import ApiScheme
from components.validation import (
    addresses,
    containers,
    instances,
    networks,
    operators,
    overlays,
    pair,
    places,
    stack,
    tenants,
)
from components.validation.draft import Draft
from components.validation.problem import HIDDEN, Problem

_RULES = (stack, operators, networks, pair, places, addresses, overlays, containers, tenants, instances)


def cross_problems(draft: Draft) -> Iterator[Problem]:
    """Every rule that a configuration breaks across its values, as far as these can be read."""
    yield from _discreet(_broken_rules, draft)


def doubts(draft: Draft) -> Iterator[Problem]:
    """Allowed, but hardly meant."""
    for key in sorted(draft.secret & draft.written.keys() - {"private_key"}):
        yield Problem(
            key=key,
            value=HIDDEN,
            rule="is stored as a secret, and yet stands in plain text in the stack's outputs and on hosts",
            way_out="store it without --secret: of the settings only private_key is one",
        )
    yield from _discreet(_public_ranges, draft)
    yield from _discreet(_plain_api, draft)


def _broken_rules(draft: Draft) -> Iterator[Problem]:
    for rules in _RULES:
        yield from rules.check(draft)


def _public_ranges(draft: Draft) -> Iterator[Problem]:
    for network in networks.every_network(draft):
        if network.value.is_global:
            yield network.problem(
                "is a public range: hosts there would hide whoever owns it on the internet",
                "choose a private range, unless it is really yours",
            )


def _plain_api(draft: Draft) -> Iterator[Problem]:
    scheme = draft.at("api.scheme", ApiScheme)
    if scheme and scheme.value is ApiScheme.HTTP and pair.proxies(draft) > 1:
        yield scheme.problem(
            "sends the proxies' requests, and the tokens of their role, in clear: AWS itself answers HTTPS",
            "leave it out, but in a lab",
        )


def _discreet(rules: Callable[[Draft], Iterator[Problem]], draft: Draft) -> Iterator[Problem]:
    """What rules say, without secret values: they are in it if it is not said where these are unknown."""
    harmless = set(rules(draft.without_secrets())) if draft.secret else set()
    for problem in rules(draft):
        if not draft.secret or problem in harmless:
            yield problem
        else:
            yield Problem(
                key=problem.key,
                value=HIDDEN if draft.hides(problem.key) else problem.value,
                rule="breaks a rule about several values; some of them are secret, so it cannot be told which",
                way_out="store them without --secret, and the rule is told: only private_key has to be a secret",
            )
