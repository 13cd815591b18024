"""A tenant's path on the sandbox's kernel. Where a proxy has a tunnel there is a veth; the rest is real.

namespace func ── mgre1 ── namespace tenant-alpha ── user1 ── namespace user
10.0.0.3          10.0.0.4                172.16.101.10       172.16.101.4, a server on port 8080
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.waiting import wait_until

MAC = "02:00:00:00:01:01"
USER_ENI: dict[str, Any] = {
    "name": "alpha",
    "namespace": "tenant-alpha",
    "device": "user1",
    "mac": MAC,
    "address": "172.16.101.10",
    "destinations": ["172.16.101.0/24", "172.16.102.0/24"],
}
FORWARD: dict[str, Any] = {
    "tenant": "alpha",
    "namespace": "tenant-alpha",
    "tunnel": "mgre1",
    "user": "user1",
    "overlay": "10.0.0.0/24",
    "destinations": ["172.16.101.4/32"],
}
NAT: dict[str, Any] = {
    "tenant": "alpha",
    "namespace": "tenant-alpha",
    "user": "user1",
    "overlay": "10.0.0.0/24",
    "snat_to": "172.16.101.10",
}


def far_end(name: str) -> str:
    """Makes a namespace that does not look for IPv6 routers by itself: such packets would be among those counted."""
    return f"""
ip netns add {name}
ip netns exec {name} bash -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
"""


NIC = f"""
{far_end("user")}
ip link add ens6 address {MAC} mtu 1500 type veth peer name wire mtu 9001 netns user
ip -n user addr add 172.16.101.4/24 dev wire
ip -n user addr add 172.16.101.5/24 dev wire
ip -n user link set wire up
ip -n user link set lo up
"""
TUNNEL = f"""
{far_end("func")}
ip -n tenant-alpha link add mgre1 mtu 8973 type veth peer name mgre1 mtu 8973 netns func
ip -n tenant-alpha addr add 10.0.0.4/24 dev mgre1
ip -n tenant-alpha link set mgre1 up
ip -n func addr add 10.0.0.3/24 dev mgre1
ip -n func addr add 10.9.9.9/24 dev mgre1
ip -n func link set mgre1 up
ip -n func link set lo up
ip -n func route add 172.16.0.0/16 via 10.0.0.4 src 10.0.0.3
ip -n user route add 10.0.0.0/8 via 172.16.101.10
"""
CLIENT = """
import socket, sys
to, source, timeout = sys.argv[1:]
print(socket.create_connection((to, 8080), float(timeout), (source, 0)).makefile().readline())
"""
SERVER = """
import socketserver
class Who(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.client_address[0].encode() + b"\\n")
        while line := self.rfile.readline():
            self.wfile.write(line)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", 8080), Who).serve_forever()
"""
# Says who is seen, to whoever sends something.
UDP_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 8080))
while True:
    client = server.recvfrom(9000)[1]
    server.sendto(client[0].encode(), client)
"""
# One flow that never pauses; each answer that differs from the one before is a line.
UDP_TALKER = """
import socket, sys, time
talker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talker.settimeout(0.005)
was = None
while True:
    try:
        talker.sendto(b"who am I?", (sys.argv[1], 8080))
        answer = talker.recv(9000).decode()
    except OSError:
        continue
    if answer != was:
        print(answer, flush=True)
        was = answer
    time.sleep(0.005)
"""


def metadata(mac: str = MAC, **changes: str) -> dict[str, str]:
    """What IMDS says about a user ENI."""
    about = {
        "device-number": "1",
        "subnet-ipv4-cidr-block": "172.16.101.0/24",
        "local-ipv4s": "172.16.101.10\n172.16.101.11",
    }
    about |= {name.replace("_", "-"): text for name, text in changes.items()}
    return {f"network/interfaces/macs/{mac}/{name}": text for name, text in about.items()}


def tenants(*rows: dict[str, Any]) -> dict[str, Any]:
    """A state of these tenants."""
    return {"tenants": list(rows)}


def nic_is_plugged(sandbox: Sandbox) -> None:
    """The user ENI is there, by some name, and the metadata knows it."""
    sandbox.run(NIC)
    sandbox.metadata(metadata())


def path_is_built(sandbox: Sandbox) -> None:
    """All of it, and a server that tells its client's address and echoes."""
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    sandbox.run(TUNNEL)
    sandbox.apply("nat", tenants(NAT))
    sandbox.apply("forward", tenants(FORWARD))
    for namespace in ("user", "func"):
        sandbox.start([sys.executable, "-c", SERVER], namespace)
        address = {"user": "172.16.101.4", "func": "10.0.0.3"}[namespace]
        wait_until(f"{namespace} serves", partial(client_seen, sandbox, namespace, address))


def client_seen(
    sandbox: Sandbox,
    namespace: str = "func",
    to: str = "172.16.101.4",
    source: str = "",
    timeout_s: float = 1,
) -> str:
    """Connects; the address that the server saw, or "" if there is no way."""
    client = [sys.executable, "-c", CLIENT, to, source, str(timeout_s)]
    return sandbox.run(client, namespace, ok=None).strip()


def no_way(sandbox: Sandbox, namespace: str, to: str, source: str = "") -> bool:
    """Nobody answers. Waits less: the one SYN of the first second is gone, and an answer takes microseconds."""
    return client_seen(sandbox, namespace, to, source, timeout_s=0.3) == ""


def dropped(sandbox: Sandbox, table: str = "causeway_forward", namespace: str = "tenant-alpha") -> int:
    """Packets in a table's counter."""
    found = sandbox.json(f"nft -j list counter inet {table} dropped", namespace)
    packets: int = found["nftables"][1]["counter"]["packets"]
    return packets
