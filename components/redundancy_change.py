"""What becomes of open connections when a single proxy becomes a pair, or the reverse: said in the preview."""

from __future__ import annotations

import pulumi

from components.plan import Plan, Redundancy
from components.previous import Previous

_PAUSE = "open connections pause for some seconds, in which both ends of their tunnels change their address"
TO_PAIR = (
    f"redundancy: single → pair: {_PAUSE}. They keep the single proxy's own source address, which does not move: so "
    "a failover or switch of the pair may cut them. Connections begun after this update live through that too"
)
TO_SINGLE = (
    "redundancy: pair → single: the proxy that goes has the other one take over first, if it is active; then "
    f"{_PAUSE}. They keep the pair's source address, which the proxy that stays has until its next boot"
)


def announce_change(plan: Plan, previous: Previous) -> None:
    """A warning ahead of everything else, in a run that changes the redundancy of a stack that is there."""
    notices = {
        (Redundancy.SINGLE, Redundancy.PAIR): TO_PAIR,
        (Redundancy.PAIR, Redundancy.SINGLE): TO_SINGLE,
    }
    before = previous.redundancy
    if plan.redundancy is Redundancy.SINGLE and any(p.second in previous.proxies for p in plan.proxies):
        before = Redundancy.PAIR  # or a single proxy that was about to become one, in an update that failed
    if before is not None and (before, plan.redundancy) in notices:
        pulumi.log.warn(notices[before, plan.redundancy])
