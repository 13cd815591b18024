"""Blocks: what they name is dropped, either way, and nothing else; and what is dropped can be watched."""

from __future__ import annotations

import socket
import subprocess

import pytest

from lab.errors import LabError
from lab.fabric import Block, Fabric
from lab.paths import PROJECT
from lab.world import World
from tests.lab.guests import Guest, fabric_of, receive, silent, wait_until
from tests.lab.isolation import isolated, isolated_user
from tests.lab.worlds import with_eni, with_vpc, without_eni

VRRP = 112


def three() -> World:
    """eni-a, eni-b and eni-c, and eni-far in another VPC."""
    world = with_vpc(with_vpc(World(), "v"), "w")
    for number, name in enumerate("abc", start=11):
        world = with_eni(world, name, "v", f"10.0.1.{number}")
    return with_eni(world, "far", "w", "10.0.1.11")


class Talk:
    """Guests a, b and c, and who hears whom."""

    def __init__(self, fabric: Fabric, world: World) -> None:
        self.fabric = fabric
        self.guests = {name: Guest(fabric, world, f"eni-{name}") for name in "abc"}
        self.heard = {name: guest.udp(7000) for name, guest in self.guests.items()}
        self.address = {name: str(world.enis[f"eni-{name}"].private_ips[0]) for name in "abc"}

    def passes(self, one: str, other: str) -> bool:
        """Whether a datagram arrives, or else is counted as blocked."""
        before = self.fabric.blocked()
        arrived = []
        sender = self.guests[one].open_socket(socket.SOCK_DGRAM)
        sender.sendto(b"?", (self.address[other], 7000))

        def settled() -> bool:
            arrived.append(not silent(self.heard[other]))
            return arrived[-1] or self.fabric.blocked() > before

        wait_until(f"{one} → {other} arrives or is blocked", settled)
        return arrived[-1]


@isolated
def test_two_enis_are_parted_both_ways_and_rejoined() -> None:
    world = three()
    fabric = fabric_of(world)
    talk = Talk(fabric, world)
    assert talk.passes("a", "b")
    parted = Block(eni="eni-a", peer="eni-b")
    fabric.block(parted)
    assert not talk.passes("a", "b")
    assert not talk.passes("b", "a")
    assert talk.passes("a", "c")
    assert talk.passes("c", "b")
    fabric.apply(world)
    assert not talk.passes("a", "b")  # a new world does not heal it
    fabric.unblock(parted)
    assert talk.passes("a", "b")
    assert talk.passes("b", "a")


@isolated
def test_one_way() -> None:
    world = three()
    fabric = fabric_of(world)
    talk = Talk(fabric, world)
    fabric.block(Block(eni="eni-a", peer="eni-b", one_way=True))
    assert not talk.passes("a", "b")
    assert talk.passes("b", "a")


@isolated
def test_a_protocol_is_lost_alone() -> None:
    world = three()
    fabric = fabric_of(world)
    talk = Talk(fabric, world)
    fabric.block(Block(protocol=VRRP))
    heard = talk.guests["b"].open_socket(socket.SOCK_RAW, VRRP)
    sender = talk.guests["a"].open_socket(socket.SOCK_RAW, VRRP)
    sender.sendto(b"advert 1", ("10.0.1.12", 0))
    wait_until("the advert is blocked", lambda: fabric.blocked() == 1)
    assert talk.passes("a", "b")
    assert silent(heard)
    fabric.unblock()
    sender.sendto(b"advert 2", ("10.0.1.12", 0))
    assert receive(heard).payload == b"advert 2"


@isolated
def test_a_protocol_is_lost_between_two_both_ways_or_one_way() -> None:
    world = three()
    fabric = fabric_of(world)
    talk = Talk(fabric, world)
    raw = {name: guest.open_socket(socket.SOCK_RAW, VRRP) for name, guest in talk.guests.items()}

    def advert_passes(one: str, other: str) -> bool:
        before = fabric.blocked()
        raw[one].sendto(b"advert", (talk.address[other], 0))
        arrived = []

        def settled() -> bool:
            arrived.append(not silent(raw[other]))
            return arrived[-1] or fabric.blocked() > before

        wait_until(f"the advert {one} → {other} arrives or is blocked", settled)
        return arrived[-1]

    parted = Block(eni="eni-a", peer="eni-b", protocol=VRRP)
    fabric.block(parted)
    assert not advert_passes("a", "b")
    assert not advert_passes("b", "a")
    assert advert_passes("a", "c")
    assert advert_passes("c", "b")
    assert talk.passes("a", "b")  # everything else
    assert talk.passes("b", "a")
    fabric.unblock(parted)
    fabric.block(Block(eni="eni-a", peer="eni-b", protocol=VRRP, one_way=True))
    assert not advert_passes("a", "b")
    assert advert_passes("b", "a")
    fabric.unblock()
    assert advert_passes("a", "b")


@isolated
def test_a_port_is_lost_with_its_open_connections() -> None:
    world = three()
    fabric = fabric_of(world)
    talk = Talk(fabric, world)
    talk.guests["b"].serve(7007)
    connection = talk.guests["a"].connect("10.0.1.12", 7007)
    assert connection.recv(99) == b"10.0.1.11\n"
    fabric.block(Block(protocol=6, port=7007))
    assert talk.passes("a", "b")
    connection.sendall(b"stalls")
    wait_until("a segment is blocked", lambda: fabric.blocked() >= 1)
    assert silent(connection)
    fabric.unblock()
    assert connection.recv(99) == b"stalls"  # TCP's own retransmission


@isolated
def test_a_block_ends_with_its_eni() -> None:
    world = three()
    fabric = fabric_of(world)
    fabric.block(Block(eni="eni-a"))
    fabric.apply(without_eni(world, "a"))
    assert fabric.blocks == ()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Block(eni="eni-nobody"), "eni-nobody"),
        (Block(peer="eni-a"), "needs an ENI"),
        (Block(eni="eni-a", peer="eni-far"), "different VPCs"),
        (Block(port=80), "needs a protocol that has ports"),
    ],
)
@isolated
def test_blocks_that_cannot_be_meant_are_refused(block: Block, message: str) -> None:
    fabric = Fabric()
    fabric.apply(three())
    with pytest.raises(LabError, match=message):
        fabric.block(block)


def shows_what_passes() -> None:
    world = three()
    fabric = fabric_of(world)
    talk = Talk(fabric, world)
    argv = fabric.capture_argv("eni-b", "-c", "1", "udp")
    with subprocess.Popen(
        argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as shown:
        assert shown.stderr is not None
        assert shown.stdout is not None
        while "listening on" not in (said := shown.stderr.readline()) and "reading from" not in said:
            assert said, "tcpdump ended"
        assert talk.passes("a", "b")
        assert "10.0.1.12.7000" in shown.stdout.readline()


test_a_capture_shows_what_passes_an_eni = isolated(shows_what_passes)
test_a_capture_works_in_a_user_namespace = isolated_user(shows_what_passes)
