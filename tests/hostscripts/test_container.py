"""Whose containers reach what, on a real kernel: a func host with two tenants that have the same addresses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.forged_packets import COPIES, FORGE
from tests.hostscripts.container_network import (
    ALPHA,
    BETA,
    HOST,
    ROUTES,
    TUNNELS,
    USER_ADDRESS,
    answer,
    container_is_there,
    container_state,
    containers,
    host_is_built,
    route,
    serve,
    tenant_is_there,
)
from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import UDP_SERVER, UDP_TALKER
from tests.hostscripts.waiting import wait_until

pytestmark = pytest.mark.slow

PING = """
import socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.settimeout(1)
raw.sendto(b"\\x08\\x00\\xf7\\xfe\\x00\\x01\\x00\\x00", (sys.argv[1], 0))
while True:
    packet, (sender, _) = raw.recvfrom(100)
    if packet[20] == 0:
        break
print(sender)
"""
TO_ALL_IPV6_NODES = """
import socket
talker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
talker.sendto(b"anybody?", ("ff02::1", 8080, 0, socket.if_nametoindex("eth0")))
"""
NOBODY_S = 0.3  # the one SYN of the first second is gone, and an answer takes microseconds


@pytest.fixture(scope="module")
def host(shared_sandbox: Sandbox) -> Sandbox:
    """The whole host, up. A test that changes it proves that it is as before."""
    host_is_built(shared_sandbox)
    return shared_sandbox


@pytest.fixture
def own_host(sandbox: Sandbox) -> Sandbox:
    """The same for a test that leaves it changed."""
    host_is_built(sandbox)
    return sandbox


def no_way(host: Sandbox, namespace: str, to: str, source: str = "") -> bool:
    """Nobody answers."""
    return answer(host, namespace, to, source, NOBODY_S) == ""


def knows_its_gateway(host: Sandbox, namespace: str) -> None:
    """So that what is sent next is a packet, and no question for the gateway's MAC, which is counted elsewhere."""
    assert answer(host, namespace, USER_ADDRESS) != ""


def dropped(host: Sandbox, table: str = "inet causeway_container") -> int:
    """Packets in the table's counter."""
    packets: int = host.json(f"nft -j list counter {table} dropped")["nftables"][1]["counter"]["packets"]
    return packets


# ── what they reach ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_container_reaches_its_tenant_from_the_overlay_address(host: Sandbox) -> None:
    assert answer(host, "a1", USER_ADDRESS) == "alpha 10.0.0.3"
    assert answer(host, "a2", USER_ADDRESS) == "alpha 10.0.0.3"


def test_one_of_another_tenant_reaches_its_own_at_the_same_address(host: Sandbox) -> None:
    assert answer(host, "b1", USER_ADDRESS) == "beta 10.0.1.3"


def test_containers_of_a_tenant_reach_each_other_as_they_are(host: Sandbox) -> None:
    assert answer(host, "a1", "10.88.0.6") == "a2 10.88.0.5"


def test_the_host_reaches_containers(host: Sandbox) -> None:
    assert answer(host, "", "10.88.0.5") == "a1 10.88.0.1"
    assert answer(host, "", "10.88.1.5") == "b1 10.88.1.1"


def test_the_host_says_by_its_source_whose_address_it_means(host: Sandbox) -> None:
    assert answer(host, "", USER_ADDRESS, "10.0.0.3") == "alpha 10.0.0.3"
    assert answer(host, "", USER_ADDRESS, "10.0.1.3") == "beta 10.0.1.3"
    assert "No route to host" in host.run(f"exec 3<>/dev/tcp/{USER_ADDRESS}/8080", ok=False)


def test_the_gateway_answers_pings(host: Sandbox) -> None:
    assert host.run([sys.executable, "-c", PING, "10.88.0.1"], "a1") == "10.88.0.1\n"


@pytest.mark.parametrize("address", ["192.168.80.8", "10.88.1.1", "10.0.0.3", "172.16.101.9"])
def test_the_hosts_other_addresses_answer_no_ping(host: Sandbox, address: str) -> None:
    """Nor one that is among the tenant's destinations, as a runtime's own bridge may have it."""
    host.run("ip addr replace 172.16.101.9/32 dev br-other")
    assert "TimeoutError" in host.run([sys.executable, "-c", PING, address], "a1", ok=False)
    host.run("ip addr del 172.16.101.9/32 dev br-other")


