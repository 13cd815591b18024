"""Which GRE packets a host believes: made by hand, on a real kernel, which need not know GRE."""

from __future__ import annotations

import struct
import sys
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import dropped

KEY, CHECKSUM, SEQUENCE = 0x2000, 0x8000, 0x1000
UNDERLAY = """
ip netns add func
ip link add eth0 type veth peer name eth0 netns func
ip addr add 192.168.4.4/16 dev eth0; ip link set eth0 up
ip -n func addr add 192.168.80.8/16 dev eth0; ip -n func addr add 192.168.80.9/16 dev eth0
ip -n func link set eth0 up; ip -n func link set lo up
nft 'add table ip spy; add counter ip spy believed
     add chain ip spy in { type filter hook input priority 10; }
     add rule ip spy in ip protocol gre counter name believed'
"""
SEND = """
import socket, sys
source, text = sys.argv[1:]
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE)
raw.bind((source, 0))
raw.sendto(bytes.fromhex(text), ("192.168.4.4", 0))
"""
PROXY: dict[str, Any] = {
    "local": "192.168.4.4",
    "underlay_mtu": 9001,
    "tunnels": [
        {
            "tenant": name,
            "namespace": f"tenant-{name}",
            "device": f"mgre{key}",
            "key": key,
            "remote": None,
            "address": f"10.0.{key}.4/24",
            "peers": [
                {"overlay": f"10.0.{key}.3", "underlay": "192.168.80.8", "count": 1},
                {"overlay": f"10.0.{key}.5", "underlay": "192.168.80.9", "count": 1},
            ],
        }
        for name, key in (("alpha", 1), ("beta", 2))
    ],
}


def gre(inner: str, key: int = 1, flags: int = KEY, protocol: int = 0x0800, before: bytes = b"") -> bytes:
    """GRE with a key around an IPv4 header."""
    source, destination = IPv4Address(inner).packed, IPv4Address("172.16.101.4").packed
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20, 0, 0, 64, 6, 0, source, destination)
    return struct.pack("!HH", flags, protocol) + before + struct.pack("!I", key) + header


@pytest.fixture(scope="module")
def proxy(shared_sandbox: Sandbox) -> Sandbox:
    """A proxy of two tenants and two func hosts, which no test changes."""
    return proxy_in(shared_sandbox)


def proxy_in(sandbox: Sandbox) -> Sandbox:
    """Its guard comes before its devices, with or without GRE."""
    sandbox.run(UNDERLAY)
    sandbox.run("ip netns add tenant-alpha; ip netns add tenant-beta")
    sandbox.apply("tunnel", PROXY, ok=None)
    return sandbox


def believed(proxy: Sandbox, source: str, packet: bytes) -> bool:
    """Whether the packet passed; else it was counted."""
    before = dropped(proxy, "causeway_tunnel", "")
    passed_before = proxy.json("nft -j list counter ip spy believed")["nftables"][1]["counter"]["packets"]
    proxy.run([sys.executable, "-c", SEND, source, packet.hex()], "func")
    passed = (
        proxy.json("nft -j list counter ip spy believed")["nftables"][1]["counter"]["packets"] - passed_before
    )
    assert dropped(proxy, "causeway_tunnel", "") - before == 1 - passed
    return bool(passed)


def test_the_peers_own_packets_pass(proxy: Sandbox) -> None:
    assert believed(proxy, "192.168.80.8", gre("10.0.1.3"))
    assert believed(proxy, "192.168.80.9", gre("10.0.1.5"))
    assert believed(proxy, "192.168.80.8", gre("10.0.2.3", key=2))


@pytest.mark.parametrize(
    ("source", "packet"),
    [
        pytest.param("192.168.80.9", gre("10.0.1.3"), id="another host's overlay address"),
        pytest.param("192.168.80.8", gre("10.0.1.3", key=2), id="another tenant's key"),
        pytest.param("192.168.80.8", gre("10.0.1.3", key=3), id="nobody's key"),
        pytest.param("192.168.80.8", gre("172.16.101.9"), id="an inner source outside the overlay"),
        pytest.param(
            "192.168.80.8", gre("10.0.1.3")[:2] + b"\x86\xdd" + gre("10.0.1.3")[4:], id="IPv6 inside"
        ),
        pytest.param("192.168.80.8", gre("10.0.1.3", flags=0), id="no key"),
        pytest.param(
            "192.168.80.8", gre("10.0.1.3", flags=KEY | CHECKSUM, before=bytes(4)), id="with a checksum"
        ),
        pytest.param("192.168.80.8", gre("10.0.1.3", flags=KEY | SEQUENCE), id="with a sequence number"),
        pytest.param("192.168.80.8", gre("10.0.1.3", flags=KEY | 1), id="version 1"),
        pytest.param("192.168.80.8", gre("10.0.1.3")[:20], id="cut short"),
    ],
)
def test_others_are_dropped_and_counted(proxy: Sandbox, source: str, packet: bytes) -> None:
    assert not believed(proxy, source, packet)


