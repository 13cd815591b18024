"""A pair changes from one kind of tunnel to the next, with connections open: what it sends, and what it lets in."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from components.tunnel_change import PAUSE_S, UNNOTICED_S
from lab.paths import PROJECT
from tests.forged_packets import COPIES, FORGE
from tests.lab.conftest import PAIR, LabUnderTest
from tests.lab.containers import Container
from tests.lab.counters import dropped
from tests.lab.kept_connections import kept_connections
from tests.lab.pair_lab import PROXIES, status_without_problems, well

pytestmark = pytest.mark.lab

Json = Any
FUNC = "func-0"
HTTP = "curl --silent --fail --max-time 5 http://172.16.101.4:8080"
LARGE = "ping -c 1 -W 5 -M do -s {} 172.16.101.4"  # ICMP's head is 8 bytes, IP's 20
SYN_ACK = "tcp[tcpflags] & (tcp-syn | tcp-ack) == tcp-syn | tcp-ack"
# DEVICE COUNT FILTER: packets that go by while the last argument, a shell line, is done
SEEN = """
device=$0 count=$1 filter=$2 line=$3
rm -f /run/said
timeout 20 tcpdump -l -n -i "$device" -c "$count" "$filter" >/run/seen 2>/run/said &
until grep -qs 'listening on' /run/said; do sleep 0.1; done
eval "$line" >/dev/null
wait
cat /run/seen
"""
ON_THE_WIRE = {"gre": "proto gre", "gre-fou": "udp dst port 4754", "ipip": "ip proto 4"}
OVERHEAD = {"gre": 28, "gre-fou": 36, "ipip": 20}

# A ping to the user instance in what its sender likes; all of it in raw packets from the func host's own address.
CRAFT = (
    FORGE
    + """
kind, inner, key, flags = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4], 16)
packet, protocol = ip(inner, "172.16.101.4", 1, struct.pack("!BBHHH", 8, 0, 0xF7FD, 1, 1)), 4
if kind != "ipip":
    packet, protocol = gre(key, packet, flags), 47
if kind == "gre-fou":
    packet, protocol = struct.pack("!HHHH", 50000, 4754, 8 + len(packet), 0) + packet, 17
send(ip("192.168.80.8", "192.168.4.100", protocol, packet), "192.168.4.100")
"""
)
ARRIVALS = """
table inet arrivals {
  chain counted {
    type filter hook prerouting priority raw; policy accept;
    udp dport 4754 counter
    meta l4proto 4 counter
  }
}
"""
RIGHT, OTHER_INNER, OTHER_KEY, SEQUENCE = (
    ("10.0.0.3", 1, "2000"),
    ("10.0.0.99", 1, "2000"),
    ("10.0.0.3", 2, "2000"),
    ("10.0.0.3", 1, "3000"),
)


@pytest.fixture(scope="module")
def changing(pair: LabUnderTest) -> Iterator[LabUnderTest]:
    """The pair, which has GRE again in the end."""
    try:
        yield pair
    finally:
        pair.up(*PAIR)


def sends(lab: LabUnderTest, kind: str) -> bool:
    """Whether a request puts this on the wire; what is none of it may be there too, of the pair itself."""
    argv = [sys.executable, "-m", "lab", "capture", "--name", lab.name, FUNC, "eth0", "-n", "1"]
    process = subprocess.Popen(
        [*argv, *ON_THE_WIRE[kind].split()], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while b"listening on" not in process.stderr.readline():
        assert process.poll() is None
    lab.succeed(FUNC, HTTP)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # which it hands on
        process.communicate()
        return False
    return True


def seen(lab: LabUnderTest, device: str, count: int, packets: str, line: str) -> str:
    """What tcpdump prints on the func host: so many of these packets, which the line has to cause."""
    return lab.succeed(FUNC, f"timeout 60 bash -ec {shlex.join([SEEN, device, str(count), packets, line])}")


def mss_of_answer(lab: LabUnderTest) -> int:
    """What the user instance is said to take, whose own NIC would take more."""
    found = re.search(r"\[mss (\d+)", seen(lab, "mgre1", 1, SYN_ACK, HTTP))
    assert found
    return int(found[1])


def from_a_container(lab: LabUnderTest, alpha: Json, full: int) -> None:
    """One that comes now has the tunnel's MTU, and its way."""
    assert alpha["containers"]["mtu"] == full
    container = Container(lab, FUNC, "newcomer", alpha, 77)
    try:
        assert '"client": "172.16.101.100"' in container.run(HTTP), "the HaVip"
        container.run(LARGE.format(full - 28))
    finally:
        container.remove()