def test_a_container_that_believes_in_a_larger_mtu_is_told_a_smaller_mss(own_host: Sandbox) -> None:
    """Its SYN says 8961, for 9001; by the tunnel no segment fits but those of 8933."""
    host = own_host
    host.run(
        "ip link set dev a1 mtu 9001; ip -n a1 link set dev eth0 mtu 9001; ip link set dev cw-alpha mtu 9001"
    )
    host.run(
        "nft 'add table ip spy; add chain ip spy in { type filter hook prerouting priority 0; };"
        " add rule ip spy in tcp option maxseg size 8933 counter'",
        "alpha",
    )
    assert answer(host, "a1", USER_ADDRESS) == "alpha 10.0.0.3"
    assert "counter packets 1 " in host.run("nft list table ip spy", "alpha")


# ── what they don't ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("10.88.1.5", id="a container of another tenant"),
        pytest.param("192.168.80.8", id="the host"),
        pytest.param("10.88.0.1", id="the host by its gateway"),
        pytest.param("10.88.1.1", id="the host by the gateway of another tenant"),
        pytest.param("10.0.0.3", id="the host by its overlay address"),
        pytest.param("10.0.1.4", id="the proxy of another tenant"),
        pytest.param("192.168.80.1", id="the platform"),
        pytest.param("172.18.0.2", id="a container of nobody"),
    ],
)
def test_nothing_else_and_who_tries_is_counted(host: Sandbox, address: str) -> None:
    before = dropped(host)
    assert no_way(host, "a1", address)
    assert dropped(host) > before


def test_the_metadata_service_is_closed(host: Sandbox) -> None:
    before = dropped(host)
    host.run("timeout 1 bash -c 'exec 3<>/dev/tcp/169.254.169.254/80'", "a1", ok=False)
    assert dropped(host) > before
    host.run("timeout 1 bash -c 'exec 3<>/dev/tcp/169.254.169.254/80'")


def test_who_has_the_address_of_another_tenants_container_gets_nowhere_and_is_counted(host: Sandbox) -> None:
    knows_its_gateway(host, "b1")
    host.run("ip -n b1 addr add 10.88.0.5/32 dev eth0")
    before = dropped(host)
    assert no_way(host, "b1", USER_ADDRESS, "10.88.0.5")
    assert dropped(host) > before
    host.run("ip -n b1 addr del 10.88.0.5/32 dev eth0")
    assert answer(host, "b1", USER_ADDRESS) == "beta 10.0.1.3"


def test_a_container_does_not_pass_for_the_host(host: Sandbox) -> None:
    knows_its_gateway(host, "a1")
    host.run("ip -n a1 addr add 10.0.0.3/32 dev eth0")
    before = dropped(host)
    assert no_way(host, "a1", USER_ADDRESS, "10.0.0.3")
    assert dropped(host) > before
    host.run("ip -n a1 addr del 10.0.0.3/32 dev eth0")


