"""What becomes of open connections when the kind of tunnel changes: said in the preview."""

from __future__ import annotations

import pulumi

from components.plan import Plan, TunnelKind
from components.previous import Previous

PAUSE_S = 30  # with a few func hosts; 10 were measured with three emulated ones
UNNOTICED_S = 2  # the longest that a connection may wait where it "goes on"
GOES_ON = (
    "open connections go on: every host takes in both kinds, and changes what it sends, one host after the other. "
    "Packets that are too large for a tunnel that takes less now are sent again"
)
PAUSES = (
    "open connections of a tenant pause from the time its first proxy, changed, takes over until their func host is "
    f"changed, later in the same update: at most {PAUSE_S} s with a few func hosts, and with many as long as "
    "configuring them all takes. They go on then; what gives up sooner is lost, and new ones fail until then"
)


def pauses(previous: Previous, now: TunnelKind) -> bool:
    """Whether an end does not take in what the other sends until both have changed."""
    before = previous.tunnel
    return before not in (None, now) and (TunnelKind.IPIP in (before, now) or not previous.hears_both)


def announce_tunnel_change(plan: Plan, previous: Previous) -> None:
    """A warning ahead of everything else, in a run that changes the kind of tunnel of a stack that is there."""
    if previous.tunnel in (None, plan.tunnel):
        return
    consequence = PAUSES if pauses(previous, plan.tunnel) else GOES_ON
    pulumi.log.warn(f"tunnel: {previous.tunnel} → {plan.tunnel}: {consequence}")