def source_ports(lab: LabUnderTest, flows: int) -> set[str]:
    """Of the outer UDP, while so many connections are made, of at least five packets each."""
    said = seen(lab, "eth0", 5 * flows, "udp dst port 4754", f"for i in $(seq {flows}); do {HTTP}; done")
    return set(re.findall(r"IP 192\.168\.80\.8\.(\d+) > 192\.168\.4\.100\.4754:", said))


def send(lab: LabUnderTest, kind: str, packet: tuple[str, int, str]) -> None:
    """Have the func host send it COPIES times; they are through, because a request sent after them was answered."""
    lab.succeed(FUNC, f"python3 - {kind} {' '.join(map(str, packet))}", stdin=CRAFT.encode())
    lab.succeed(FUNC, HTTP)


def drops(lab: LabUnderTest, kind: str, packet: tuple[str, int, str]) -> bool:
    """Whether a guard counts all of it: the active proxy's, whichever that is by now. A few may be of anything else."""
    before = [dropped(lab, proxy, "causeway_tunnel") for proxy in PROXIES]
    send(lab, kind, packet)
    after = [dropped(lab, proxy, "causeway_tunnel") for proxy in PROXIES]
    return sum(after) - sum(before) >= COPIES


def is_right(lab: LabUnderTest, kind: str, alpha: Json) -> None:
    """Everything that a kind promises; the tenant is as the outputs have it."""
    active, standby = well(lab)
    assert sends(lab, kind)
    full = 9001 - OVERHEAD[kind]
    lab.succeed(FUNC, LARGE.format(full - 28))
    assert "too long" in lab.fail(FUNC, LARGE.format(full - 27)).lower()
    assert mss_of_answer(lab) == full - 40, "IP's head and TCP's"
    from_a_container(lab, alpha, full)
    if kind == "gre-fou":
        assert len(source_ports(lab, 1)) == 1, "a flow keeps its port"
        assert len(source_ports(lab, 12)) > 4, "flows are spread"
    assert not drops(lab, kind, RIGHT), "this is what the host itself might send"
    assert drops(lab, kind, OTHER_INNER)
    if kind != "ipip":
        assert drops(lab, kind, OTHER_KEY)
        assert drops(lab, kind, SEQUENCE)
    for host in (FUNC, active, standby):
        said = lab.succeed(host, "/opt/causeway/apply").splitlines()
        assert [line for line in said if not line.endswith(": unchanged")] == []
    status_without_problems(lab)


def test_a_kind_that_is_not_sent_passes_no_security_group(changing: LabUnderTest) -> None:
    """First of all: a group goes on letting through for minutes what it has let through."""
    well(changing)
    assert sends(changing, "gre")
    try:
        for proxy in PROXIES:
            changing.succeed(proxy, f"nft -f - <<<'{ARRIVALS}'")
        for kind in ("gre-fou", "ipip"):
            send(changing, kind, RIGHT)
        for proxy in PROXIES:
            counted = changing.succeed(proxy, "nft list table inet arrivals")
            assert counted.count("counter packets 0 ") == 2, "not even the guard sees it"
    finally:
        for proxy in PROXIES:
            changing.succeed(proxy, "nft delete table inet arrivals")


@pytest.mark.parametrize("kind", ["gre-fou", "ipip", "gre"])
def test_connections_live_through_a_change_to(kind: str, changing: LabUnderTest) -> None:
    """One after the other, each from the one before."""
    with kept_connections(changing, longest_s=UNNOTICED_S if kind == "gre-fou" else PAUSE_S):
        outputs = changing.up(*PAIR, "--config", f"tunnel={kind}")["outputs"]
    if kind == "gre":  # all other tests are of that one
        well(changing)
        assert sends(changing, kind)
    else:
        is_right(changing, kind, outputs["tenants"]["alpha"])