# PART TO ID: half of a datagram from a1, as sent by anybody, or a whole one.
HALVES = (
    FORGE
    + """
def part(at, more, payload):
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), int(sys.argv[3]), more << 13 | at // 8, 64, 17)
    between = ends("10.88.0.5", sys.argv[2])
    return start + struct.pack("!H", checksum(start + b"\\0\\0" + between)) + between + payload
def udp(length):
    return struct.pack("!HHHH", 4444, 8082, 8 + length, 0)
parts = {
    "first": part(0, 1, udp(16) + b"of beta "),
    "second": part(16, 0, b"of alpha"),
    "whole": part(0, 0, udp(5) + b"whole"),
}
COPIES = 1
send(parts[sys.argv[1]], sys.argv[2])
"""
)
HEARER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 8082))
print("ready", flush=True)
print(server.recv(9000).decode())
"""


@pytest.mark.parametrize(("forged", "genuine"), [("first", "second"), ("second", "first")])
def test_another_tenants_fragments_are_joined_to_nobodys(host: Sandbox, forged: str, genuine: str) -> None:
    """The kernel knows by their addresses alone which ones are of one datagram."""
    for name in ("a1", "b1"):
        knows_its_gateway(host, name)
    end = [USER_ADDRESS, "7" if forged == "first" else "8"]
    hearer = host.start([sys.executable, "-c", HEARER, USER_ADDRESS], "alpha")
    assert hearer.stdout
    assert hearer.stdout.readline() == "ready\n"
    before = dropped(host)
    host.run([sys.executable, "-c", HALVES, forged, *end], "b1")
    assert dropped(host) > before
    for what in (genuine, "whole"):
        host.run([sys.executable, "-c", HALVES, what, *end], "a1")
    assert hearer.stdout.read() == "whole\n"


# An ICMP error (port unreachable) about a datagram that the host has sent to the platform.
ERROR_OF_NOBODY = """
import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
ends = socket.inet_aton("192.168.80.8") + socket.inet_aton("192.168.80.1")
head = struct.pack("!BBHHHBB", 0x45, 0, 28, 7, 0, 64, 17)
head = head + struct.pack("!H", checksum(head + b"\\0\\0" + ends)) + ends
inner = head + struct.pack("!HHHH", 4444, 4789, 8, 0)
body = struct.pack("!L", 0) + inner
icmp = struct.pack("!BBH", 3, 3, checksum(b"\\x03\\x03\\0\\0" + body)) + body
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(icmp, (sys.argv[1], 0))
"""
HOSTS_SOCKET = """
import socket, sys
talker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talker.bind(("192.168.80.8", 4444))
talker.connect(("192.168.80.1", 4789))
talker.send(b"hello")
print("sent", flush=True)
sys.stdin.readline()
print(talker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
"""


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        pytest.param("a1", "192.168.80.8", id="from a container"),
        pytest.param("alpha", "10.0.0.3", id="out of a tunnel"),
    ],
)
def test_an_icmp_error_about_a_connection_of_the_hosts_is_dropped_and_counted(
    host: Sandbox, sender: str, to: str
) -> None:
    # So that the platform itself does not say that nobody listens.
    host.run(
        "nft 'add table ip quiet; add chain ip quiet in { type filter hook input priority 0; policy drop; }'",
        "platform",
    )
    try:
        talker = host.start([sys.executable, "-c", HOSTS_SOCKET])
        assert talker.stdin
        assert talker.stdout
        assert talker.stdout.readline() == "sent\n"
        before = dropped(host)
        host.run([sys.executable, "-c", ERROR_OF_NOBODY, to], sender)
        assert dropped(host) > before
        talker.stdin.write("\n")
        talker.stdin.flush()
        assert talker.stdout.readline() == "0\n"
    finally:
        host.run("nft delete table ip quiet", "platform")


def test_ipv6_ends_at_the_bridge(host: Sandbox) -> None:
    before = dropped(host)
    host.run("ip -n a1 addr add fe80::5/64 dev eth0 nodad")
    host.run([sys.executable, "-c", TO_ALL_IPV6_NODES], "a1")
    assert dropped(host) > before


def test_others_on_this_host_reach_no_tenant_even_masqueraded(own_host: Sandbox) -> None:
    """As a container engine's own bridge does: everything is forwarded, and leaves with the device's address."""
    host = own_host
    host.apply("routes", {"routes": [route("alpha", 1, shared=False)]})
    host.run("echo 1 >/proc/sys/net/ipv4/ip_forward; ip -n platform route add 172.18.0.0/16 via 192.168.80.8")
    assert answer(host, "stranger", "192.168.80.1") == "platform 172.18.0.2", (
        "by us nobody else is masqueraded"
    )
    host.run(
        "nft 'add table ip engine; add chain ip engine post { type nat hook postrouting priority 100; };"
        " add rule ip engine post ip saddr 172.18.0.0/16 oifname != br-other masquerade'"
    )
    assert answer(host, "stranger", "192.168.80.1") == "platform 192.168.80.8"
    host.run("ip -n platform route add 172.18.0.0/16 via 192.168.80.8; nft flush table ip engine")
    assert answer(host, "stranger", "192.168.80.1") == "platform 172.18.0.2", (
        "by us nobody else is masqueraded"
    )
    before = dropped(host)
    assert no_way(host, "stranger", USER_ADDRESS)
    assert dropped(host) > before
    assert no_way(host, "stranger", "10.88.0.5")
    assert no_way(host, "a1", "172.18.0.2")
    assert no_way(host, "a1", "192.168.80.1")


def test_nobody_reaches_a_container_from_a_tenants_network(host: Sandbox) -> None:
    host.run("ip -n alpha route add 10.88.0.0/16 via 10.0.0.3")
    before = dropped(host)
    assert no_way(host, "alpha", "10.88.0.5")
    assert no_way(host, "alpha", "10.88.1.5")
    assert no_way(host, "alpha", "10.0.1.3")
    assert dropped(host) > before
    host.run("ip -n alpha route del 10.88.0.0/16 via 10.0.0.3")


def test_out_of_a_tunnel_the_host_is_sent_answers_and_pings_alone(host: Sandbox) -> None:
    before = dropped(host)
    assert no_way(host, "alpha", "10.0.0.3")
    assert dropped(host) > before
    assert host.run([sys.executable, "-c", PING, "10.0.0.3"], "alpha") == "10.0.0.3\n"


def test_nothing_but_these_devices_forwards(host: Sandbox) -> None:
    forwarding = host.run("grep -l 1 /proc/sys/net/ipv4/conf/*/forwarding").split()
    assert sorted(path.split("/")[6] for path in forwarding) == ["cw-alpha", "cw-beta", "mgre1", "mgre2"]
    assert host.run("cat /proc/sys/net/ipv4/ip_forward") == "0\n"


def test_kubernetes_pods_pass_only_where_there_are_any(own_host: Sandbox) -> None:
    host = own_host
    host.apply("routes", {"routes": [route("alpha", 1, shared=False)]})
    host.run("echo 1 >/proc/sys/net/ipv4/ip_forward")
    masquerade = (
        "nft 'add table ip agent; add chain ip agent post { type nat hook postrouting priority 100; };"
        " add rule ip agent post ip saddr 172.18.0.0/16 oifname mgre1 masquerade'"
    )
    host.run(masquerade)
    assert no_way(host, "stranger", USER_ADDRESS)
    host.apply("container", container_state(ALPHA, BETA, pods="172.18.0.0/16"))
    assert answer(host, "stranger", USER_ADDRESS) == "alpha 10.0.0.3"
    assert no_way(host, "stranger", "10.88.0.5")
    assert answer(host, "a1", USER_ADDRESS) == "alpha 10.0.0.3"


# Asks who has the gateway's address, each time as somebody else: SENDER…
ARP = """
import socket, struct, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0x0806))
mac = link.getsockname()[4]
for sender in sys.argv[1:]:
    asked = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + socket.inet_aton(sender)
    link.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + asked + bytes(6) + socket.inet_aton("10.88.0.1"))
