"""World → Layout, as data."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from lab.fabric import Block
from lab.fabric.layout import RouteKind
from lab.fabric.names import ADDRESSES_TABLE, OPERATOR_ADDRESS, device_name, subnet_table
from lab.fabric.plan import layout
from lab.world import World
from tests.lab.worlds import change, holding, with_eni, with_vpc, without_eni


def world() -> World:
    """Two ENIs, one of them public."""
    made = with_eni(with_vpc(World(), "v"), "a", "v", "10.0.1.11", "10.0.1.100", public="198.19.0.1")
    return with_eni(made, "b", "v", "10.0.1.12")


def test_an_empty_world_is_an_empty_internet() -> None:
    empty = layout(World())
    assert list(empty.namespaces) == [""]
    assert empty.namespaces[""].addresses == {OPERATOR_ADDRESS}
    assert not empty.namespaces[""].routes
    assert not empty.wires


def test_a_namespace_per_vpc_and_eni_joined_by_wires() -> None:
    made = layout(world())
    assert set(made.namespaces) == {"", "vpc-v", "eni-a", "eni-b"}
    joined = {(wire.one.namespace, wire.other.namespace, wire.mtu) for wire in made.wires}
    assert joined == {("", "vpc-v", 1500), ("vpc-v", "eni-a", 9001), ("vpc-v", "eni-b", 9001)}


def test_every_private_address_has_one_route_from_its_gateway() -> None:
    routes = {
        r.destination: r for r in layout(world()).namespaces["vpc-v"].routes if r.table == ADDRESSES_TABLE
    }
    nowhere = routes.pop(IPv4Network("0.0.0.0/0"))
    assert nowhere.kind is RouteKind.BLACKHOLE
    assert {str(net.network_address): r.device for net, r in routes.items()} == {
        "10.0.1.11": "eni-a",
        "10.0.1.100": "eni-a",
        "10.0.1.12": "eni-b",
    }
    assert {r.source for r in routes.values()} == {IPv4Address("10.0.1.1")}


def test_a_moved_address_changes_nothing_but_its_place() -> None:
    before, after = (
        layout(world()),
        layout(holding(holding(world(), "a", "10.0.1.11"), "b", "10.0.1.12", "10.0.1.100")),
    )
    assert before.wires == after.wires
    changed = before.namespaces["vpc-v"].routes ^ after.namespaces["vpc-v"].routes
    assert {str(route.destination) for route in changed} == {"10.0.1.100/32"}
    assert before.namespaces["vpc-v"].tables == after.namespaces["vpc-v"].tables


def test_a_device_is_named_by_the_end_of_the_id() -> None:
    assert device_name("eni-0123456789abcdef0") == "23456789abcdef0"
    assert len(device_name("vpc-0123456789abcdef0")) == 15


def test_a_subnet_s_table_depends_on_nothing_but_its_id() -> None:
    tables = {subnet_table(f"subnet-{number}") for number in range(1000)}
    assert len(tables) == 1000
    assert all(1000 < table < 2**31 for table in tables)


def test_a_group_that_is_gone_is_no_obstacle() -> None:
    bare = replace(world(), security_groups={})
    packets = layout(bare).namespaces["eni-a"].tables[0]
    assert packets.chains["ingress"].rules == ()


def test_without_its_check_an_eni_may_forward() -> None:
    table = layout(change(world(), "a", source_dest_check=False)).namespaces["eni-a"].tables[0]
    assert not any("@own" in rule for chain in table.chains.values() for rule in chain.rules)
    checked = layout(world()).namespaces["eni-a"].tables[0]
    assert sum("@own" in rule for chain in checked.chains.values() for rule in chain.rules) == 2


def test_blocks_are_in_the_router_of_their_eni_as_long_as_it_exists() -> None:
    two = with_eni(with_vpc(world(), "w"), "c", "w", "10.0.1.11")
    block = Block(eni="eni-a", peer="eni-b", protocol=17, port=3780)
    rules = layout(two, [block]).namespaces["vpc-v"].tables[0].chains["blocks"].rules
    assert rules == (
        'iifname "eni-a" oifname "eni-b" ip protocol 17 th dport 3780 counter name blocked drop',
        'iifname "eni-b" oifname "eni-a" ip protocol 17 th sport 3780 counter name blocked drop',
    )
    assert layout(two, [block]).namespaces["vpc-w"].tables[0].chains["blocks"].rules == ()
    gone = layout(without_eni(two, "b"), [block])
    assert gone.namespaces["vpc-v"].tables[0].chains["blocks"].rules == ()
