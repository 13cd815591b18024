"""World → Layout: the whole fabric as data, without touching a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from lab.fabric import eni, service_eni, vpc
from lab.fabric.block import Block
from lab.fabric.layout import Layout, Namespace, Route
from lab.fabric.names import INTERNET_NAMESPACE, OPERATOR_ADDRESS, device_name
from lab.world import World

MAIN_TABLE = 254


def layout(world: World, blocks: Iterable[Block] = ()) -> Layout:
    """What the kernel should hold for `world`, with the traffic of `blocks` dropped."""
    here = [block for block in blocks if block.concerns(world)]
    vpcs = [vpc.namespace(world, one, blocks_in(world, one.id, here)) for one in world.vpcs.values()]
    enis = [(service_eni if one.service else eni).namespace(world, one) for one in world.enis.values()]
    return Layout(
        namespaces={one.name: one for one in (internet(vpcs), *vpcs, *enis)}, wires=vpc.wires(world)
    )


def blocks_in(world: World, vpc_id: str, blocks: Iterable[Block]) -> list[Block]:
    """Blocks whose traffic passes this VPC's router."""
    return [block for block in blocks if block.eni is None or world.enis[block.eni].vpc_id == vpc_id]


def internet(vpcs: Iterable[Namespace]) -> Namespace:
    """The process's own namespace: a route per public address. Its hops count, as the internet's do."""
    return Namespace(
        name=INTERNET_NAMESPACE,
        addresses=frozenset({OPERATOR_ADDRESS}),
        routes=frozenset(
            Route(
                table=MAIN_TABLE,
                destination=IPv4Network(address.public),
                device=device_name(one.name),
                source=OPERATOR_ADDRESS,
            )
            for one in vpcs
            for address in one.nat
        ),
        keeps_ttl=False,
    )