"""


@pytest.mark.parametrize("kept_away", ["172.16.101.77", "10.88.1.77", "192.168.80.1", "8.8.8.8"])
def test_who_asks_by_arp_is_remembered_only_with_an_address_of_the_bridge(
    host: Sandbox, kept_away: str
) -> None:
    """Or one container would fill the table of neighbours, which the host has for all."""
    before = dropped(host, "arp causeway_arp")
    host.run([sys.executable, "-c", ARP, kept_away, "10.88.0.200"], "a1")
    wait_until("it is heard", lambda: "10.88.0.200 " in host.run("ip neigh show dev cw-alpha"))
    assert f"{kept_away} " not in host.run("ip neigh show dev cw-alpha")
    assert dropped(host, "arp causeway_arp") == before + 1
    host.run("ip neigh flush dev cw-alpha")


def test_a_container_that_says_to_be_its_gateway_is_counted(host: Sandbox) -> None:
    knows_its_gateway(host, "a1")
    before = dropped(host)
    host.run("ip -n a1 addr add 10.88.0.1/32 dev lo")
    assert no_way(host, "a1", USER_ADDRESS, "10.88.0.1")
    host.run("ip -n a1 addr del 10.88.0.1/32 dev lo")
    assert dropped(host) > before


# ── what routers on the way say ───────────────────────────────────────────────────────────────────────────────────

ROUTER = "9.9.9.9"  # of alpha's network, with an address outside its cidrs
TALKER = """
import socket, sys
talker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talker.bind((sys.argv[1], int(sys.argv[2])))
talker.connect(("172.16.101.4", 4789))
talker.send(b"hello")
print("sent", flush=True)
sys.stdin.readline()
print(talker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
"""
# ROUTER TO END [PORT]: says to TO that what END has sent to the tenant was too long.
TOO_LONG = f"""{FORGE}
said_by, to, end, port = (*sys.argv[1:], 4444)[:4]
about = ip(end, "172.16.101.4", 17, struct.pack("!HHHH", int(port), 4789, 9, 0))
send(ip(said_by, to, 1, frag_needed(about, 1300)), to)
"""
UNKNOWN = f"""{FORGE}
said_by, to = sys.argv[1:]
send(ip(said_by, to, 17, struct.pack("!HHHH", 4789, 4444, 9, 0) + b"!"), to)
"""
NOTHING, EMSGSIZE = "0", "90"


@contextmanager
def rp_filter_is(host: Sandbox, of_all: int, of_device: int) -> Iterator[None]:
    """And afterwards as before."""
    files = [f"{CONF}/{name}/rp_filter" for name in ("all", "mgre1", "mgre2")]
    before = host.run(["cat", *files]).split()
    host.run("; ".join(f"echo {of_device if 'mgre' in file else of_all} >{file}" for file in files))
    try:
        yield
    finally:
        host.run("; ".join(f"echo {value} >{file}" for value, file in zip(before, files, strict=True)))


def heard(
    host: Sandbox, talker: str, source: str, said: list[str], sender: str = "alpha", port: int = 4444
) -> str:
    """The error that a socket of the talker's has, connected to the tenant, once that was said."""
    # So that the tenant itself does not say that nobody listens.
    quiet = "add table ip quiet; add chain ip quiet in { type filter hook input priority 0; policy drop; }"
    host.run(f"nft '{quiet}'", "alpha")
    try:
        process = host.start([sys.executable, "-c", TALKER, source, str(port)], talker)
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "sent\n"
        host.run([sys.executable, "-c", *said], sender)
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline().strip()
    finally:
        host.run("nft delete table ip quiet", "alpha")


@pytest.mark.parametrize("of_device", [0, 1, 2])
@pytest.mark.parametrize("of_all", [0, 1, 2])
def test_a_router_of_the_tenants_is_heard_whatever_its_address(
    host: Sandbox, of_all: int, of_device: int
) -> None:
    said = [TOO_LONG, ROUTER, "10.0.0.3", "10.0.0.3"]
    with rp_filter_is(host, of_all, of_device):
        assert heard(host, "a1", "10.88.0.5", said) == EMSGSIZE
        assert heard(host, "", "10.0.0.3", [*said, "4445"], port=4445) == EMSGSIZE


@pytest.mark.parametrize(
    ("sender", "words"),
    [
        pytest.param("beta", [TOO_LONG, ROUTER, "10.0.1.3", "10.0.0.3"], id="by another tenant"),
        pytest.param(
            "beta", [TOO_LONG, ROUTER, "10.0.0.3", "10.0.0.3"], id="by another tenant, to alpha's end"
        ),
        pytest.param("alpha", [TOO_LONG, ROUTER, "10.88.0.5", "10.88.0.5"], id="to the container itself"),
        pytest.param("alpha", [TOO_LONG, ROUTER, "10.0.0.3", "192.168.80.8"], id="of what the host has sent"),
        pytest.param("alpha", [UNKNOWN, ROUTER, "10.0.0.3"], id="no error"),
        pytest.param("alpha", [UNKNOWN, "192.168.80.1", "10.0.0.3"], id="as the platform"),
        pytest.param("alpha", [UNKNOWN, "10.88.0.6", "10.0.0.3"], id="as a container"),
    ],
)
def test_anything_else_from_there_is_dropped_and_counted(
    host: Sandbox, sender: str, words: list[str]
) -> None:
    """By our own filter, as rp_filter lets it pass."""
    host.run("ip -n alpha route add 10.88.0.0/16 via 10.0.0.3; ip -n beta route add 10.0.0.3 via 10.0.1.3")
    before = dropped(host)
    with rp_filter_is(host, 0, 0):
        assert heard(host, "a1", "10.88.0.5", words, sender=sender) == NOTHING
    # What alpha's own stack says of other packets may be counted too.
    assert dropped(host) >= before + COPIES
    host.run("ip -n alpha route del 10.88.0.0/16; ip -n beta route del 10.0.0.3")


def test_pods_hear_of_errors_though_the_platform_filters_strictly(own_host: Sandbox) -> None:
    host = own_host
    host.run("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter")
    host.run(
        "nft 'add table ip agent; add chain ip agent post { type nat hook postrouting priority 100; };"
        " add rule ip agent post ip saddr 172.18.0.0/16 oifname mgre1 masquerade'"
    )
    host.apply("container", container_state(ALPHA, BETA, pods="172.18.0.0/16"))
    host.apply("routes", {"routes": [route("alpha", 1, shared=False)]})
    assert heard(host, "stranger", "172.18.0.2", [TOO_LONG, ROUTER, "10.0.0.3", "10.0.0.3"]) == EMSGSIZE


# ── coming, going, mending ────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_again_changes_nothing(host: Sandbox) -> None:
    assert host.apply("container", container_state(ALPHA, BETA)) == ["unchanged"]
    assert host.apply("routes", ROUTES) == ["unchanged"]


def test_a_tenant_that_comes_or_goes_leaves_others_connections_alone(own_host: Sandbox) -> None:
    host = own_host
    talk = host.start(["bash", "-c", f"exec 3<>/dev/tcp/{USER_ADDRESS}/8080; cat <&3 & cat >&3"], "a1")
    assert talk.stdin
    assert talk.stdout
    assert talk.stdout.readline() == "alpha 10.0.0.3\n"
    host.apply("container", container_state(ALPHA, tunnels=TUNNELS[:1]))
    host.apply("routes", {"routes": [route("alpha", 1, shared=False)]})
    assert no_way(host, "b1", USER_ADDRESS)
    assert answer(host, "a1", USER_ADDRESS) == "alpha 10.0.0.3"
    assert answer(host, "", USER_ADDRESS) == "alpha 10.0.0.3"
    assert "cw-beta" not in host.run("ip link; ip rule; ip route show table all; nft list ruleset")
    assert "201000002" not in host.run("ip rule; ip route show table all")
    assert "UP" not in host.run("ip -br link show b1"), (
        "what is on no bridge is a way into the host, by IPv6 too"
    )
    host.apply("container", container_state(ALPHA, BETA))
    host.apply("routes", ROUTES)
    host.run("ip link set b1 master cw-beta up")
    assert answer(host, "b1", USER_ADDRESS) == "beta 10.0.1.3"
    talk.stdin.write("still here\n")
    talk.stdin.flush()
    assert talk.stdout.readline() == "still here\n"


ENDS_MEANWHILE = """#!/bin/bash
PATH=/usr/sbin:/usr/bin:/sbin:/bin
[[ $* != "link set dev b1 down" ]] || ip link del b1
exec ip "$@"
"""


def test_a_container_that_ends_while_its_bridge_is_taken_away_is_no_failure(own_host: Sandbox) -> None:
    host = own_host
    host.run("mkdir /run/stubs; tee /run/stubs/ip >/dev/null; chmod +x /run/stubs/ip", stdin=ENDS_MEANWHILE)
    host.environment["CAUSEWAY_PATH"] = f"/run/stubs:{host.environment['PATH']}"
    said = host.apply("container", container_state(ALPHA, tunnels=TUNNELS[:1]))
    assert "ip link set dev b1 down" in said
    assert said[-1] == "changed"
    assert "cw-beta" not in host.run("ip link")


CHECK = ["/run/root/opt/causeway/apply", "--check"]
EVERYTHING = "ip -d rule; ip -4 -d route show table all; nft -s list ruleset; ip -br link show type bridge"


FORWARD = "/proc/sys/net/ipv4/ip_forward"
CONF = "/proc/sys/net/ipv4/conf"


@pytest.mark.parametrize(
    ("breaking", "named"),
    [
        ("ip link del cw-alpha", "container: ip link add name cw-alpha"),
        ("ip link set cw-alpha down", "container: ip link set dev cw-alpha up"),
        ("nft flush ruleset", "container: nft table causeway_container replaced"),
        (
            "nft flush chain inet causeway_container forward",
            "container: nft table causeway_container replaced",
        ),
        (
            'nft delete element inet causeway_container ways \'{ "cw-alpha" . "mgre1" }\'',
            "container: nft table causeway_container replaced",
        ),
        (
            'nft add element inet causeway_container ways \'{ "cw-alpha" . "cw-beta" }\'',
            "container: nft table causeway_container replaced",
        ),
        ("nft delete table arp causeway_arp", "container: nft table causeway_arp replaced"),
        ("ip rule flush; ip rule add pref 32766 lookup main", "routes: ip rule add pref 201 iif cw-alpha"),
        (
            "ip route flush table 201000001",
            "routes: ip route replace prohibit default table 201000001 metric 1",
        ),
        (f"echo 1 >{CONF}/mgre1/rp_filter", "routes: sysctl net/ipv4/conf/mgre1/rp_filter=2 (was 1)"),
        (f"echo 0 >{FORWARD}", ""),
        (f"echo 1 >{FORWARD}; echo 0 >{FORWARD}", "routes: sysctl net/ipv4/conf/mgre1/forwarding=1"),
    ],
)
def test_what_others_break_is_named_and_mended(host: Sandbox, breaking: str, named: str) -> None:
    assert host.run(CHECK) == ""
    host.run(breaking)
    was = host.run(EVERYTHING)
    said = host.run(CHECK, ok=not named)
    assert named in said
    assert host.run(EVERYTHING) == was, "looking changes nothing"
    host.run(["/run/root/opt/causeway/apply"])
    assert host.run(CHECK) == "", "whichever concern mends it, those after it follow"
    host.run("ip link set a1 master cw-alpha up; ip link set a2 master cw-alpha up")
    assert answer(host, "a1", USER_ADDRESS) == "alpha 10.0.0.3"
    assert no_way(host, "a1", "10.88.1.5")


def test_a_tenant_without_containers_is_reached_by_the_host(own_host: Sandbox) -> None:
    host = own_host
    host.apply("container", container_state(BETA))
    host.apply(
        "routes", {"routes": [route("alpha", 1) | {"bridge": None, "containers": None}, route("beta", 2)]}
    )
    assert answer(host, "", USER_ADDRESS, "10.0.0.3") == "alpha 10.0.0.3"
    assert answer(host, "b1", USER_ADDRESS) == "beta 10.0.1.3"
    assert no_way(host, "a1", USER_ADDRESS)


def test_a_container_that_is_there_first_gets_its_way(sandbox: Sandbox) -> None:
    """Whatever started it has made the bridge, with another address too, and forwards everything."""
    host_is_built(sandbox)
    host = sandbox
    host.run(
        "ip link add cw-gamma mtu 1500 type bridge; ip addr add 10.88.2.1/24 dev cw-gamma; ip link set cw-gamma up"
    )
    host.run("ip addr add 10.88.77.1/24 dev cw-gamma; echo 1 >/proc/sys/net/ipv4/ip_forward")
    container_is_there(host, "g1", "cw-gamma", "10.88.2.5/24", "10.88.2.1")
    assert no_way(host, "g1", USER_ADDRESS), "nobody has said whose cw-gamma is"
    gamma = containers("gamma", 3, "10.88.2.0/24") | {"device": "mgre1"}
    host.apply("container", container_state(gamma, BETA))
    host.apply(
        "routes",
        {
            "routes": [
                route("alpha", 1) | {"bridge": "cw-gamma", "containers": "10.88.2.0/24"},
                route("beta", 2),
            ]
        },
    )
    assert answer(host, "g1", USER_ADDRESS) == "alpha 10.0.0.3"
    assert "10.88.77.1/24" in host.run("ip addr show dev cw-gamma"), "not ours"
    host.apply("container", container_state(BETA))
    assert "cw-gamma" in host.run("ip link"), "not ours, so it stays"
    assert no_way(host, "g1", USER_ADDRESS)


# The runtime has its own chains, so that connections are tracked, and forwards everything.
RUNTIME = """
ip link add cw-alpha mtu 8973 type bridge; ip addr add 10.88.0.1/24 dev cw-alpha; ip link set cw-alpha up
echo 1 >/proc/sys/net/ipv4/ip_forward
nft 'add table ip engine; add chain ip engine post { type nat hook postrouting priority 100; };
     add rule ip engine post ip saddr 172.18.0.0/16 oifname != br-other masquerade'
"""


def talks(host: Sandbox) -> subprocess.Popen[str]:
    """A UDP flow from a1 that never pauses, to where alpha says who is seen."""
    server = UDP_SERVER.replace('("", 8080)', f'("{USER_ADDRESS}", 8081)')
    host.start([sys.executable, "-c", server], "alpha")
    client = UDP_TALKER.replace("8080", "8081")
    return host.start(["timeout", "5", sys.executable, "-c", client, USER_ADDRESS], "a1")


def is_on_its_way(host: Sandbox) -> bool:
    """By the host's own default route, with the container's address."""
    return "src=10.88.0.5 dst=172.16.101.4" in host.run("conntrack -L -p udp 2>/dev/null")


def test_a_flow_that_began_before_there_was_anything_gets_its_way(sandbox: Sandbox) -> None:
    """At a boot, or ahead of the first apply; else it would go on without SNAT for as long as it sends."""
    host = sandbox
    host.run(HOST + RUNTIME)
    tenant_is_there(host, "alpha", 1)
    container_is_there(host, "a1", "cw-alpha", "10.88.0.5/24", "10.88.0.1")
    talker = talks(host)
    wait_until("it sends", lambda: is_on_its_way(host))
    host.apply("container", container_state(ALPHA, tunnels=TUNNELS[:1]))
    host.apply("routes", {"routes": [route("alpha", 1)]})
    assert talker.stdout
    assert talker.stdout.readline() == "10.0.0.3\n"


AT_BOOT = "/run/root/etc/causeway/container.nft"


def test_a_boot_finds_the_guard_ahead_of_any_runtime(sandbox: Sandbox) -> None:
    """Until all is applied nobody gets anywhere, though the runtime forwards everything."""
    host = sandbox
    host.run(HOST + RUNTIME)
    container_is_there(host, "a1", "cw-alpha", "10.88.0.5/24", "10.88.0.1")
    host.run("ip -n platform route add 10.88.0.0/24 via 192.168.80.8")
    serve(host, "host", "platform")
    assert answer(host, "a1", "192.168.80.1") == "platform 10.88.0.5", "nothing else is in the way"
    host.apply("container", container_state(ALPHA, tunnels=TUNNELS[:1]))
    tables = "nft -s list table inet causeway_container; nft -s list table arp causeway_arp"
    before = host.run(tables)
    host.run(f"rm -r /run/root/run/causeway; nft delete table inet causeway_container; nft -f {AT_BOOT}")
    assert host.run(tables) == before
    assert no_way(host, "a1", "192.168.80.1")
    assert no_way(host, "a1", "192.168.80.8")
    assert dropped(host) > 0
    tenant_is_there(host, "alpha", 1)
    talker = talks(host)
    wait_until("it sends", lambda: dropped(host) > 100)
    assert not is_on_its_way(host)
    host.apply("container", container_state(ALPHA, tunnels=TUNNELS[:1]))
    host.apply("routes", {"routes": [route("alpha", 1)]})
    assert host.run(CHECK) == ""
    assert talker.stdout
    assert talker.stdout.readline() == "10.0.0.3\n"


def test_where_an_earlier_version_has_applied_open_connections_go_on(own_host: Sandbox) -> None:
    """It had containers' connections in no zone, and they stay there until a boot."""
    host = own_host
    zone = "ct original zone set 201"
    host.run(
        f'cd /run/root/opt/causeway; cp container.sh now; sed -i "s/ {zone}//" container.sh; nft flush ruleset;'
        " rm -r /run/root/run/causeway/tables"
    )
    host.apply("container", container_state(ALPHA, BETA))
    assert zone not in host.run("nft list ruleset")
    talk = host.start(["bash", "-c", f"exec 3<>/dev/tcp/{USER_ADDRESS}/8080; cat <&3 & cat >&3"], "a1")
    assert talk.stdin
    assert talk.stdout
    assert talk.stdout.readline() == "alpha 10.0.0.3\n"
    host.run("mv /run/root/opt/causeway/now /run/root/opt/causeway/container.sh")
    host.apply("container", container_state(ALPHA, BETA, pods="172.18.0.0/16"))
    assert host.run(CHECK) == ""
    talk.stdin.write("still here\n")
    talk.stdin.flush()
    assert talk.stdout.readline() == "still here\n"
    assert zone not in host.run("nft list ruleset")
    host.run("nft flush ruleset; rm -r /run/root/run/causeway")
    host.apply("container", container_state(ALPHA, BETA))
    assert zone in host.run("nft list ruleset")
    assert answer(host, "a1", USER_ADDRESS) == "alpha 10.0.0.3"


def test_another_range_takes_the_place_of_the_former(own_host: Sandbox) -> None:
    host = own_host
    other = containers("alpha", 1, "10.99.0.0/24")
    host.apply("container", container_state(other, BETA))
    host.apply("routes", {"routes": [route("alpha", 1) | {"containers": "10.99.0.0/24"}, route("beta", 2)]})
    assert no_way(host, "a1", USER_ADDRESS)
    container_is_there(host, "a3", "cw-alpha", "10.99.0.5/24", "10.99.0.1")
    assert answer(host, "a3", USER_ADDRESS) == "alpha 10.0.0.3"
    assert "10.88.0" not in host.run(
        "ip addr show dev cw-alpha; ip rule; nft list table inet causeway_container"
    )


def test_a_new_container_changes_nothing_on_the_host(host: Sandbox) -> None:
    """Its way is there before it is: no route, no rule, no table is another one."""
    ways = "ip rule; ip -4 route show table all; nft -s list ruleset; ip -4 addr show type bridge"
    before = host.run(ways)
    container_is_there(host, "a9", "cw-alpha", "10.88.0.9/24", "10.88.0.1")
    assert answer(host, "a9", USER_ADDRESS) == "alpha 10.0.0.3"
    assert host.run(ways) == before
    host.run("ip netns del a9")


def test_networkd_is_told_to_leave_routes_and_rules_when_it_starts(host: Sandbox) -> None:
    told = host.run("cat /run/root/etc/systemd/networkd.conf.d/05-causeway.conf").split()
    assert told == ["[Network]", "ManageForeignRoutes=no", "ManageForeignRoutingPolicyRules=no"]


def test_the_mtu_is_that_of_the_tunnel(host: Sandbox) -> None:
    assert host.json("ip -j link show dev cw-alpha")[0]["mtu"] == 9001 - 28
