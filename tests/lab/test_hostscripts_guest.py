"""The host scripts on the kernels and tools they are for: what needs GRE devices and systemd.

Breaks hosts by hand, each test mending what it broke.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.conftest import LabUnderTest, wait_until
from tests.lab.counters import dropped
from tests.lab.test_path import FUNC, HTTP, IN_TENANT, PROXY, USER_ADDRESS

pytestmark = pytest.mark.lab

USER = "user-alpha"
HOSTS = (FUNC, PROXY, USER)
STATUS = "/opt/causeway/status"


# Takes over what it has not been told to leave alone, as networkd's catch-all does on Debian's cloud images.
TAKES_ALL = """[Match]
Name=other0 cw-* mgre*
[Network]
LinkLocalAddressing=no
"""
OURS = "ip addr show dev {0}; ip route show table all proto 201; ip rule show"


@contextmanager
def networkd(lab: LabUnderTest, host: str) -> Iterator[None]:
    """It runs, and has a device beside ours, with an address that it was not told of."""
    file = "/etc/systemd/network/90-all.network"
    lab.succeed(host, f"cat >{file}", stdin=TAKES_ALL.encode())
    lab.succeed(host, "systemctl unmask systemd-networkd && systemctl start systemd-networkd")
    try:
        lab.succeed(host, "ip link add other0 up type dummy && ip addr add 10.250.0.1/32 dev other0")
        yield
    finally:
        lab.succeed(host, f"rm {file}; ip link delete other0")
        lab.succeed(
            host, "systemctl stop systemd-networkd.socket systemd-networkd; systemctl mask systemd-networkd"
        )


@contextmanager
def state_without(lab: LabUnderTest, host: str, concern: str, edit: str) -> Iterator[None]:
    """For a while, the host's state of a concern as the jq program `edit` makes it."""
    file = f"/etc/causeway/{concern}.json"
    kept = lab.succeed(host, f"cat {file}")
    try:
        lab.succeed(host, f"jq '{edit}' {file} >/run/edited && cat /run/edited >{file}")
        lab.succeed(host, f"/opt/causeway/apply {concern}")
        yield
    finally:
        lab.succeed(host, f"cat >{file}", stdin=kept.encode())
        lab.succeed(host, "/opt/causeway/apply")


@pytest.mark.parametrize("host", HOSTS)
def test_applying_again_changes_nothing(lab: LabUnderTest, host: str) -> None:
    said = lab.succeed(host, "/opt/causeway/apply").splitlines()
    assert said
    assert [line for line in said if not line.endswith(": unchanged")] == []
    concerns = lab.json(host, STATUS)["concerns"]
    assert [name for name, concern in concerns.items() if not concern["in_sync"]] == []


def test_networkd_that_starts_again_takes_nothing_away(lab: LabUnderTest) -> None:
    """It removes what it does not know of the devices that it manages, and routes and rules of anybody."""
    ours = "; ".join(OURS.format(device) for device in ("mgre1", "cw-alpha"))
    before = lab.succeed(FUNC, ours)
    with networkd(lab, FUNC):
        lab.succeed(FUNC, "systemctl restart systemd-networkd")
        wait_until(
            "it has taken an address away",
            lambda: "10.250.0.1" not in lab.succeed(FUNC, "ip addr show dev other0"),
        )
        assert lab.succeed(FUNC, ours) == before
        lab.succeed(FUNC, "/opt/causeway/apply --check")
        lab.succeed(FUNC, HTTP)


