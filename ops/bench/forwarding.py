"""The packet's way from func host to user instance, by seven kinds of way between the same guests: ratios to plain NAT.

gre, gre-fou and ipip are the stack's own, with every filter on the way: the lab is brought up with each. Then the same
guests are taken out of the stack's hands, and the proxy forwards by hand: routed, with NAT, and with NAT behind VXLAN
and WireGuard. Guests are emulated, and share two cores: only ratios of one run say something.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from ops.bench.figure import Figure
from ops.bench.lab import ec2_client, lab

FUNC, PROXY, USER = "func-0", "proxy-0", "user-alpha"
USER_ADDRESS = "172.16.101.4"
PORT = 5201  # iperf3's
BULK_S, SMALL_S = 5, 4
SMALL_BYTES = 64  # of payload: a packet's cost is not its bytes'
STEADY_BITS = "3M"  # 5,900 of them per second
KINDS = ("gre", "gre-fou", "ipip")
BASE = "plain NAT"
# Goals of bulk TCP and of packets per second, as ratios to plain NAT.
GOALS = {"gre": (0.8, 0.9)}
LIKE_GRE = "gre-fou"  # is to be no slower

Json = Any


@dataclass(frozen=True)
class Sample:
    """What came through: bulk TCP in Mbit/s, small datagrams in packets per second, and the proxy's CPU.

    That is this machine's processor time for the guest, in µs per small packet, at a rate that every way carries.
    """

    bulk: float
    packets: float
    cpu_us: float


def measure_forwarding(runs: int) -> list[Figure]:
    """Every way, each as often as asked for, but three times at most."""
    rounds = max(1, min(runs, 3))
    samples: dict[str, list[Sample]] = {}
    with ExitStack() as stack:
        stack.callback(lab, "down")
        bring_up("gre")
        ec2 = ec2_client()
        everything_passes(ec2)
        serve()
        for _ in range(rounds):
            for kind in KINDS:
                bring_up(kind)
                samples.setdefault(kind, []).append(sample())
        take_over(ec2)
        ways = by_hand()
        for _ in range(rounds):
            for way, (on_func, on_proxy) in ways.items():
                run(PROXY, CLEAN + on_proxy)
                run(FUNC, CLEAN + on_func)
                samples.setdefault(way, []).append(sample())
    return list(figures(samples))


def figures(samples: dict[str, list[Sample]]) -> Iterator[Figure]:
    """Absolute ones of the base, ratios of all others; where more is better a goal is a lower bound."""
    base = {
        field: statistics.median(getattr(one, field) for one in samples[BASE])
        for field in ("bulk", "packets", "cpu_us")
    }
    units = {"bulk": "Mbit/s", "packets": "packets/s", "cpu_us": "µs"}
    names = {"bulk": "bulk TCP", "packets": "small packets", "cpu_us": "proxy's CPU per packet"}
    for field, unit in units.items():
        yield Figure(
            what=f"{BASE}: {names[field]}",
            unit=unit,
            samples=tuple(getattr(one, field) for one in samples[BASE]),
        )
    for way, found in samples.items():
        if way == BASE:
            continue
        for position, field in enumerate(units):
            goal = GOALS[way][position] if way in GOALS and field != "cpu_us" else None
            yield Figure(
                what=f"{way}: {names[field]}",
                unit="of plain NAT's",
                samples=tuple(getattr(one, field) / base[field] for one in found),
                goal=goal,
                at_least=field != "cpu_us",
            )
    for field in ("bulk", "packets"):
        gre = statistics.median(getattr(one, field) for one in samples["gre"])
        yield Figure(
            what=f"{LIKE_GRE}: {names[field]}",
            unit="of gre's",
            samples=tuple(getattr(one, field) / gre for one in samples[LIKE_GRE]),
            goal=1.0,
            at_least=True,
        )


# ── what is measured ──────────────────────────────────────────────────────────────────────────────────────────────


def sample() -> Sample:
    """Of the way as it is now."""
    run(FUNC, f"ping -c 3 -i 0.2 -W 5 {USER_ADDRESS}")
    bulk = iperf(f"-t {BULK_S}")["end"]["sum_received"]["bits_per_second"] / 1e6
    many = iperf(f"-u -b 0 -l {SMALL_BYTES} -t {SMALL_S}")["end"]["sum"]
    before = busy_us()
    some = iperf(f"-u -b {STEADY_BITS} -l {SMALL_BYTES} -t {SMALL_S}")["end"]["sum"]
    spent = busy_us() - before
    return Sample(bulk=bulk, packets=arrived(many) / many["seconds"], cpu_us=spent / arrived(some))


def arrived(told: Json) -> int:
    """Datagrams, by their receiver."""
    return int(told["packets"] - told["lost_packets"])


def iperf(options: str) -> Json:
    """One client on the func host."""
    return json.loads(run(FUNC, f"iperf3 -c {USER_ADDRESS} -p {PORT} -J {options}"))


def busy_us() -> float:
    """Processor time of the emulator of the proxy so far, by proc_pid_stat(5): its fields 14 and 15."""
    (proxy,) = [host for host in json.loads(lab("status", "--json"))["hosts"] if host["name"] == PROXY]
    for process in Path("/proc").glob("[0-9]*"):
        command = (process / "cmdline").read_bytes().split(b"\0")
        if b"qemu" in command[0] and any(proxy["instance_id"].encode() in word for word in command):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6
    raise LabError(f"{PROXY} has no emulator", hint="is it of another machine's lab?")


# ── the stack's own ways ──────────────────────────────────────────────────────────────────────────────────────────


def bring_up(kind: str) -> None:
    """The reference network with this kind of tunnel, and one proxy."""
    lab("up", "-c", "redundancy=single", "-c", f"tunnel={kind}")


def serve() -> None:
    """The other end."""
    run(USER, f"systemd-run --quiet --unit=bench iperf3 -s -p {PORT}")


def run(host: str, line: str) -> str:
    """As root."""
    return lab("exec", host, "--", "sudo", "bash", "-ec", line)


def everything_passes(ec2: Any) -> None:
    """Between all hosts: what is measured is not the lab's security groups."""
    anything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        if group["GroupName"] == "default":
            continue
        for allow in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
            allow(GroupId=group["GroupId"], IpPermissions=anything)


