"""A tenant stays where it is: another pair or slot would cut every connection it has, without a word."""

from __future__ import annotations

from collections.abc import Iterator

from components.plan import Plan, TunnelKind
from components.previous import Place, Previous
from components.settings import Problem


def moved_tenants(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """Those that run and would be elsewhere than they are."""
    yield from _renumbered(plan, previous)
    yield from _moved(plan, previous)


def _renumbered(plan: Plan, previous: Previous) -> Iterator[Problem]:
    for position, tenant in enumerate(plan.tenants):
        was = previous.places.get(tenant.name)
        if was is not None and was.index != tenant.index:
            yield Problem(
                key=f"tenants[{position}].index",
                value=str(tenant.index),
                rule=f"{tenant.name} runs with index {was.index}, of which its key, devices and addresses are made: "
                "all its connections would be cut",
                way_out=f"leave it at {was.index}; or remove the tenant, run up, and add it again with {tenant.index}",
            )


def _moved(plan: Plan, previous: Previous) -> Iterator[Problem]:
    moves = []
    for tenant in plan.tenants:
        now = Place(index=tenant.index, pair=tenant.pair, slot=tenant.slot)
        was = previous.places.get(tenant.name, now)
        if was.index == now.index and was != now:
            moves.append(
                f"{tenant.name} (from pair {was.pair} slot {was.slot} to pair {now.pair} slot {now.slot})"
            )
    if moves:
        before = previous.tenants_per_pair or "what it was"
        # With IPIP there is one tenant per pair, so there is no other number to set.
        kept = f"set it to {before}" if plan.tunnel is not TunnelKind.IPIP else "leave the tunnel as it was"
        yield Problem(
            key="proxy.tenants_per_pair",
            value=str(plan.tenants_per_pair),
            rule=f"moves tenants to other places, which would cut their connections: {', '.join(moves)}",
            way_out=f"{kept}; or remove these tenants, run up, and add them again",
        )
