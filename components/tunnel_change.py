"""What becomes of open connections when the kind of tunnel changes: said in the preview."""

from __future__ import annotations

import pulumi

from components.plan import Plan, TunnelKind
from components.previous import Previous

GOES_ON = (
    "open connections go on: every host takes in both kinds, and changes what it sends, one host after the other. "
    "Packets that are too large for a tunnel that takes less now are sent again"
)
PAUSES = (
    "open connections of a tenant pause from the time its active proxy is changed until their func host is, later in "
    "the same update: some seconds, and as long as configuring all func hosts takes. They go on then; what gives up "
    "sooner is lost, and new ones fail until then"
)


def announce_tunnel_change(plan: Plan, previous: Previous) -> None:
    """A warning ahead of everything else, in a run that changes the kind of tunnel of a stack that is there."""
    if previous.tunnel in (None, plan.tunnel):
        return
    consequence = PAUSES if TunnelKind.IPIP in (previous.tunnel, plan.tunnel) else GOES_ON
    pulumi.log.warn(f"tunnel: {previous.tunnel} → {plan.tunnel}: {consequence}")
