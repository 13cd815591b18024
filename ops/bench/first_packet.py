"""A new container's first packet to its tenant, against plain routing between the same guests.

Each container is a network namespace on a bridge, as a runtime makes them, that connects as soon as it is there: in
the stack's hands over the tenant's bridge, tunnel and proxy; then over a bridge, func host and proxy that only route.
What is timed is TCP's handshake, so one packet there and one back.
"""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Iterator

from ops.bench.figure import Figure
from ops.bench.forwarding import (
    FUNC,
    ROUTED,
    USER_ADDRESS,
    bring_up,
    everything_passes,
    routed,
    run,
    take_over,
)
from ops.bench.lab import ec2_client, lab

CONTAINERS = 20  # per way and round
Times = tuple[float, float]  # of the first connect and of the second, in ms
PLAIN_BRIDGE = """
sysctl -qw net.ipv4.ip_forward=1
ip link add plain type bridge
ip addr add 10.99.0.1/24 dev plain
ip link set plain up
"""
PLAIN_CONTAINERS = "10.99.0.0/24"
# BRIDGE PREFIX TARGET COUNT: [[first, second], …] in ms
CONNECTS = r"""
import json, os, socket, subprocess, sys, time
bridge, prefix, target, count = sys.argv[1:]

def connected_ms():
    began = time.monotonic()
    socket.create_connection((target, 7007), 10).close()
    return (time.monotonic() - began) * 1000

def of_new_container(number):
    name = f"bench{number}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    address = f"{prefix}.{number + 10}/24"
    outside = f"link add {name} type veth peer name eth0 netns {name}\nlink set {name} master {bridge} up"
    inside = f"link set eth0 up\naddr add {address} dev eth0\nroute add default via {prefix}.1"
    for namespace, lines in ([], outside), (["-n", name], inside):
        subprocess.run(["ip", *namespace, "-batch", "-"], input=lines, text=True, check=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/run/netns/{name}", os.O_RDONLY)
    os.setns(other, os.CLONE_NEWNET)
    times = [connected_ms(), connected_ms()]
    os.setns(own, os.CLONE_NEWNET)
    os.close(own), os.close(other)
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return times

connected = [of_new_container(number) for number in range(int(count) + 1)]
print(json.dumps(connected[1:]))  # the first one finds no neighbour of the hosts known, which the next ones do
"""


def measure_first_packet(runs: int) -> list[Figure]:
    """In ms of emulated guests, and as a ratio."""
    rounds = max(1, min(runs, 3))
    try:
        bring_up("gre")
        ec2 = ec2_client()
        everything_passes(ec2)
        by_stack = [times for _ in range(rounds) for times in connects("cw-alpha", "10.88.0")]
        take_over(ec2)
        routed(ec2, PLAIN_CONTAINERS, of="192.168.4.4", to="192.168.80.8")
        routed(ec2, PLAIN_CONTAINERS, of=USER_ADDRESS, to="172.16.101.10")
        run(FUNC, ROUTED + PLAIN_BRIDGE)
        by_routing = [times for _ in range(rounds) for times in connects("plain", "10.99.0")]
    finally:
        lab("down")
    return list(figures(by_stack, by_routing))


def connects(bridge: str, prefix: str) -> list[Times]:
    """Of as many new containers."""
    words = shlex.join([bridge, prefix, USER_ADDRESS, str(CONTAINERS)])
    told: list[Times] = json.loads(run(FUNC, f"python3 -c {shlex.quote(CONNECTS)} {words}"))
    return told


def figures(by_stack: list[Times], by_routing: list[Times]) -> Iterator[Figure]:
    """What the stack adds to the first packet, and how the first compares with the next."""
    plain_first = statistics.median(first for first, _ in by_routing)
    plain_next = statistics.median(following for _, following in by_routing)
    yield Figure(
        what="a new container's first connect, plain routing",
        unit="ms, emulated",
        samples=tuple(first for first, _ in by_routing),
    )
    yield Figure(
        what="a new container's first connect: added by the stack",
        unit="ms, emulated",
        samples=tuple(first - plain_first for first, _ in by_stack),
    )
    for what, base, of in (("first", plain_first, 0), ("second", plain_next, 1)):
        yield Figure(
            what=f"a new container's {what} connect",
            unit="of plain routing's",
            samples=tuple(times[of] / base for times in by_stack),
        )
