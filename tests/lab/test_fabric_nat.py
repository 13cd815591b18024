"""NAT gateways: a private subnet reaches the internet, and is not reached from there."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from lab.fabric import Fabric
from lab.world import Route, RouteTarget, World
from tests.lab.guests import Guest, fabric_of, line, serve, silent
from tests.lab.isolation import isolated
from tests.lab.test_fabric_internet import LOCAL_ONLY, OPERATOR, PUBLIC_A, operator_udp
from tests.lab.worlds import EVERYWHERE, change, with_eni, with_routes, with_vpc, without_eni

PUBLIC_NAT = "198.19.0.99"
BY_NAT = Route(destination=EVERYWHERE, target=RouteTarget.NAT, target_id="eni-nat")


def private_network() -> World:
    """eni-a in the public subnet, eni-b and eni-c in a private one, whose way out is the gateway eni-nat."""
    world = with_vpc(World(), "one")
    world = with_eni(world, "a", "one", "10.0.1.11", public=PUBLIC_A)
    world = with_eni(world, "nat", "one", "10.0.1.9", public=PUBLIC_NAT)
    world = change(world, "nat", instance_id=None, device_index=None, group_ids=(), source_dest_check=False)
    private = replace(
        world.subnets["subnet-one"],
        id="subnet-private",
        cidr=IPv4Network("10.0.2.0/24"),
        routes=(LOCAL_ONLY, BY_NAT),
    )
    world = replace(world, subnets=world.subnets | {private.id: private})
    for name, address in (("b", "10.0.2.11"), ("c", "10.0.2.12")):
        world = change(with_eni(world, name, "one", address), name, subnet_id=private.id)
    return world


def answers(peer: socket.socket, operator: socket.socket) -> tuple[str, int]:
    """Where a datagram to the operator came from, once the answer to it has arrived."""
    peer.sendto(b"ask", (OPERATOR, operator.getsockname()[1]))
    data, sender = operator.recvfrom(9)
    operator.sendto(b"answer", sender)
    assert (data, peer.recv(9)) == (b"ask", b"answer")
    return str(sender[0]), int(sender[1])


@isolated
def test_a_private_subnet_goes_out_as_its_gateway() -> None:
    world = private_network()
    fabric = fabric_of(world)
    serve(socket.create_server((OPERATOR, 80)))
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    assert line(b.connect(OPERATOR, 80)) == PUBLIC_NAT
    assert line(Guest(fabric, world, "eni-a").connect(OPERATOR, 80)) == PUBLIC_A
    operator = operator_udp(5353)
    first, second = answers(b.udp(5000), operator), answers(c.udp(5000), operator)
    assert (first[0], second[0]) == (PUBLIC_NAT, PUBLIC_NAT)
    assert first[1] != second[1]  # the same port of two guests


@isolated
def test_nobody_gets_in_by_the_gateway() -> None:
    world = private_network()
    fabric = fabric_of(world)
    at_b, operator, stranger = Guest(fabric, world, "eni-b").udp(7000), operator_udp(5353), operator_udp()
    _, port = answers(at_b, operator)
    for there in (7000, port):
        stranger.sendto(b"in", (PUBLIC_NAT, there))
    operator.sendto(b"known", (PUBLIC_NAT, port))  # comes after them, if they come
    assert at_b.recv(9) == b"known"
    assert silent(at_b)


@isolated
def test_a_public_address_is_of_no_use_in_a_private_subnet() -> None:
    world = change(private_network(), "b", public_ips={IPv4Address("10.0.2.11"): IPv4Address("198.19.0.12")})
    fabric = fabric_of(world)
    serve(socket.create_server((OPERATOR, 80)))
    assert line(Guest(fabric, world, "eni-b").connect(OPERATOR, 80)) == PUBLIC_NAT


@isolated
def test_private_hosts_meet_their_own_vpc_untranslated() -> None:
    world = private_network()
    fabric = fabric_of(world)
    Guest(fabric, world, "eni-a").serve(80)
    b = Guest(fabric, world, "eni-b")
    assert line(b.connect("10.0.1.11", 80)) == "10.0.2.11"
    assert line(b.connect(PUBLIC_A, 80)) == PUBLIC_NAT  # out and back


@isolated
def test_without_a_gateway_that_works_there_is_no_way_out() -> None:
    world = private_network()
    fabric = fabric_of(world)
    at_a, at_b = (Guest(fabric, world, f"eni-{name}").udp(5000) for name in "ab")
    operator = operator_udp(5353)
    answers(at_b, operator)
    for broken in (with_routes(world, "one", LOCAL_ONLY), without_eni(world, "nat")):
        fabric.apply(broken)
        at_b.sendto(b"ask", (OPERATOR, 5353))
        at_b.sendto(b"after", ("10.0.1.11", 5000))
        assert at_a.recv(9) == b"after"
        assert silent(operator)
        fabric.apply(world)
        answers(at_b, operator)


@isolated
def test_connections_survive_other_hosts_changes() -> None:
    world = private_network()
    fabric = Fabric()
    fabric.apply(without_eni(world, "c"))
    at_b, operator = Guest(fabric, world, "eni-b").udp(5000), operator_udp(5353)
    before = answers(at_b, operator)
    fabric.apply(world)
    assert answers(at_b, operator) == before