# ── by hand ───────────────────────────────────────────────────────────────────────────────────────────────────────

TAKEN_OVER = """
nft flush ruleset
ip netns exec tenant-alpha ip link set user1 netns 1
for namespace in $(ls /run/netns); do ip netns delete "$namespace"; done
ip addr add 172.16.101.10/24 dev user1
ip link set user1 up
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.user1.rp_filter=0
ip link set eth0 gro_ipv4_max_size 65536
"""
LEFT_ALONE = """
nft flush ruleset
ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default
ip link del mgre1
ip link set eth0 gro_ipv4_max_size 65536
"""
CLEAN = (
    "nft flush ruleset; for way in vx wg; do ip link del $way 2>/dev/null || true; done; "
    "ip link set eth0 gso_max_segs 65535\n"
)
ROUTED = f"ip route replace {USER_ADDRESS}/32 via 192.168.80.1\n"
NAT = (
    "nft 'add table ip bench; add chain ip bench out { type nat hook postrouting priority srcnat; }; "
    "add rule ip bench out oifname user1 snat to 172.16.101.10'\n"
)
VXLAN = (
    "ip link add vx type vxlan id 1 local {own} remote {other} dstport 4789 dev eth0\n"
    "ip addr add {address}/24 dev vx\nip link set vx up\n"
)
WIREGUARD = (
    "ip link add wg type wireguard\n"
    "wg set wg listen-port 51820 private-key /run/wg.key peer {peer} allowed-ips 0.0.0.0/0 endpoint {other}:51820\n"
    "ip addr add {address}/24 dev wg\nip link set wg mtu 8921 up\n"  # 80 less than the underlay
)
NEW_KEY = "umask 077; wg genkey >/run/wg.key; wg pubkey </run/wg.key"


def take_over(ec2: Any) -> None:
    """Nobody but the benchmark configures these guests from here on."""
    run(FUNC, LEFT_ALONE)
    run(PROXY, TAKEN_OVER)
    routed(ec2, "172.16.101.0/24", of="192.168.80.8", to="192.168.4.4")
    routed(ec2, "192.168.0.0/16", of=USER_ADDRESS, to="172.16.101.10")


def routed(ec2: Any, beyond: str, *, of: str, to: str) -> None:
    """In the VPC of the host `of` an address beyond is reached by the host `to`, which may forward."""
    interfaces = {
        one["PrivateIpAddress"]: one for one in ec2.describe_network_interfaces()["NetworkInterfaces"]
    }
    leg = interfaces[to]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=leg, SourceDestCheck={"Value": False})
    for table in ec2.describe_route_tables()["RouteTables"]:
        if table["VpcId"] == interfaces[of]["VpcId"]:
            ec2.create_route(
                RouteTableId=table["RouteTableId"], DestinationCidrBlock=beyond, NetworkInterfaceId=leg
            )


def by_hand() -> dict[str, tuple[str, str]]:
    """What is done on func host and proxy, by way."""
    keys = {host: run(host, NEW_KEY).strip() for host in (FUNC, PROXY)}
    ways = {
        "plain routing": (ROUTED, ""),
        BASE: (ROUTED, NAT),
        # What a tunnel cannot have here: an emulated NIC hands on 64 KiB that nobody ever cuts into packets.
        f"{BASE}, without segmentation offload": (ROUTED + "ip link set eth0 gso_max_segs 1\n", NAT),
    }
    for name, way, device in (("VXLAN", VXLAN, "vx"), ("WireGuard", WIREGUARD, "wg")):
        on_func = way.format(own="192.168.80.8", other="192.168.4.4", address="10.0.0.3", peer=keys[PROXY])
        on_proxy = way.format(own="192.168.4.4", other="192.168.80.8", address="10.0.0.4", peer=keys[FUNC])
        through = f"ip route replace {USER_ADDRESS}/32 via 10.0.0.4 dev {device}\n"
        ways[name] = (on_func + through, on_proxy + NAT)
    return ways
