"""An address is where the API says; a guest speaks as itself only; VPCs may overlap."""

from __future__ import annotations

import socket
import struct
import threading

from lab.world import World
from tests.lab.guests import Guest, Packet, echo_request, fabric_of, line, receive, silent, wait_until
from tests.lab.isolation import isolated
from tests.lab.worlds import change, holding, with_eni, with_vpc

FLOATING = "10.0.1.100"
ARP_REQUEST, ARP_REPLY = 1, 2


def three() -> World:
    """eni-c, and two that a floating address may be with: first eni-a."""
    world = with_vpc(World(), "v")
    world = with_eni(world, "a", "v", "10.0.1.11", FLOATING)
    world = with_eni(world, "b", "v", "10.0.1.12")
    return with_eni(world, "c", "v", "10.0.1.13")


def moved(world: World) -> World:
    """The floating address with eni-b."""
    return holding(holding(world, "a", "10.0.1.11"), "b", "10.0.1.12", FLOATING)


def arp(guest: Guest, operation: int, sender: str, target: str, mac: str = "") -> bytes:
    """A broadcast ARP frame."""
    own = bytes.fromhex((mac or guest.eni.mac).replace(":", ""))
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    addresses = own + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)
    return b"\xff" * 6 + own + b"\x08\x06" + body + addresses


@isolated
def test_an_address_moves_by_api_only() -> None:
    world = three()
    fabric = fabric_of(world)
    a, b, c = (Guest(fabric, world, f"eni-{name}") for name in "abc")
    for guest in (a, b):  # both believe that they have it
        guest.take(FLOATING)
    at_a, at_b, caller = a.udp(7000), b.udp(7000), c.udp(5000)
    frames = b.packet_socket()
    for operation in (ARP_REQUEST, ARP_REPLY):
        frames.send(arp(b, operation, FLOATING, FLOATING))
    caller.sendto(b"before", (FLOATING, 7000))
    assert at_a.recv(99) == b"before"
    fabric.apply(moved(world))
    caller.sendto(b"after", (FLOATING, 7000))
    assert at_b.recv(99) == b"after"
    assert silent(at_a)


@isolated
def test_a_moving_address_disturbs_no_other_flow() -> None:
    world = three()
    fabric = fabric_of(world)
    a, b, c = (Guest(fabric, world, f"eni-{name}") for name in "abc")
    a.serve(7007)
    b.serve(7007)
    open_connections = [c.connect(address, 7007) for address in ("10.0.1.11", "10.0.1.12")]
    assert [line(one) for one in open_connections] == ["10.0.1.13"] * 2
    for there in (moved(world), world, moved(world)):
        fabric.apply(there)
        for one in open_connections:
            one.sendall(b"on")
            assert one.recv(9) == b"on"


@isolated
def test_arp_is_answered_for_all_but_the_guest_s_own_addresses() -> None:
    world = three()
    fabric = fabric_of(world)
    a = Guest(fabric, world, "eni-a", plain=True)
    frames = a.packet_socket()
    for own in ("10.0.1.11", FLOATING, "169.254.7.7"):  # announcing one must not look like a conflict
        frames.send(arp(a, ARP_REQUEST, own, own))
    for target in ("10.0.1.1", "10.0.1.77", "8.8.8.8", "169.254.169.254"):
        frames.send(arp(a, ARP_REQUEST, "10.0.1.11", target))
        reply = frames.recv(99)
        assert struct.unpack("!H", reply[20:22]) == (ARP_REPLY,)
        assert socket.inet_ntoa(reply[28:32]) == target
    assert silent(frames)


@isolated
def test_a_guest_speaks_with_its_own_addresses_only() -> None:
    world = three()
    fabric = fabric_of(world)
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    server = c.udp(7000)
    b.take(FLOATING)
    b.open_socket(socket.SOCK_DGRAM, source=FLOATING).sendto(b"not mine", ("10.0.1.13", 7000))
    wait_until("a foreign source is dropped", lambda: fabric.counters("eni-b").spoofed == 1)
    b.take("169.254.3.4")
    b.open_socket(socket.SOCK_DGRAM, source="169.254.3.4").sendto(b"link-local", ("10.0.1.13", 7000))
    wait_until("a link-local source is dropped", lambda: fabric.counters("eni-b").spoofed == 2)
    assert silent(server)
    fabric.apply(change(world, "b", source_dest_check=False))
    b.open_socket(socket.SOCK_DGRAM, source=FLOATING).sendto(b"router's", ("10.0.1.13", 7000))
    assert server.recv(99) == b"router's"