def test_a_peer_that_is_gone_is_believed_no_more(sandbox: Sandbox) -> None:
    proxy = proxy_in(sandbox)
    alpha, beta = PROXY["tunnels"]
    fewer = PROXY | {"tunnels": [alpha | {"peers": alpha["peers"][1:]}, beta]}
    assert not believed(proxy, "192.168.80.9", gre("10.0.1.3"))
    proxy.apply("tunnel", fewer, ok=None)
    assert not believed(proxy, "192.168.80.8", gre("10.0.1.3"))
    assert believed(proxy, "192.168.80.9", gre("10.0.1.5"))
    assert believed(proxy, "192.168.80.8", gre("10.0.2.3", key=2))
    assert dropped(proxy, "causeway_tunnel", "") == 2, "counters go on"


def test_a_func_host_believes_its_remote_only(sandbox: Sandbox) -> None:
    sandbox.run(UNDERLAY)
    tunnel: dict[str, Any] = {
        "tenant": "alpha",
        "namespace": None,
        "device": "mgre1",
        "key": 1,
        "remote": "192.168.80.8",
        "address": "10.0.0.3/24",
        "peers": [],
    }
    sandbox.apply("tunnel", {"local": "192.168.4.4", "underlay_mtu": 9001, "tunnels": [tunnel]}, ok=None)
    assert believed(sandbox, "192.168.80.8", gre("172.16.101.4"))
    assert not believed(sandbox, "192.168.80.9", gre("172.16.101.4"))
    assert not believed(sandbox, "192.168.80.8", gre("172.16.101.4", key=2))


# From a socket of the protocol, which FOU's port need not be open for.
SEND_OUTER = """
import socket, sys
source, to, protocol, text = sys.argv[1:]
kind = socket.SOCK_DGRAM if protocol == "17" else socket.SOCK_RAW
outer = socket.socket(socket.AF_INET, kind, int(protocol))
outer.bind((source, 0))
outer.sendto(bytes.fromhex(text), (to, 4754 if protocol == "17" else 0))
"""
# Both ways: which of them conntrack knows nothing of.
TRACKING = """
nft 'add table ip tracking; add counter ip tracking untracked; add counter ip tracking tracked
     add chain ip tracking in { type filter hook input priority 20; }
     add chain ip tracking out { type filter hook output priority 20; }
     add rule ip tracking in ip protocol != icmp ct state untracked counter name untracked
     add rule ip tracking in ip protocol != icmp ct state != untracked counter name tracked
     add rule ip tracking out ip protocol != icmp ct state untracked counter name untracked
     add rule ip tracking out ip protocol != icmp ct state != untracked counter name tracked'
"""


def tracking(host: Sandbox) -> dict[str, int]:
    """Packets by whether conntrack knows them, since the last time."""
    found = host.json("nft -j reset counters table ip tracking")["nftables"]
    return {each["counter"]["name"]: each["counter"]["packets"] for each in found if "counter" in each}


@pytest.mark.parametrize("kind", ["gre", "gre-fou", "ipip"])
def test_a_func_hosts_outer_packets_are_in_no_connection_table(sandbox: Sandbox, kind: str) -> None:
    """Or who fills it with connections of his containers has those of all others refused."""
    sandbox.run(UNDERLAY)
    tunnel: dict[str, Any] = {"tenant": "alpha", "namespace": None, "device": "mgre1", "key": 1}
    tunnel |= {"remote": "192.168.80.8", "address": "10.0.0.3/24", "peers": []}
    state = {"local": "192.168.4.4", "underlay_mtu": 9001, "tunnel_kind": kind, "tunnels": [tunnel]}
    sandbox.apply("tunnel", state, ok=None)
    sandbox.run(TRACKING)
    protocol = {"gre": "47", "gre-fou": "17", "ipip": "4"}[kind]
    packet = gre("172.16.101.4")[8:] if kind == "ipip" else gre("172.16.101.4")

    def sent(peer: str) -> dict[str, int]:
        for namespace, source, to in (("func", peer, "192.168.4.4"), ("", "192.168.4.4", peer)):
            words = [source, to, protocol, packet.hex()]
            sandbox.run([sys.executable, "-c", SEND_OUTER, *words], namespace)
        return tracking(sandbox)

    assert sent("192.168.80.8") == {"untracked": 2, "tracked": 0}
    assert dropped(sandbox, "causeway_tunnel", "") == 0, "the guard lets it in as before"
    assert sent("192.168.80.9")["untracked"] == 0, "what is of no tunnel is left alone"


