"""Route tables: by the subnet of the sender, the longest prefix wins, what nothing matches is dropped."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network

from lab.world import Route, RouteTarget, World
from tests.lab.guests import Guest, fabric_of, silent, wait_until
from tests.lab.isolation import isolated
from tests.lab.worlds import change, with_eni, with_routes, with_vpc

LOCAL = Route(destination=IPv4Network("10.0.0.0/16"), target=RouteTarget.LOCAL)


def to_eni(destination: str, eni: str = "eni-router") -> Route:
    """A route that hands everything for `destination` to a machine."""
    return Route(destination=IPv4Network(destination), target=RouteTarget.ENI, target_id=eni)


def world_with(*routes: Route) -> World:
    """eni-a asks; eni-router, which may forward, and eni-b could answer."""
    world = with_vpc(World(), "v")
    world = with_eni(world, "a", "v", "10.0.1.11")
    world = with_eni(world, "router", "v", "10.0.1.12")
    world = change(world, "router", source_dest_check=False)
    world = with_eni(world, "b", "v", "10.0.1.13")
    return with_routes(world, "v", LOCAL, *routes)


@isolated
def test_a_route_to_an_eni_hands_it_packets_for_others() -> None:
    world = world_with(to_eni("172.16.0.0/12"))
    fabric = fabric_of(world)
    a, router = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-router")
    router.take("172.16.5.5")
    server = router.udp(7000)
    a.udp(5000).sendto(b"via", ("172.16.5.5", 7000))
    data, peer = server.recvfrom(99)
    assert (data, peer) == (b"via", ("10.0.1.11", 5000))


@isolated
def test_with_its_destination_check_on_the_eni_refuses_them() -> None:
    world = change(world_with(to_eni("172.16.0.0/12")), "router", source_dest_check=True)
    fabric = fabric_of(world)
    a, router = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-router")
    router.take("172.16.5.5")
    server = router.udp(7000)
    a.udp(5000).sendto(b"via", ("172.16.5.5", 7000))
    wait_until("it is dropped", lambda: fabric.counters("eni-router").misdelivered == 1)
    assert silent(server)


@isolated
def test_the_longest_prefix_wins_also_over_local() -> None:
    world = world_with(to_eni("10.0.1.13/32"))
    fabric = fabric_of(world)
    a, router, b = (Guest(fabric, world, f"eni-{name}") for name in ("a", "router", "b"))
    router.take("10.0.1.13")
    at_router, at_b = router.udp(7000), b.udp(7000)
    a.udp(5000).sendto(b"x", ("10.0.1.13", 7000))
    assert at_router.recv(9) == b"x"
    fabric.apply(with_routes(world, "v", LOCAL))
    a.udp(5001).sendto(b"y", ("10.0.1.13", 7000))
    assert at_b.recv(9) == b"y"
    assert silent(at_router)


@isolated
def test_blackholes_and_missing_routes_drop_in_silence() -> None:
    blackhole = Route(destination=IPv4Network("10.0.1.13/32"), target=RouteTarget.BLACKHOLE)
    world = world_with(blackhole, to_eni("172.16.0.0/12", eni="eni-gone"))
    fabric = fabric_of(world)
    a, router, b = (Guest(fabric, world, f"eni-{name}") for name in ("a", "router", "b"))
    at_router, at_b, caller = router.udp(7000), b.udp(7000), a.udp(5000)
    errors = a.open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    for nowhere in ("10.0.1.13", "172.16.5.5", "8.8.8.8", "10.0.200.1", "10.0.1.1"):
        caller.sendto(b"lost", (nowhere, 7000))
    caller.sendto(b"kept", ("10.0.1.12", 7000))
    assert at_router.recv(99) == b"kept"
    assert silent(at_b)
    assert silent(errors)


@isolated
def test_a_packet_that_is_routed_back_to_its_sender_ends() -> None:
    world = world_with(to_eni("172.16.0.0/12"))
    fabric = fabric_of(world)
    router = Guest(fabric, world, "eni-router")
    frames = router.packet_socket()
    router.udp(5000).sendto(b"once", ("172.16.5.5", 7000))
    seen = [frames.recv(99) for _ in range(4)]  # ARP and its answer, out, and back in
    assert [frame.endswith(b"once") for frame in seen] == [False, False, True, True]
    assert silent(frames)
