"""Another user or key of the operator's, of which hosts that run know nothing: said in the preview."""

from __future__ import annotations

from collections.abc import Iterator

import pulumi

from components.plan import Plan
from components.previous import Previous

_FIRST = (
    "no update changes who may log in to a host that runs. {} on every such host first, or it refuses this update: "
    "docs/operator-access.md"
)
USER = "access.user: {} → {}: " + _FIRST.format("Have that user there, with sudo and the key,")
KEY = "access.public_key is another one: " + _FIRST.format("Add it to ~/.ssh/authorized_keys")


def announce_access_change(plan: Plan, previous: Previous) -> None:
    """Warnings ahead of everything else. Which hosts are made anew, and so know, the rest of the preview says."""
    for notice in _notices(plan, previous):
        pulumi.log.warn(notice)


def _notices(plan: Plan, previous: Previous) -> Iterator[str]:
    user, key = plan.access.user, plan.access.public_key
    if previous.user not in (None, user):
        yield USER.format(previous.user, user)
    if previous.public_key is not None and _without_comment(previous.public_key) != _without_comment(key):
        yield KEY


def _without_comment(key: str) -> list[str]:
    return key.split()[:2]
