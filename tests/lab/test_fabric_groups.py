"""Security groups: default deny, stateful per ENI, by protocol number, port, ICMP type, prefix and group."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from lab.fabric import Fabric
from lab.world import Rule, World
from tests.lab.guests import Guest, echo_request, fabric_of, receive, silent, wait_until
from tests.lab.isolation import isolated
from tests.lab.worlds import ALL, change, holding, with_eni, with_group, with_vpc

GRE, IPIP, VRRP = 47, 4, 112
ONE = IPv4Network("10.0.1.11/32")


def pair(ingress: tuple[Rule, ...], egress: tuple[Rule, ...] = (ALL,)) -> World:
    """eni-a, which nobody may call, and eni-b with the rules given."""
    world = with_vpc(World(), "v")
    world = with_group(world, "sg-caller", "v", ingress=(), egress=(ALL,))
    world = with_group(world, "sg-called", "v", ingress=ingress, egress=egress)
    world = with_eni(world, "a", "v", "10.0.1.11", groups="sg-caller")
    return with_eni(world, "b", "v", "10.0.1.12", groups="sg-called")


def denied(fabric: Fabric, eni: str = "eni-b") -> int:
    """Packets that no ingress rule let in."""
    return fabric.counters(eni).ingress_denied


@isolated
def test_a_port_is_open_for_who_is_allowed_and_answers_need_no_rule() -> None:
    world = pair((Rule(protocol=17, from_port=7000, to_port=7009, cidr=ONE),))
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    inside, outside, caller = b.udp(7009), b.udp(7010), a.udp(5000)
    caller.sendto(b"in", ("10.0.1.12", 7009))
    data, peer = inside.recvfrom(99)
    inside.sendto(b"back", peer)
    assert (data, caller.recv(99)) == (b"in", b"back")  # sg-caller has no ingress rule
    caller.sendto(b"out of range", ("10.0.1.12", 7010))
    wait_until("the denied packet is counted", lambda: denied(fabric) == 1)
    assert silent(outside)


@isolated
def test_nothing_gets_in_without_a_rule_and_nothing_out() -> None:
    world = pair(ingress=(), egress=())
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    a.udp(5000).sendto(b"in", ("10.0.1.12", 7000))
    wait_until("ingress is denied", lambda: denied(fabric) == 1)
    b.udp(5000).sendto(b"out", ("10.0.1.11", 7000))
    wait_until("egress is denied", lambda: fabric.counters("eni-b").egress_denied == 1)
    assert denied(fabric, "eni-a") == 0


@pytest.mark.parametrize("protocol", [GRE, IPIP, VRRP])
@isolated
def test_protocols_are_told_apart_by_number(protocol: int) -> None:
    world = pair((Rule(protocol=protocol, cidr=ONE),))
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    heard = {number: b.open_socket(socket.SOCK_RAW, number) for number in (GRE, IPIP, VRRP)}
    for count, number in enumerate(sorted({GRE, IPIP, VRRP} - {protocol}), start=1):
        a.open_socket(socket.SOCK_RAW, number).sendto(b"not for you", ("10.0.1.12", 0))
        wait_until("the wrong protocol is denied", lambda count=count: denied(fabric) == count)  # type: ignore[misc]
    a.open_socket(socket.SOCK_RAW, protocol).sendto(b"\0\0\x08\0 payload", ("10.0.1.12", 0))
    assert receive(heard[protocol]).source == "10.0.1.11"
    assert all(silent(heard[number]) for number in heard if number != protocol)


@isolated
def test_icmp_is_limited_by_type_and_code() -> None:
    world = pair((Rule(protocol=1, from_port=8, to_port=-1, cidr=ONE),))
    fabric = fabric_of(world)
    a = Guest(fabric, world, "eni-a")
    Guest(fabric, world, "eni-b")
    pinger = a.open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    pinger.sendto(echo_request(), ("10.0.1.12", 0))
    assert receive(pinger).payload[0] == 0  # echo reply
    world = with_group(world, "sg-called", "v", (Rule(protocol=1, from_port=3, to_port=4, cidr=ONE),), (ALL,))
    fabric.apply(world)
    pinger.sendto(echo_request(identifier=8), ("10.0.1.12", 0))
    wait_until("an echo request is denied", lambda: denied(fabric) == 1)


@isolated
def test_a_rule_for_a_group_follows_its_members() -> None:
    world = pair((Rule(protocol=17, from_port=7000, to_port=7000, group_id="sg-friends"),))
    world = with_group(world, "sg-friends", "v", egress=(ALL,))
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    server, caller = b.udp(7000), a.udp(5000)
    caller.sendto(b"stranger", ("10.0.1.12", 7000))
    wait_until("a stranger is denied", lambda: denied(fabric) == 1)
    world = change(world, "a", group_ids=("sg-caller", "sg-friends"))
    fabric.apply(world)
    caller.sendto(b"friend", ("10.0.1.12", 7000))
    assert server.recv(99) == b"friend"
    world = holding(world, "a", "10.0.1.11", "10.0.1.99")
    fabric.apply(world)
    a.take("10.0.1.99")
    a.open_socket(socket.SOCK_DGRAM, source="10.0.1.99").sendto(b"friend's new address", ("10.0.1.12", 7000))
    assert server.recv(99) == b"friend's new address"


@isolated
def test_open_connections_outlive_their_rule_and_new_ones_do_not_start() -> None:
    rule = Rule(protocol=6, from_port=7007, to_port=7007, cidr=ONE)
    world = pair((rule,))
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    b.serve(7007)
    connection = a.connect("10.0.1.12", 7007)
    assert connection.recv(99) == b"10.0.1.11\n"
    fabric.apply(with_group(world, "sg-called", "v", (), (ALL,)))
    connection.sendall(b"still here")
    assert connection.recv(99) == b"still here"
    late = a.open_socket(socket.SOCK_STREAM)
    late.setblocking(False)
    late.connect_ex(("10.0.1.12", 7007))
    wait_until("a new connection is denied", lambda: denied(fabric) >= 1)


@isolated
def test_a_flow_that_moves_to_another_eni_is_unknown_there() -> None:
    world = with_vpc(World(), "v")
    world = with_group(world, "sg-caller", "v", egress=(ALL,))
    world = with_eni(world, "a", "v", "10.0.1.11", "10.0.1.100", groups="sg-caller")
    world = with_eni(world, "b", "v", "10.0.1.12", groups="sg-caller")
    world = with_eni(world, "s", "v", "10.0.1.50")
    fabric = fabric_of(world)
    a, server = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-s").udp(7000)
    a.take("10.0.1.100")
    caller = a.open_socket(socket.SOCK_DGRAM, source="10.0.1.100")
    caller.sendto(b"call", ("10.0.1.50", 7000))
    _, peer = server.recvfrom(99)
    server.sendto(b"tracked", peer)
    assert caller.recv(99) == b"tracked"
    fabric.apply(holding(holding(world, "a", "10.0.1.11"), "b", "10.0.1.12", "10.0.1.100"))
    server.sendto(b"untracked", peer)
    wait_until("the moved flow is denied at its new ENI", lambda: denied(fabric) == 1)
    assert denied(fabric, "eni-a") == 0


@isolated
def test_an_eni_has_the_union_of_its_groups() -> None:
    world = pair((Rule(protocol=17, from_port=1, to_port=1, cidr=ONE),))
    world = with_group(world, "sg-more", "v", (Rule(protocol=17, from_port=2, to_port=2, cidr=ONE),))
    world = change(world, "b", group_ids=("sg-called", "sg-more"))
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    for port in (1, 2):
        server = b.udp(port)
        a.udp(5000 + port).sendto(b"x", ("10.0.1.12", port))
        assert server.recv(9) == b"x"
    fabric.apply(
        replace(world, security_groups={k: v for k, v in world.security_groups.items() if k != "sg-more"})
    )
    a.udp(6000).sendto(b"x", ("10.0.1.12", 2))
    wait_until("what only the lost group allowed is denied", lambda: denied(fabric) == 1)
