"""Guests without QEMU: a network namespace whose eth0 is joined to an ENI's tap by a small pump."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2 import IPRoute

from lab.fabric import Fabric, netns
from lab.fabric.names import NETNS_DIRECTORY, TAP, VPC, device_name
from lab.fabric.sysctl import sysctl
from lab.fabric.tap import open_tap
from lab.world import Eni, World

DEVICE = "eth0"
FRAME_BYTES = 1 << 17
TUNSETOFFLOAD = 0x4004_54D0
OFFLOADS = 0x1 | 0x2  # checksums and TCP segmentation are left to the receiver, as QEMU's virtio NICs do
DEADLINE_S = 5.0


def wait_until(what: str, predicate: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Poll `predicate`; AssertionError naming `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while not predicate():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Packet:
    """An IPv4 packet as a raw socket receives it."""

    source: str
    ttl: int
    payload: bytes


def fabric_of(world: World) -> Fabric:
    """The networks of a world, as they are made the first time."""
    fabric = Fabric()
    fabric.apply(world)
    return fabric


class Guest:
    """A machine on one ENI, configured as EC2 guests are unless `plain` (then: link up, nothing else)."""

    def __init__(
        self, fabric: Fabric, world: World, eni_id: str, *, plain: bool = False, mac: str = ""
    ) -> None:
        self.fabric = fabric
        self.eni: Eni = world.enis[eni_id]
        self.namespace = netns.create(f"guest-{eni_id}")
        self._fabric_side = fabric.tap_fd(eni_id)
        with netns.entered(self.namespace):
            self._guest_side = open_tap(DEVICE)
            self.ip = IPRoute()
            sysctl("ipv6/conf/all/disable_ipv6", "1")
        for side in (self._fabric_side, self._guest_side):
            fcntl.ioctl(side, TUNSETOFFLOAD, OFFLOADS)
        self.ip.link("set", index=1, state="up")
        (self.device,) = self.ip.link_lookup(ifname=DEVICE)
        self.ip.link("set", index=self.device, address=mac or self.eni.mac, mtu=9001, state="up")
        threading.Thread(target=pump, args=(self._fabric_side, self._guest_side), daemon=True).start()
        wait_until("the kernel passes packets on", self._operational)
        if not plain:
            subnet = world.subnets[self.eni.subnet_id]
            self.take(self.eni.private_ips[0], subnet.cidr.prefixlen)
            self.ip.route("add", dst="0.0.0.0/0", gateway=str(subnet.gateway))

    def _operational(self) -> bool:
        """Whether every device between this guest and the router has its queue.

        "Up" and a carrier are not enough: the kernel puts the queue in place a little later, in the background,
        and with many namespaces coming and going that takes seconds. What is sent before is dropped.
        """
        ways = {
            TAP: NETNS_DIRECTORY / self.eni.id,
            VPC: NETNS_DIRECTORY / self.eni.id,
            device_name(self.eni.id): NETNS_DIRECTORY / self.eni.vpc_id,
        }
        return all(operstate(namespace, device) == "UP" for device, namespace in ways.items())

    def take(self, address: IPv4Address | str, prefix_length: int = 32) -> None:
        """Give eth0 an address, whatever the fabric thinks of it."""
        self.ip.addr("add", index=self.device, address=str(address), prefixlen=prefix_length)

    def open_socket(self, kind: int, protocol: int = 0, source: str = "") -> socket.socket:
        """An IPv4 socket in the guest, with a deadline on everything it does."""
        with netns.entered(self.namespace):
            made = socket.socket(socket.AF_INET, kind, protocol)
        made.settimeout(DEADLINE_S)
        if source:
            made.bind((source, 0))
        return made

    def packet_socket(self) -> socket.socket:
        """A socket for whole Ethernet frames of eth0."""
        with netns.entered(self.namespace):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.bind((DEVICE, 0))
        made.settimeout(DEADLINE_S)
        return made

    def udp(self, port: int) -> socket.socket:
        """A bound UDP socket."""
        made = self.open_socket(socket.SOCK_DGRAM)
        made.bind(("0.0.0.0", port))
        return made

    def serve(self, port: int) -> None:
        """A TCP server that tells each caller its address as seen here, then echoes."""
        listener = self.open_socket(socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))
        listener.listen()
        listener.settimeout(None)
        serve(listener)

    def connect(self, address: str, port: int) -> socket.socket:
        """A TCP connection from this guest."""
        made = self.open_socket(socket.SOCK_STREAM)
        made.connect((address, port))
        return made


def operstate(namespace: Path, device: str) -> str:
    """RFC 2863's state of a device."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        with netns.entered(descriptor), IPRoute() as ip:
            (link,) = ip.link("get", ifname=device)
            return str(link.get("operstate"))
    finally:
        os.close(descriptor)


def serve(listener: socket.socket) -> None:
    """Answer on `listener` from threads."""

    def answer(connection: socket.socket, peer: str) -> None:
        with connection:
            connection.sendall(peer.encode() + b"\n")
            while data := connection.recv(FRAME_BYTES):
                connection.sendall(data)

    def accept() -> None:
        while True:
            connection, peer = listener.accept()
            threading.Thread(target=answer, args=(connection, peer[0]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def pump(one: int, other: int) -> None:
    """Copy frames both ways, virtio headers included, until a tap is deleted."""
    peer = {one: other, other: one}
    while True:
        for source in select.select([one, other], [], [])[0]:
            try:
                os.write(peer[source], os.read(source, FRAME_BYTES))
            except BlockingIOError:
                continue
            except OSError:  # EBADFD: deleted, or EIO: down
                return


def line(connection: socket.socket) -> str:
    """What a `serve` server says first: the caller's address."""
    return connection.makefile().readline().strip()


def receive(raw: socket.socket) -> Packet:
    """The next packet of a raw socket."""
    packet = raw.recv(FRAME_BYTES)
    header = (packet[0] & 15) * 4
    return Packet(socket.inet_ntoa(packet[12:16]), packet[8], packet[header:])


def silent(receiver: socket.socket) -> bool:
    """Nothing has arrived; ask only after a counter told that the packet was dropped."""
    receiver.setblocking(False)
    try:
        receiver.recv(FRAME_BYTES)
    except BlockingIOError:
        return True
    finally:
        receiver.settimeout(DEADLINE_S)
    return False


def echo_request(identifier: int = 7, size: int = 0) -> bytes:
    """An ICMP echo request with its checksum."""
    body = struct.pack("!HH", identifier, 1) + bytes(size)
    words = struct.unpack(f"!{(len(body) + 4) // 2}H", b"\x08\x00\x00\x00" + body)
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!BBH", 8, 0, ~(total + (total >> 16)) & 0xFFFF) + body
