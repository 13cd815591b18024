"""A func host on the sandbox's kernel, with containers of two tenants that have the same addresses.

A container is a namespace, a tunnel a veth, behind which a namespace is all of a tenant's way and network:

    a1 10.88.0.5 ─┬─ cw-alpha 10.88.0.1 ┌───────────┐ mgre1 10.0.0.3 ── alpha: 10.0.0.4, 172.16.101.4
    a2 10.88.0.6 ─┘                     │ func host │
    b1 10.88.1.5 ─── cw-beta  10.88.1.1 └───────────┘ mgre2 10.0.1.3 ── beta:  10.0.1.4, 172.16.101.4
    stranger 172.18.0.2 ── br-other         eth0 192.168.80.8 ── platform: 192.168.80.1

Every namespace has a server that says where it is and who has asked, and then echoes.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.hostscripts.sandbox import Sandbox

State = dict[str, Any]
# One process for all of them: a socket stays in the namespace that it was made in.
SERVER = """
import ctypes, os, selectors, socket, sys
sockets = selectors.DefaultSelector()
for name in sys.argv[1:]:
    entered = os.open("/run/netns/" + name if name != "host" else "/proc/1/ns/net", os.O_RDONLY)
    assert ctypes.CDLL(None, use_errno=True).setns(entered, 0) == 0, name
    os.close(entered)
    sockets.register(socket.create_server(("", 8080)), selectors.EVENT_READ, name)
print("ready", flush=True)
while True:
    for key, _ in sockets.select():
        if key.data:
            one, client = key.fileobj.accept()
            one.send(f"{key.data} {client[0]}\\n".encode())
            sockets.register(one, selectors.EVENT_READ)
        elif data := key.fileobj.recv(4096):
            key.fileobj.send(data)
        else:
            sockets.unregister(key.fileobj)
            key.fileobj.close()
"""
CLIENT = """
import socket, sys
to, source, timeout = sys.argv[1:]
print(socket.create_connection((to, 8080), float(timeout), (source, 0)).makefile().readline())
"""
HOST = """
ip netns add platform
ip link add eth0 mtu 9001 type veth peer name wire mtu 9001 netns platform
ip addr add 192.168.80.8/24 dev eth0
ip link set eth0 up
ip -n platform addr add 192.168.80.1/24 dev wire
ip -n platform link set wire up
ip -n platform link set lo up
ip route add default via 192.168.80.1
ip link add br-other type bridge
ip addr add 172.18.0.1/16 dev br-other
ip link set br-other up
"""
USER_ADDRESS = "172.16.101.4"


def containers(name: str, number: int, cidr: str = "") -> State:
    """Of tenant NAME: its bridge, as the state `container` has it."""
    cidr = cidr or f"10.88.{number - 1}.0/24"
    network, _, length = cidr.partition("/")
    return {
        "tenant": name,
        "bridge": f"cw-{name}",
        "cidr": cidr,
        "gateway": f"{network.removesuffix('.0')}.1/{length}",
        "device": f"mgre{number}",
        "destinations": ["172.16.101.0/24"],
    }


TUNNELS = [
    {"tenant": name, "device": f"mgre{n}", "source": f"10.0.{n - 1}.3"}
    for n, name in ((1, "alpha"), (2, "beta"))
]


def route(name: str, number: int, *, shared: bool = True) -> State:
    """Of tenant NAME: its part of the state `routes`."""
    destinations = ["172.16.101.0/24"]
    return {
        "tenant": name,
        "device": f"mgre{number}",
        "source": f"10.0.{number - 1}.3",
        "overlay": f"10.0.{number - 1}.0/24",
        "destinations": destinations,
        "own_destinations": [] if shared else destinations,
        "table": 201_000_000 + number,
        "bridge": f"cw-{name}",
        "containers": f"10.88.{number - 1}.0/24",
    }


ALPHA, BETA = containers("alpha", 1), containers("beta", 2)
ROUTES: State = {"routes": [route("alpha", 1), route("beta", 2)]}


def container_state(*bridges: State, tunnels: list[State] | None = None, pods: str | None = None) -> State:
    """The state `container`; with both tunnels, if it is not said which."""
    state: State = {"own": "192.168.80.8", "underlay_mtu": 9001, "pods": pods}
    return state | {"tunnels": TUNNELS if tunnels is None else tunnels, "bridges": list(bridges)}


def serve(sandbox: Sandbox, *namespaces: str) -> None:
    """A server in each of them, which says where it is and who has asked; "host" is the host."""
    server = sandbox.start([sys.executable, "-c", SERVER, *namespaces])
    assert server.stdout
    assert server.stdout.readline() == "ready\n"


def tenant_is_there(sandbox: Sandbox, name: str, number: int) -> None:
    """A tenant's tunnel, and all that is behind it."""
    sandbox.run(
        f"""
ip netns add {name}
ip link add mgre{number} mtu 8973 type veth peer name mgre mtu 8973 netns {name}
ip addr add 10.0.{number - 1}.3/24 dev mgre{number}
ip link set mgre{number} up
ip -n {name} addr add 10.0.{number - 1}.4/24 dev mgre
ip -n {name} addr add {USER_ADDRESS}/24 dev mgre
ip -n {name} link set mgre up
ip -n {name} link set lo up
ip -n {name} route add 10.0.0.0/8 via 10.0.{number - 1}.3
"""
    )


def container_is_there(sandbox: Sandbox, name: str, bridge: str, address: str, gateway: str) -> None:
    """A container that hangs on a bridge."""
    sandbox.run(
        f"""
ip netns add {name}
ip link add {name} mtu 8973 type veth peer name eth0 mtu 8973 netns {name}
ip link set {name} master {bridge} up
ip -n {name} addr add {address} dev eth0
ip -n {name} link set eth0 up
ip -n {name} link set lo up
ip -n {name} route add default via {gateway}
"""
    )


def host_is_built(sandbox: Sandbox) -> None:
    """All of it."""
    sandbox.run(HOST)
    tenant_is_there(sandbox, "alpha", 1)
    tenant_is_there(sandbox, "beta", 2)
    sandbox.apply("container", container_state(ALPHA, BETA))
    sandbox.apply("routes", ROUTES)
    for name, bridge, subnet, last in (
        ("a1", "cw-alpha", "10.88.0", 5),
        ("a2", "cw-alpha", "10.88.0", 6),
        ("b1", "cw-beta", "10.88.1", 5),
        ("stranger", "br-other", "172.18.0", 2),
    ):
        container_is_there(sandbox, name, bridge, f"{subnet}.{last}/24", f"{subnet}.1")
    serve(sandbox, "host", "platform", "alpha", "beta", "a1", "a2", "b1", "stranger")


def answer(sandbox: Sandbox, namespace: str, to: str, source: str = "", timeout_s: float = 1) -> str:
    """What the server there says to who connects from a namespace; "" if there is no way."""
    client = [sys.executable, "-c", CLIENT, to, source, str(timeout_s)]
    return sandbox.run(client, namespace, ok=None).strip()
