"""Rules about containers on func hosts: room for them, and a bridge of each tenant's own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from components.plan import bridge_name
from components.validation.draft import At, Draft
from components.validation.problem import Problem
from components.validation.ranges import WIDEST_ON_A_BRIDGE, sized


def check(draft: Draft) -> Iterator[Problem]:
    """Ranges of containers that would not work. That they overlap nothing is checked with the overlays."""
    bridges: dict[str, str] = {}
    for tenant in draft.each("tenants"):
        range_ = draft.at(f"{tenant}.container_cidr", IPv4Network)
        if range_:
            yield from _size(range_)
        if draft.has(f"{tenant}.container_cidr"):
            yield from _bridge(draft, tenant, bridges)


def _size(range_: At[IPv4Network]) -> Iterator[Problem]:
    return sized(
        range_,
        "a bridge and one container",
        "choose one with room for all containers of the tenant on a func host, such as 10.88.0.0/24",
        "10.88.0.0/24 has room for 253 containers on each func host",
        WIDEST_ON_A_BRIDGE,
    )


def _bridge(draft: Draft, tenant: str, bridges: dict[str, str]) -> Iterator[Problem]:
    """One is called by the tenant's name, another by a part of its own, which may be the same."""
    name = draft.at(f"{tenant}.name", str)
    if not name:
        return
    bridge = bridge_name(name.value)
    other = bridges.setdefault(bridge, tenant)
    if other != tenant and draft.anything_at(f"{other}.name").value != name.value:
        yield name.problem(
            f"makes the bridge {bridge} on func hosts, which {other} has already",
            "give one of the two another name",
        )
