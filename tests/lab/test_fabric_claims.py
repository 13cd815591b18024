"""A pair's addresses move by claims through the API: all the way to packets and IMDS, at once or as late as told."""

from __future__ import annotations

import itertools
import socket
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

from lab.daemon.service import keep_what_is_loaded
from lab.fabric import Fabric
from lab.metadata import Metadata
from lab.world import World
from tests.lab.guests import Guest, wait_until
from tests.lab.isolation import isolated
from tests.lab.test_metadata_service import credentials, get
from tests.unit.cloud_testing import REGION, LabUnderTest, endpoint

Json = Any
ROUNDS = 7
CLAIM_S = 0.25  # 0.02 on an idle machine; tests share theirs
EVERY_S = 0.001


class Pair:
    """Two hosts with an interface in each of some VPCs, one floating address in each, and a caller there."""

    def __init__(self, vpcs: int) -> None:
        self.fabric = Fabric()
        self.fabric.apply(World())  # loopback, for the API
        self.metadata = Metadata(self.fabric.imds_listener, credentials)
        self.lab = LabUnderTest()
        self.lab.follow = self.follow
        self.sides = [self._side(f"10.{index}") for index in range(vpcs)]
        world = self.lab.world
        self.guests = [[Guest(self.fabric, world, eni) for eni in enis] for enis in self.sides]
        self.clients = [client(self.lab) for _ in self.sides]
        keep_what_is_loaded()  # as the daemon does, whose first claim must not be the slow one

    def follow(self, world: World) -> None:
        """In the order that the daemon has to keep."""
        self.fabric.apply(world)
        self.metadata.apply(world)

    def _side(self, prefix: str) -> list[str]:
        subnet = self.lab.subnet(f"{prefix}.1.0/24", vpc=self.lab.vpc(f"{prefix}.0.0/16"))
        for host in (4, 5, 6):
            self.lab.instance(subnet, address=f"{prefix}.1.{host}")
        return [eni.id for eni in self.lab.world.enis.values() if eni.subnet_id == subnet]

    def claim(self, index: int, host: int) -> None:
        """Take the floating address of a VPC to a host."""
        self.clients[index].assign_private_ip_addresses(
            NetworkInterfaceId=self.sides[index][host],
            PrivateIpAddresses=[floating(index)],
            AllowReassignment=True,
        )


def client(lab: LabUnderTest) -> Json:
    """With connections of its own, which are open already."""
    made = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=endpoint(),
        aws_access_key_id=lab.cloud.access_key_id,
        aws_secret_access_key=lab.cloud.secret_access_key,
    )
    made.describe_vpcs()
    return made


def floating(index: int) -> str:
    """The address of the pair in a VPC."""
    return f"10.{index}.1.100"


class Stream:
    """Numbered datagrams from the third host to a floating address, and who hears which first when."""

    def __init__(self, guests: Sequence[Guest], address: str) -> None:
        self._heard = [guest.udp(7000) for guest in guests[:2]]
        for guest in guests[:2]:
            guest.take(address)
        self._sender = guests[2].open_socket(socket.SOCK_DGRAM)
        self._address = address
        self.ended = threading.Event()
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        for number in itertools.count():
            if self.ended.wait(EVERY_S):
                return
            self._sender.sendto(b"%d" % number, (self._address, 7000))

    def arrives(self, host: int) -> float:
        """Wait for the next datagram at a host, older ones forgotten; the time then."""
        hearing = self._heard[host]
        hearing.setblocking(False)
        try:
            while True:
                hearing.recv(99)
        except BlockingIOError:
            pass
        hearing.settimeout(5.0)
        hearing.recv(99)
        return time.monotonic()


@isolated
def test_three_claims_at_once_are_fast() -> None:
    pair = Pair(3)
    with ThreadPoolExecutor(6) as threads:
        for index in range(3):
            pair.claim(index, 0)
        streams = [Stream(guests, floating(index)) for index, guests in enumerate(pair.guests)]
        for stream in streams:
            stream.arrives(0)
        took = []
        for number in range(ROUNDS):
            host = 1 - number % 2
            arrivals = [threads.submit(stream.arrives, host) for stream in streams]
            begun = time.monotonic()
            list(threads.map(lambda index, host=host: pair.claim(index, host), range(3)))
            took.append(max(arrival.result() for arrival in arrivals) - begun)
        for stream in streams:
            stream.ended.set()
    print(f"packets follow three claims after {statistics.median(took) * 1000:.0f} ms (median), {took}")
    assert statistics.median(took) < CLAIM_S


@isolated
def test_an_answered_claim_is_in_imds_and_in_the_network() -> None:
    pair = Pair(1)
    one, two, caller = pair.guests[0]
    heard = []
    for guest in (one, two):
        guest.take(floating(0))
        heard.append(guest.udp(7000))
    sender = caller.open_socket(socket.SOCK_DGRAM)
    path = "network/interfaces/macs/{}/local-ipv4s"
    for number in range(4):
        host = number % 2
        pair.claim(0, host)
        listed = [floating(0) in get(g, path.format(g.eni.mac)).splitlines() for g in (one, two)]
        assert listed == [host == 0, host == 1]
        sender.sendto(b"%d" % number, (floating(0), 7000))
        assert heard[host].recv(99) == b"%d" % number


@isolated
def test_a_late_effect_is_late_in_imds_and_in_the_network() -> None:
    pair = Pair(1)
    one, two, caller = pair.guests[0]
    pair.claim(0, 0)
    for guest in (one, two):
        guest.take(floating(0))
    at_one, at_two = one.udp(7000), two.udp(7000)
    sender = caller.open_socket(socket.SOCK_DGRAM)
    path = f"network/interfaces/macs/{two.eni.mac}/local-ipv4s"
    pair.lab.cloud.weather.set("AssignPrivateIpAddresses", effect_s=1.0)
    pair.claim(0, 1)
    assert floating(0) not in get(two, path).splitlines()
    sender.sendto(b"early", (floating(0), 7000))
    assert at_one.recv(99) == b"early"
    wait_until("IMDS shows it", lambda: floating(0) in get(two, path).splitlines())
    sender.sendto(b"late", (floating(0), 7000))
    assert at_two.recv(99) == b"late"
