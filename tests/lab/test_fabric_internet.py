"""Public addresses: 1:1 NAT where the route table leads to the internet, and path MTU discovery."""

from __future__ import annotations

import socket
import struct
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab.world import Route, RouteTarget, World
from tests.lab.guests import Guest, fabric_of, line, receive, serve, silent, wait_until
from tests.lab.isolation import isolated
from tests.lab.worlds import change, with_eni, with_routes, with_vpc

OPERATOR = "198.18.0.1"
PUBLIC_A, PUBLIC_B = "198.19.0.11", "198.19.0.12"
LOCAL_ONLY = Route(destination=IPv4Network("10.0.0.0/16"), target=RouteTarget.LOCAL)


def two_vpcs() -> World:
    """eni-a and eni-b in VPCs with the same addresses, both public; eni-c without a public address."""
    world = with_vpc(with_vpc(World(), "one"), "two")
    world = with_eni(world, "a", "one", "10.0.1.11", public=PUBLIC_A)
    world = with_eni(world, "b", "two", "10.0.1.11", public=PUBLIC_B)
    return with_eni(world, "c", "two", "10.0.1.12")


def operator_udp(port: int = 0) -> socket.socket:
    """A socket of the operator."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((OPERATOR, port))
    made.settimeout(5)
    return made


@isolated
def test_the_operator_reaches_a_guest_by_its_public_address() -> None:
    world = two_vpcs()
    fabric = fabric_of(world)
    Guest(fabric, world, "eni-a").serve(22)
    Guest(fabric, world, "eni-b").serve(22)
    for public in (PUBLIC_A, PUBLIC_B):
        connection = socket.create_connection((public, 22), timeout=5)
        assert line(connection) == OPERATOR
        connection.sendall(b"back")
        assert connection.recv(9) == b"back"


@isolated
def test_a_guest_with_a_public_address_reaches_the_internet_as_that() -> None:
    world = two_vpcs()
    fabric = fabric_of(world)
    serve(socket.create_server((OPERATOR, 80)))
    assert line(Guest(fabric, world, "eni-a").connect(OPERATOR, 80)) == PUBLIC_A
    assert line(Guest(fabric, world, "eni-b").connect(OPERATOR, 80)) == PUBLIC_B


@isolated
def test_guests_of_two_vpcs_meet_by_public_address() -> None:
    world = two_vpcs()
    world = with_eni(world, "d", "one", "10.0.1.44", public="198.19.0.44")
    fabric = fabric_of(world)
    for eni in ("eni-b", "eni-d"):
        Guest(fabric, world, eni).serve(80)
    a = Guest(fabric, world, "eni-a")
    assert line(a.connect(PUBLIC_B, 80)) == PUBLIC_A
    assert line(a.connect("198.19.0.44", 80)) == PUBLIC_A  # in its own VPC: out and back


@isolated
def test_without_a_public_address_there_is_no_internet() -> None:
    world = two_vpcs()
    fabric = fabric_of(world)
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    operator = operator_udp(5353)
    c.udp(5000).sendto(b"private", (OPERATOR, 5353))
    b.udp(5000).sendto(b"public", (OPERATOR, 5353))
    assert operator.recvfrom(99) == (b"public", (PUBLIC_B, 5000))
    assert silent(operator)


@isolated
def test_without_a_route_to_the_internet_a_public_address_is_of_no_use() -> None:
    world = with_routes(two_vpcs(), "one", LOCAL_ONLY)
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    operator, at_a = operator_udp(5353), a.udp(7000)
    a.udp(5000).sendto(b"no route", (OPERATOR, 5353))
    b.udp(5000).sendto(b"routed", (OPERATOR, 5353))
    assert operator.recv(99) == b"routed"
    assert silent(operator)
    with pytest.raises(OSError, match="Network is unreachable"):
        operator.sendto(b"in", (PUBLIC_A, 7000))
    fabric.apply(two_vpcs())
    operator.sendto(b"in", (PUBLIC_A, 7000))
    assert at_a.recv(99) == b"in"


@isolated
def test_private_addresses_cannot_be_reached_from_the_internet() -> None:
    world = two_vpcs()
    fabric = fabric_of(world)
    a = Guest(fabric, world, "eni-a").udp(7000)
    b = Guest(fabric, world, "eni-b")
    operator = operator_udp()
    there = "10.0.1.11 via 169.254.0.1 dev vpc-one onlink"  # the fabric makes no such route
    subprocess.run(["ip", "route", "add", *there.split()], check=True)
    operator.sendto(b"private", ("10.0.1.11", 7000))
    b.udp(5000).sendto(b"public", (PUBLIC_A, 7000))
    assert a.recv(99) == b"public"
    assert silent(a)


@isolated
def test_a_public_address_that_is_given_to_another_takes_no_old_flow_along() -> None:
    world = two_vpcs()
    world = with_eni(world, "d", "one", "10.0.1.44")
    fabric = fabric_of(world)
    a, d = (Guest(fabric, world, f"eni-{name}").udp(7000) for name in "ad")
    operator = operator_udp()
    operator.sendto(b"before", (PUBLIC_A, 7000))
    data, peer = a.recvfrom(99)
    a.sendto(b"answer", peer)
    assert (data, operator.recvfrom(99)) == (b"before", (b"answer", (PUBLIC_A, 7000)))
    world = change(world, "a", public_ips={})
    world = change(world, "d", public_ips={IPv4Address("10.0.1.44"): IPv4Address(PUBLIC_A)})
    fabric.apply(world)
    operator.sendto(b"after", (PUBLIC_A, 7000))  # the same five-tuple
    assert d.recv(99) == b"after"
    assert silent(a)


@isolated
def test_a_change_of_public_addresses_leaves_the_others_connections_alone() -> None:
    world = two_vpcs()
    world = with_eni(world, "d", "one", "10.0.1.44", public="198.19.0.44")
    fabric = fabric_of(world)
    Guest(fabric, world, "eni-a").serve(22)
    connection = socket.create_connection((PUBLIC_A, 22), timeout=5)
    assert line(connection) == OPERATOR
    fabric.apply(change(world, "d", public_ips={}))
    connection.sendall(b"still")
    assert connection.recv(9) == b"still"


@isolated
def test_large_packets_learn_the_internet_s_mtu_from_the_gateway() -> None:
    world = two_vpcs()
    other = replace(world.subnets["subnet-one"], id="subnet-0", cidr=IPv4Network("10.0.0.0/24"))
    world = replace(world, subnets={other.id: other} | world.subnets)  # another gateway, that must not answer
    fabric = fabric_of(world)
    a = Guest(fabric, world, "eni-a")
    errors = a.open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    operator, sender = operator_udp(5353), a.udp(5000)
    sender.setsockopt(socket.SOL_IP, 10, 2)  # IP_PMTUDISC_DO
    sender.sendto(bytes(8000), (OPERATOR, 5353))
    error = receive(errors)
    kind, code, _, _, mtu = struct.unpack("!BBHHH", error.payload[:8])
    assert (error.source, kind, code, mtu) == ("10.0.1.1", 3, 4, 1500)
    sender.sendto(bytes(1472), (OPERATOR, 5353))
    assert len(operator.recv(9000)) == 1472


@isolated
def test_a_long_tcp_transfer_to_the_internet_finds_its_segment_size() -> None:
    world = two_vpcs()
    fabric = fabric_of(world)
    serve(socket.create_server((OPERATOR, 80)))
    connection = Guest(fabric, world, "eni-a").connect(OPERATOR, 80)
    assert line(connection) == PUBLIC_A
    connection.sendall(bytes(300_000))
    received = 0
    while received < 300_000:
        received += len(connection.recv(1 << 16))
    assert received == 300_000


@isolated
def test_traffic_from_the_internet_obeys_the_groups() -> None:
    world = change(two_vpcs(), "a", group_ids=())
    fabric = fabric_of(world)
    server = Guest(fabric, world, "eni-a").udp(7000)
    operator_udp().sendto(b"x", (PUBLIC_A, 7000))
    wait_until("it is denied", lambda: fabric.counters("eni-a").ingress_denied == 1)
    assert silent(server)
