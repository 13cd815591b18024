"""Rules about networks: their size, their place, and that a host can tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from components.validation.draft import At, Draft
from components.validation.problem import Problem
from components.validation.quota import destinations_fit
from components.validation.ranges import LARGEST, SMALLEST, WIDEST, nested, unusable

SUBNETS = ("func_subnet", "proxy_subnet", "access_subnet")


def check(draft: Draft) -> Iterator[Problem]:
    """Networks that AWS refuses, or that cannot be told apart on a func host."""
    yield from _vpc(draft, "platform.vpc_cidr", [f"platform.{subnet}" for subnet in SUBNETS])
    for tenant in draft.each("tenants"):
        yield from _vpc(draft, f"{tenant}.create.vpc_cidr", [f"{tenant}.create.subnet_cidr"])
        yield from _destinations(draft, tenant)
        yield from destinations_fit(draft, tenant)
        yield from _inside_created(draft, tenant)
    for network in every_network(draft):
        if network.value.prefixlen >= WIDEST and (special := unusable(network.value)):
            yield network.problem(
                f"overlaps {special}", "choose a private range, such as one in 10.0.0.0/8 or 172.16.0.0/12"
            )
    yield from _disjoint(draft)


def every_network(draft: Draft) -> Iterator[At[IPv4Network]]:
    """All networks that hosts have addresses in, or reach."""
    yield from _readable(draft, "platform.vpc_cidr", *(f"platform.{subnet}" for subnet in SUBNETS))
    yield from _readable(draft, "func_hosts.pod_cidr")
    for tenant in draft.each("tenants"):
        created = (f"{tenant}.create.vpc_cidr", f"{tenant}.create.subnet_cidr")
        yield from _readable(draft, *created, f"{tenant}.overlay.cidr", f"{tenant}.container_cidr")
        yield from draft.all_at(f"{tenant}.cidrs", IPv4Network)


def reached(draft: Draft, tenant: str) -> list[At[IPv4Network]]:
    """What a func host or the proxy's namespace has a route to: the destinations, and the user subnet."""
    destinations = list(draft.all_at(f"{tenant}.cidrs", IPv4Network))
    subnet = draft.at(f"{tenant}.create.subnet_cidr", IPv4Network)
    if subnet and not any(subnet.value.subnet_of(each.value) for each in destinations):
        return [subnet, *destinations]
    return destinations


def _readable(draft: Draft, *keys: str) -> Iterator[At[IPv4Network]]:
    for key in keys:
        if network := draft.at(key, IPv4Network):
            yield network


def _vpc(draft: Draft, vpc_key: str, subnet_keys: list[str]) -> Iterator[Problem]:
    vpc = draft.at(vpc_key, IPv4Network)
    subnets = list(_readable(draft, *subnet_keys))
    for network in (vpc, *subnets):
        if network:
            yield from _size(network)
    for subnet in subnets:
        if vpc and not subnet.value.subnet_of(vpc.value):
            yield subnet.problem(
                f"is outside {vpc_key}, which is {vpc.value}",
                f"choose a part of {vpc.value}, or another VPC range",
            )
    for inner, outer in nested(subnets):
        yield inner.problem(
            f"overlaps {outer.key}, which is {outer.value}", "give each subnet a range of its own"
        )


def _size(network: At[IPv4Network]) -> Iterator[Problem]:
    length = network.value.prefixlen
    rule = f"AWS takes networks from /{LARGEST} to /{SMALLEST}, for a VPC as for a subnet"
    if length < LARGEST:
        yield network.problem(
            f"is too large: {rule}", f"use a part of it, such as {network.value.network_address}/16"
        )
    if length > SMALLEST:
        larger = network.value.supernet(new_prefix=SMALLEST)
        yield network.problem(f"is too small: {rule}", f"the smallest around it is {larger}")


def _destinations(draft: Draft, tenant: str) -> Iterator[Problem]:
    key = f"{tenant}.cidrs"
    yield from draft.empty(
        key,
        "a tenant without destinations is of no use",
        "list what func hosts shall reach, such as [172.16.101.0/24]",
    )
    destinations = list(draft.all_at(key, IPv4Network))
    for destination in destinations:
        if destination.value.prefixlen < WIDEST:
            yield destination.problem(
                f"is too wide: a prefix shorter than /{WIDEST} takes traffic that is not the tenant's",
                "list the networks that functions need",
            )
    for inner, outer in nested(destinations):
        yield inner.problem(f"is a part of {outer.key}, which is {outer.value}", "leave one of the two out")


def _inside_created(draft: Draft, tenant: str) -> Iterator[Problem]:
    vpc = draft.at(f"{tenant}.create.vpc_cidr", IPv4Network)
    for destination in draft.all_at(f"{tenant}.cidrs", IPv4Network):
        if vpc and not destination.value.subnet_of(vpc.value):
            yield destination.problem(
                f"is outside {vpc.key}, which is {vpc.value}: nothing there can be reached",
                f"choose {vpc.value} or a part of it",
            )


def _disjoint(draft: Draft) -> Iterator[Problem]:
    """What tenants reach does not overlap the platform; told once, at the tenant. Tenants may overlap each other."""
    platform = draft.at("platform.vpc_cidr", IPv4Network)
    for network in (network for tenant in draft.each("tenants") for network in reached(draft, tenant)):
        if platform and network.value.overlaps(platform.value):
            yield network.problem(
                f"overlaps {platform.key}, which is {platform.value}: "
                "a func host would lose its way to the proxy",
                "move the platform to a range that no tenant uses, or list less of the tenant's network",
            )