def test_a_proxy_has_room_for_a_tenant_that_has_much(lab: LabUnderTest) -> None:
    """The kernel's own limits are those of a host that forwards nothing, and shared by all tenants."""
    memory_kib = int(lab.succeed(PROXY, "awk '/^MemTotal/ {print $2}' /proc/meminfo"))
    limits = lab.succeed(PROXY, "sysctl -n net.netfilter.nf_conntrack_max net.ipv4.neigh.default.gc_thresh3")
    assert [int(limit) for limit in limits.split()] == [memory_kib // 4 // 512 * 512, 65536]


def test_a_bridge_remembers_no_more_macs_than_its_widest_range_has(lab: LabUnderTest) -> None:
    def most() -> int:
        (link,) = lab.json(FUNC, "ip -d -j link show dev cw-alpha")
        return int(link["linkinfo"]["info_data"]["fdb_max_learned"])

    assert most() == 4096
    lab.succeed(FUNC, "ip link set dev cw-alpha type bridge fdb_max_learned 0")
    lab.fail(FUNC, "/opt/causeway/apply --check container")
    lab.succeed(FUNC, "/opt/causeway/apply container")
    assert most() == 4096


# Debian's own begins with a flush at its reload, and ends with one, which takes what it has brought.
RELOAD_NFTABLES = "systemctl start nftables && systemctl reload nftables && systemctl stop nftables"


@pytest.mark.parametrize(
    ("host", "damage"),
    [
        (FUNC, "ip link del mgre1"),
        (FUNC, "ip link set mgre1 mtu 1400"),
        (FUNC, "ip link change mgre1 type gre remote 192.168.4.99 local 192.168.80.8 key 1"),
        (FUNC, "ip route del 172.16.101.0/24"),
        (FUNC, "nft delete table inet causeway_tunnel"),
        (FUNC, "nft delete table arp causeway_arp"),
        (FUNC, "nft flush set inet causeway_tunnel sources"),
        (PROXY, f"{IN_TENANT} ip link del mgre1"),
        (PROXY, f"{IN_TENANT} ip neigh flush dev mgre1 nud permanent"),
        (PROXY, f"{IN_TENANT} ip link set user1 down"),
        (PROXY, f"{IN_TENANT} nft flush ruleset"),
        (PROXY, "nft flush set inet causeway_tunnel peers"),
        (PROXY, "nft flush ruleset"),
        (PROXY, RELOAD_NFTABLES),
        (PROXY, "nft delete table inet causeway_input"),
        (PROXY, "ip netns delete tenant-alpha"),
        (USER, "systemctl stop causeway-echo"),
    ],
)
def test_what_is_damaged_by_hand_is_mended(lab: LabUnderTest, host: str, damage: str) -> None:
    lab.succeed(host, damage)
    if host != USER:
        lab.fail(host, "/opt/causeway/apply --check")
    said = lab.succeed(host, "/opt/causeway/apply")
    assert ": changed\n" in said
    lab.succeed(FUNC, HTTP)
    lab.succeed(host, "/opt/causeway/apply --check")
    assert ": changed\n" not in lab.succeed(host, "/opt/causeway/apply")


def test_a_tunnel_made_anew_gets_its_routes_back(lab: LabUnderTest) -> None:
    lab.succeed(FUNC, "ip link del mgre1; /opt/causeway/apply tunnel")
    lab.succeed(FUNC, HTTP)


def test_a_key_that_is_nobodys_is_dropped_and_counted(lab: LabUnderTest) -> None:
    before = dropped(lab, PROXY, "causeway_tunnel")
    lab.succeed(FUNC, "ip link add stray type gre local 192.168.80.8 remote 192.168.4.4 key 99")
    try:
        lab.succeed(FUNC, "ip addr add 10.0.0.3/32 dev stray; ip link set stray up")
        lab.fail(FUNC, "ping -c 2 -W 1 -I stray 10.0.0.4")
    finally:
        lab.succeed(FUNC, "ip link del stray")
    assert dropped(lab, PROXY, "causeway_tunnel") >= before + 2


@pytest.mark.parametrize("kind", ["", "key 1 csum", "key 1 seq"])
def test_gre_that_is_not_just_keyed_is_dropped_and_counted(lab: LabUnderTest, kind: str) -> None:
    before = dropped(lab, PROXY, "causeway_tunnel")
    lab.succeed(
        FUNC, f"ip link del mgre1; ip link add mgre1 type gre local 192.168.80.8 remote 192.168.4.4 {kind}"
    )
    try:
        # Without its table, which prohibits what has no way, this address may use any.
        lab.succeed(
            FUNC, "ip addr add 10.0.0.3/24 dev mgre1; ip link set mgre1 up; ip route flush table 201000001"
        )
        lab.fail(FUNC, "ping -c 2 -W 1 10.0.0.4")
    finally:
        lab.succeed(FUNC, "ip link del mgre1; /opt/causeway/apply")
    assert dropped(lab, PROXY, "causeway_tunnel") >= before + 2
    lab.succeed(FUNC, "ping -c 1 -W 2 10.0.0.4")


def test_a_func_host_sends_its_own_overlay_address_only(lab: LabUnderTest) -> None:
    before = dropped(lab, FUNC, "causeway_tunnel")
    lab.succeed(FUNC, "ip addr add 10.0.0.77/32 dev lo")
    try:
        lab.fail(FUNC, "ping -c 2 -W 1 -I 10.0.0.77 10.0.0.4")
    finally:
        lab.succeed(FUNC, "ip addr del 10.0.0.77/32 dev lo")
    assert dropped(lab, FUNC, "causeway_tunnel") >= before + 2


def test_the_proxys_root_namespace_never_forwards(lab: LabUnderTest) -> None:
    assert lab.succeed(PROXY, "cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    lab.succeed(PROXY, "echo 1 >/proc/sys/net/ipv4/ip_forward")
    assert "ip_forward=0 (was 1)" in lab.succeed(PROXY, "/opt/causeway/apply forward")
    chains = lab.json(PROXY, "nft -j list chains inet")["nftables"]
    forward = [c["chain"] for c in chains if c.get("chain", {}).get("hook") == "forward"]
    assert [(chain["table"], chain["policy"]) for chain in forward] == [("causeway_tunnel", "drop")]


def test_a_peer_that_left_the_state_is_cut_off(lab: LabUnderTest) -> None:
    with state_without(lab, PROXY, "tunnel", ".tunnels[0].peers = []"):
        lab.fail(FUNC, HTTP)
    lab.succeed(FUNC, HTTP)


def test_a_tenant_that_left_the_state_leaves_the_kernel(lab: LabUnderTest) -> None:
    mac = lab.json(PROXY, "cat /etc/causeway/user_eni.json")["tenants"][0]["mac"]
    with (
        state_without(lab, PROXY, "nat", ".tenants = []"),
        state_without(lab, PROXY, "forward", ".tenants = []"),
        state_without(lab, PROXY, "tunnel", ".tunnels = []"),
        state_without(lab, PROXY, "user_eni", ".tenants = []"),
    ):
        assert "tenant-alpha" not in lab.succeed(PROXY, "ip netns list")
        assert lab.succeed(PROXY, "ip -br link show type gre | grep mgre || true") == ""
        # Back in the root namespace, where what manages NICs may bring it up again: without an address.
        links = {link["address"]: link for link in lab.json(PROXY, "ip -j address")}
        assert [a for a in links[mac]["addr_info"] if a["family"] == "inet"] == []
        lab.fail(FUNC, HTTP)
    lab.succeed(FUNC, HTTP)


@pytest.mark.parametrize(
    ("host", "device", "narrowing", "payload"),
    [
        # The way to the tenant is narrower than the tunnel: the namespace answers the func host …
        (FUNC, USER_ADDRESS, f"{IN_TENANT} ip link set user1 mtu 3000", 6000),
    ],
)
def test_path_mtu_is_discovered(
    lab: LabUnderTest, host: str, device: str, narrowing: str, payload: int
) -> None:
    lab.succeed(PROXY, narrowing)
    try:
        said = lab.fail(host, f"ping -c 2 -W 2 -M do -s {payload} {device}")
        assert "mtu" in said.lower()
    finally:
        lab.succeed(PROXY, "/opt/causeway/apply")
        lab.succeed(host, f"ip route flush cache; ping -c 1 -W 2 {device}")


def test_only_what_is_written_is_received(lab: LabUnderTest) -> None:
    modes = lab.succeed(
        PROXY, "stat -c '%a %U %n' /etc/causeway /etc/causeway/*.json /opt/causeway"
    ).splitlines()
    assert modes[0] == "700 root /etc/causeway"
    assert modes[-1] == "755 root /opt/causeway"
    assert {line.split(" /")[0] for line in modes[1:-1]} == {"600 root"}


def test_the_boot_unit_is_enabled(lab: LabUnderTest) -> None:
    for host in HOSTS:
        assert lab.succeed(host, "systemctl is-enabled causeway").strip() == "enabled"


def test_status_is_json_that_says_what_is(lab: LabUnderTest) -> None:
    told = json.loads(lab.succeed(PROXY, STATUS))["namespaces"]["tenant-alpha"]
    assert told["devices"]["mgre1"]["mtu"] == 9001 - 28
    assert told["neighbours"]["mgre1"] >= 1
    assert told["ip_forward"] == 1