FORWARDED = """
import socket, sys
for protocol in (47, 4):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol).sendto(bytes.fromhex(sys.argv[1]), ("192.168.80.8", 0))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes.fromhex(sys.argv[1]), ("192.168.80.8", 4754))
"""
ENGINE = """
ip netns add stranger
ip link add br-other type bridge; ip addr add 172.18.0.1/16 dev br-other; ip link set br-other up
ip link add stranger type veth peer name eth0 netns stranger; ip link set stranger master br-other up
ip -n stranger addr add 172.18.0.2/16 dev eth0; ip -n stranger link set eth0 up
ip -n stranger route add default via 172.18.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward
nft 'add table ip engine; add chain ip engine post { type nat hook postrouting priority 100; }
     add rule ip engine post ip saddr 172.18.0.0/16 oifname eth0 masquerade'
"""


def test_a_func_host_lends_its_address_to_nobodys_tunnel(sandbox: Sandbox) -> None:
    """Where it masquerades others, as for Docker's own network, theirs would be the packets that a proxy believes."""
    sandbox.run(UNDERLAY + ENGINE)
    tunnel: dict[str, Any] = {"tenant": "alpha", "namespace": None, "device": "mgre1", "key": 1}
    tunnel |= {"remote": "192.168.80.8", "address": "10.0.0.3/24", "peers": []}
    sandbox.apply("tunnel", {"local": "192.168.4.4", "underlay_mtu": 9001, "tunnels": [tunnel]}, ok=None)
    spy = "add table ip spy; add chain ip spy in { type filter hook prerouting priority -300; };"
    sandbox.run(f"nft '{spy} add rule ip spy in ip saddr 192.168.4.4 counter'", "func")
    before = dropped(sandbox, "causeway_tunnel", "")
    sandbox.run([sys.executable, "-c", FORWARDED, gre("10.0.0.3").hex()], "stranger")
    assert dropped(sandbox, "causeway_tunnel", "") - before == 3
    assert "counter packets 0 " in sandbox.run("nft list table ip spy", "func")


@pytest.mark.parametrize("device", ["mgre9", "cw-alpha"])
def test_what_is_inside_a_tunnel_may_be_a_tunnel_of_the_tenants(sandbox: Sandbox, device: str) -> None:
    sandbox.run(UNDERLAY + ENGINE)
    sandbox.run(
        f"ip link add {device} type bridge; ip link set {device} up; ip route add 192.168.80.8 dev {device}"
    )
    sandbox.apply("tunnel", {"local": "192.168.4.4", "underlay_mtu": 9001, "tunnels": []}, ok=None)
    spy = "add table ip spy2; add chain ip spy2 out { type filter hook forward priority 10; };"
    sandbox.run(f"nft '{spy} add rule ip spy2 out oifname {device} counter'")
    sandbox.run([sys.executable, "-c", FORWARDED, gre("10.0.0.3").hex()], "stranger")
    assert "counter packets 3 " in sandbox.run("nft list table ip spy2")


def test_a_sync_link_believes_the_other_proxy_only(sandbox: Sandbox) -> None:
    sandbox.run(UNDERLAY)
    sandbox.run("ip netns add tenant-alpha")
    key = 2**31 + 1
    link: dict[str, Any] = {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "device": "sync1",
        "key": key,
        "remote": "192.168.80.8",
        "address": "169.254.254.1/30",
        "peers": [],
    }
    state = {"own": "192.168.4.4", "local": "192.168.4.100", "underlay_mtu": 9001, "tunnels": [link]}
    sandbox.apply("tunnel", state, ok=None)
    assert believed(sandbox, "192.168.80.8", gre("169.254.254.2", key))
    assert not believed(sandbox, "192.168.80.9", gre("169.254.254.2", key))
    assert not believed(sandbox, "192.168.80.8", gre("169.254.254.1", key))
    assert not believed(sandbox, "192.168.80.8", gre("10.0.1.3", key))
    assert not believed(sandbox, "192.168.80.8", gre("169.254.254.2", key=1))
