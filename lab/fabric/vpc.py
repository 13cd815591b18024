"""The namespace of a VPC: its router, and the way to the internet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from lab.fabric.block import Block
from lab.fabric.layout import End, Namespace, PolicyRule, PublicAddress, Route, RouteKind, Wire
from lab.fabric.names import (
    ADDRESSES_TABLE,
    INTERNET,
    INTERNET_MTU,
    INTERNET_NAMESPACE,
    VPC,
    VPC_MTU,
    device_name,
    subnet_table,
)
from lab.fabric.vpc_table import packets
from lab.world import Eni, RouteTarget, Subnet, Vpc, World
from lab.world import Route as WorldRoute


def wires(world: World) -> frozenset[Wire]:
    """Every VPC to the internet, every ENI to its VPC."""
    return frozenset(
        [
            *(
                Wire(
                    one=End(namespace=INTERNET_NAMESPACE, device=device_name(vpc)),
                    other=End(namespace=vpc, device=INTERNET),
                    mtu=INTERNET_MTU,
                )
                for vpc in world.vpcs
            ),
            *(
                Wire(
                    one=End(namespace=eni.vpc_id, device=device_name(eni.id)),
                    other=End(namespace=eni.id, device=VPC),
                    mtu=VPC_MTU,
                )
                for eni in world.enis.values()
            ),
        ]
    )


def namespace(world: World, vpc: Vpc, blocks: Iterable[Block]) -> Namespace:
    """Everything in the namespace of one VPC."""
    enis = [eni for eni in world.enis.values() if eni.vpc_id == vpc.id]
    subnets = [subnet for subnet in world.subnets.values() if subnet.vpc_id == vpc.id]
    publics = frozenset(public_addresses(world, enis))
    shared = frozenset(shared_addresses(world, enis, publics))
    return Namespace(
        name=vpc.id,
        addresses=frozenset(subnet.gateway for subnet in subnets),
        routes=frozenset(
            [*address_routes(world, enis), *(r for s in subnets for r in subnet_routes(world, s))]
        ),
        rules=frozenset(
            [
                *(
                    PolicyRule(priority=1000, table=subnet_table(e.subnet_id), device=device_name(e.id))
                    for e in enis
                ),
                PolicyRule(priority=2000, table=ADDRESSES_TABLE),
            ]
        ),
        tables=(packets(vpc, publics, shared, blocks),),
        nat=publics,
    )


def address_routes(world: World, enis: Iterable[Eni]) -> list[Route]:
    """Where each private address is; `source` makes the subnet's gateway the sender of ICMP errors."""
    nowhere = Route(table=ADDRESSES_TABLE, destination=IPv4Network("0.0.0.0/0"), kind=RouteKind.BLACKHOLE)
    return [
        nowhere,
        *(
            Route(
                table=ADDRESSES_TABLE,
                destination=IPv4Network(address),
                device=device_name(eni.id),
                source=world.subnets[eni.subnet_id].gateway,
            )
            for eni in enis
            for address in eni.private_ips
        ),
    ]


def subnet_routes(world: World, subnet: Subnet) -> list[Route]:
    """The subnet's route table: the longest prefix wins, LOCAL goes on to the table of addresses."""
    return [subnet_route(world, subnet, route) for route in subnet.routes]


def subnet_route(world: World, subnet: Subnet, route: WorldRoute) -> Route:
    """One entry; one that leads to an ENI that is gone, or is elsewhere, is a blackhole."""
    table = subnet_table(subnet.id)
    device = None
    kind = RouteKind.THROW if route.target is RouteTarget.LOCAL else RouteKind.BLACKHOLE
    if route.target is RouteTarget.INTERNET or nat_address(world, route) is not None:
        device = INTERNET
    elif route.target is RouteTarget.ENI:
        eni = world.enis.get(route.target_id)
        device = device_name(eni.id) if eni is not None and eni.vpc_id == subnet.vpc_id else None
    if device is not None:
        kind = RouteKind.UNICAST
    return Route(table=table, destination=route.destination, kind=kind, device=device)


def nat_address(world: World, route: WorldRoute) -> IPv4Address | None:
    """The public address of the NAT gateway that a route leads to; None: it leads to none that works."""
    eni = world.enis.get(route.target_id) if route.target is RouteTarget.NAT else None
    if eni is None or not reaches_internet(world, eni):
        return None
    return eni.public_ips.get(eni.private_ips[0])


def reaches_internet(world: World, eni: Eni) -> bool:
    """Whether public addresses of an ENI are of use where it is."""
    return any(route.target is RouteTarget.INTERNET for route in world.subnets[eni.subnet_id].routes)


def shared_addresses(
    world: World, enis: Iterable[Eni], publics: Iterable[PublicAddress]
) -> Iterator[PublicAddress]:
    """Who goes out as the address of a NAT gateway: whatever has no way of its own to the internet."""
    own = {(public.device, public.private) for public in publics}
    for eni in enis:
        found = (nat_address(world, route) for route in world.subnets[eni.subnet_id].routes)
        public = next((address for address in found if address is not None), None)
        for private in eni.private_ips if public is not None else ():
            if (device_name(eni.id), private) not in own and public is not None:
                yield PublicAddress(device=device_name(eni.id), private=private, public=public)


def public_addresses(world: World, enis: Iterable[Eni]) -> list[PublicAddress]:
    """Every address that can be reached from the internet and reach it."""
    return [
        PublicAddress(device=device_name(eni.id), private=private, public=public)
        for eni in enis
        if reaches_internet(world, eni)
        for private, public in eni.public_ips.items()
    ]
