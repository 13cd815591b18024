"""Rules about overlays: room for every func host, and a range that nobody else uses, as that of containers."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from components.validation.addresses import tenant_eni_addresses
from components.validation.draft import At, Draft
from components.validation.networks import reached
from components.validation.problem import Problem
from components.validation.ranges import nested, sized

PODS = "func_hosts.pod_cidr"


def check(draft: Draft) -> Iterator[Problem]:
    """Overlays that would not work, each on its own and among each other."""
    for tenant in draft.each("tenants"):
        overlay = draft.at(f"{tenant}.overlay.cidr", IPv4Network)
        misplaced = list(_size(overlay)) if overlay else []
        if overlay and not misplaced:
            misplaced = list(_ends(draft, tenant, overlay.value))
            if not misplaced:
                misplaced = list(_hosts_fit(draft, tenant, overlay.value))
        yield from misplaced
    yield from _alone(draft)


def func_address(first: int, proxy: int, index: int) -> int:
    """A func host's address as a number: the index-th from `first` upward that is not the proxy's."""
    address = first + index
    return address + 1 if first <= proxy <= address else address


def _size(overlay: At[IPv4Network]) -> Iterator[Problem]:
    return sized(
        overlay,
        "a proxy and one func host",
        "choose one with room for growth, such as 10.0.0.0/24",
        "10.0.0.0/24 has room for 253 func hosts",
    )


def _ends(draft: Draft, tenant: str, overlay: IPv4Network) -> Iterator[Problem]:
    """The proxy's address and func-0's."""
    proxy = draft.at(f"{tenant}.overlay.proxy", IPv4Address)
    first = draft.at(f"{tenant}.overlay.first_func", IPv4Address)
    way_out = f"choose one from {overlay[1]} to {overlay[-2]}"
    for address in (proxy, first):
        if address and address.value not in overlay:
            yield address.problem(f"is outside {tenant}.overlay.cidr, which is {overlay}", way_out)
        elif address and address.value in (overlay[0], overlay[-1]):
            end = "network" if address.value == overlay[0] else "broadcast"
            yield address.problem(
                f"is the {end} address of {tenant}.overlay.cidr, which is {overlay}", way_out
            )
    if proxy and first and proxy.value == first.value:
        yield first.problem(
            f"is also {proxy.key}", "give func-0 its own address, such as the one after the proxy's"
        )


def _hosts_fit(draft: Draft, tenant: str, overlay: IPv4Network) -> Iterator[Problem]:
    count = draft.at("func_hosts.count", int)
    proxy = draft.at(f"{tenant}.overlay.proxy", IPv4Address)
    first = draft.at(f"{tenant}.overlay.first_func", IPv4Address)
    if not count or not proxy or not first:
        return
    end = int(overlay.broadcast_address)
    room = end - int(first.value) - (1 if first.value < proxy.value else 0)
    if func_address(int(first.value), int(proxy.value), count.value - 1) >= end:
        yield first.problem(
            f"leaves no room: func_hosts.count is {count.value}, and from here to the end of {overlay} "
            f"{room} fit, without the proxy",
            f"use a larger {tenant}.overlay.cidr or a lower first_func",
        )


def _alone(draft: Draft) -> Iterator[Problem]:
    """Overlays and ranges of containers overlap nothing that has addresses elsewhere; told once, at them."""
    platform = draft.at("platform.vpc_cidr", IPv4Network)
    own: dict[str, At[IPv4Network]] = {}
    others: dict[str, At[IPv4Network]] = {}
    pods = draft.at(PODS, IPv4Network)
    for tenant in draft.each("tenants"):
        for key in (f"{tenant}.overlay.cidr", f"{tenant}.container_cidr"):
            if network := draft.at(key, IPv4Network):
                own[key] = network
        others |= {network.key: network for network in _territory(draft, tenant)}
    for network in own.values():
        if platform and network.value.overlaps(platform.value):
            yield _clash(network, platform)
    if pods:
        own[PODS] = pods  # they may have addresses of the platform's
    for inner, outer in nested((*own.values(), *others.values())):
        if inner.key in own:
            yield _clash(inner, outer)
        elif outer.key in own:
            yield _clash(outer, inner)


def _territory(draft: Draft, tenant: str) -> Iterator[At[IPv4Network]]:
    vpc = draft.at(f"{tenant}.create.vpc_cidr", IPv4Network)
    if vpc:
        yield vpc
    networks = reached(draft, tenant)
    for index, (name, address) in enumerate(tenant_eni_addresses(draft, tenant)):
        if address.key:
            networks.append(At(name if index else address.key, IPv4Network(address.value)))
    if havip := draft.at(f"{tenant}.havip", IPv4Address):
        networks.append(At(havip.key, IPv4Network(havip.value)))
    for network in networks:
        if not vpc or not network.value.subnet_of(vpc.value):
            yield network


def _clash(network: At[IPv4Network], other: At[IPv4Network]) -> Problem:
    rule = f"overlaps {other.key}, which is {other.value}: a packet's way would not be clear"
    if network.key == PODS:
        return network.problem(rule, "give pods a range that no tenant uses, or leave it out and use bridges")
    whose = "these containers" if network.key.endswith(".container_cidr") else "this overlay"
    way_out = f"choose a range for {whose} alone, which neither the platform nor a tenant uses"
    return network.problem(rule, way_out)