@isolated
def test_a_guest_speaks_with_its_own_mac_only() -> None:
    world = three()
    fabric = fabric_of(world)
    c = Guest(fabric, world, "eni-c")
    server = c.udp(7000)
    b = Guest(fabric, world, "eni-b", mac="02:00:00:00:66:66")
    frames = b.packet_socket()
    frames.send(arp(b, ARP_REQUEST, "10.0.1.12", "10.0.1.1", mac="02:00:00:00:66:66"))
    wait_until("its ARP is dropped", lambda: fabric.counters("eni-b").spoofed >= 1)
    assert silent(frames)
    before = fabric.counters("eni-b").spoofed
    b.ip.neigh("replace", dst="10.0.1.13", lladdr="02:00:00:00:00:01", ifindex=b.device, state="permanent")
    b.udp(5000).sendto(b"x", ("10.0.1.13", 7000))
    wait_until("its packet is dropped", lambda: fabric.counters("eni-b").spoofed > before)
    assert silent(server)


@isolated
def test_nobody_forwards_multicast_or_broadcast() -> None:
    world = three()
    fabric = fabric_of(world)
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    server = c.udp(7000)
    frames = c.packet_socket()
    sender = b.udp(5000)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for target in ("224.0.0.18", "255.255.255.255", "10.0.1.255"):
        sender.sendto(b"everybody", (target, 7000))
    sender.sendto(b"you", ("10.0.1.13", 7000))  # after the others on the same way
    assert server.recv(99) == b"you"
    assert frames.recv(99).endswith(b"you")
    assert silent(frames)


@isolated
def test_vpcs_overlap_and_do_not_meet() -> None:
    world = World()
    for vpc in ("one", "two"):
        world = with_vpc(world, vpc, internet=False)
        world = with_eni(world, f"{vpc}-a", vpc, "10.0.1.11")
        world = with_eni(world, f"{vpc}-b", vpc, "10.0.1.12")
    world = with_eni(world, "only-two", "two", "10.0.1.77")
    fabric = fabric_of(world)
    guests = {eni: Guest(fabric, world, eni) for eni in world.enis}
    servers = {eni: guests[eni].udp(7000) for eni in world.enis}
    for vpc in ("one", "two"):
        guests[f"eni-{vpc}-a"].udp(5000).sendto(vpc.encode(), ("10.0.1.12", 7000))
    for vpc in ("one", "two"):
        assert servers[f"eni-{vpc}-b"].recv(99) == vpc.encode()
        assert silent(servers[f"eni-{vpc}-b"])
    lost = guests["eni-one-a"].udp(5001)
    lost.sendto(b"lost", ("10.0.1.77", 7000))
    lost.sendto(b"kept", ("10.0.1.12", 7000))
    assert servers["eni-one-b"].recv(99) == b"kept"
    assert silent(servers["eni-only-two"])
    assert silent(
        guests["eni-one-a"].open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    )  # and nobody says why


@isolated
def test_the_fabric_leaves_ttl_alone() -> None:
    world = three()
    fabric = fabric_of(world)
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    heard = c.open_socket(socket.SOCK_RAW, 112)
    sender = b.open_socket(socket.SOCK_RAW, 112)
    for ttl in (1, 2, 64, 253, 254, 255):
        sender.setsockopt(socket.SOL_IP, socket.IP_TTL, ttl)
        sender.sendto(b"vrrp", ("10.0.1.13", 0))
        assert receive(heard) == Packet("10.0.1.12", ttl, b"vrrp")


@isolated
def test_full_size_frames_pass_undivided() -> None:
    world = three()
    fabric = fabric_of(world)
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    heard = c.open_socket(socket.SOCK_RAW, 112)
    sender = b.open_socket(socket.SOCK_RAW, 112)
    sender.setsockopt(socket.SOL_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO: DF is set
    sender.sendto(bytes(9001 - 20), ("10.0.1.13", 0))
    assert len(receive(heard).payload) == 9001 - 20


@isolated
def test_many_connections_at_once() -> None:
    world = three()
    fabric = fabric_of(world)
    b, c = Guest(fabric, world, "eni-b"), Guest(fabric, world, "eni-c")
    c.serve(7007)
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda: results.append(line(b.connect("10.0.1.13", 7007)))) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["10.0.1.12"] * 50


@isolated
def test_pings_come_back() -> None:
    world = three()
    fabric = fabric_of(world)
    b = Guest(fabric, world, "eni-b")
    Guest(fabric, world, "eni-c")
    pinger = b.open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    pinger.sendto(echo_request(), ("10.0.1.13", 0))
    assert receive(pinger).source == "10.0.1.13"
