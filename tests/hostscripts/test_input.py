"""What comes into a proxy's root namespace, on a real kernel.

namespace platform ── eth0 ── root namespace ── ens6 ── namespace user
192.168.4.1           192.168.4.4               172.16.101.10   172.16.101.4
"""

from __future__ import annotations

import sys
from functools import partial

import pytest

from tests.forged_packets import COPIES, FORGE
from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import MAC, NIC, SERVER, client_seen, dropped, no_way
from tests.hostscripts.waiting import wait_until

INPUT = {"local": "192.168.4.4", "func_subnet": "192.168.80.0/24", "user_enis": [MAC]}
PRIMARY = """
ip netns add platform
ip link add eth0 type veth peer name eth0 netns platform
ip addr add 192.168.4.4/24 dev eth0; ip link set eth0 up
ip -n platform addr add 192.168.4.1/24 dev eth0; ip -n platform link set eth0 up
ip -n platform link set lo up
"""
# As a DHCP client does that finds a new NIC.
CONFIGURED_BY_OTHERS = "ip addr add 172.16.101.10/24 dev ens6; ip link set ens6 up"
TO_THE_PRIMARY = "ip -n user route add 192.168.4.4 via 172.16.101.10"
FILE = "/run/root/etc/causeway/input.nft"


@pytest.fixture
def proxy(sandbox: Sandbox) -> Sandbox:
    """A proxy with a service, and its first concern applied; then a user ENI is plugged in and configured."""
    sandbox.run(PRIMARY)
    sandbox.start([sys.executable, "-c", SERVER])
    wait_until("it serves", partial(client_seen, sandbox, "platform", "192.168.4.4"))
    sandbox.apply("input", INPUT)
    sandbox.run(NIC)
    sandbox.run(f"{CONFIGURED_BY_OTHERS}; {TO_THE_PRIMARY}")
    return sandbox


@pytest.mark.parametrize("to", ["172.16.101.10", "192.168.4.4"])
def test_a_user_eni_is_no_way_in(proxy: Sandbox, to: str) -> None:
    before = dropped(proxy, "causeway_input", "")
    assert no_way(proxy, "user", to)
    assert dropped(proxy, "causeway_input", "") > before
    proxy.run("nft delete table inet causeway_input")
    assert client_seen(proxy, "user", to) == "172.16.101.4", "nothing else was in the way"
    assert proxy.apply("input", INPUT)[-1] == "changed"
    assert no_way(proxy, "user", to)


def test_the_primary_nic_is(proxy: Sandbox) -> None:
    assert client_seen(proxy, "platform", "192.168.4.4") == "192.168.4.1"
    assert client_seen(proxy, "", "192.168.4.4") == "192.168.4.4"
    proxy.run("ping -c 1 -W 1 -b 192.168.4.255", "platform", ok=None)
    assert dropped(proxy, "causeway_input", "") == 0
    assert proxy.apply("input", INPUT) == ["unchanged"]


# Of SOURCE, that what goes to another func host is too long for somebody on the way.
FRAG_NEEDED = f"""{FORGE}
said = ip("192.168.4.4", "192.168.80.9", 47, gre(1, b""))
send(ip(sys.argv[1], "192.168.4.4", 1, frag_needed(said, 552)), "192.168.4.4")
"""


@pytest.mark.parametrize(("source", "count"), [("192.168.80.8", COPIES), ("192.168.4.1", 0)])
def test_a_func_host_does_not_say_how_long_others_packets_may_be(
    proxy: Sandbox, source: str, count: int
) -> None:
    proxy.run("ip -n platform addr add 192.168.80.8/32 dev lo; ip route add 192.168.80.0/24 via 192.168.4.1")
    before = dropped(proxy, "causeway_input", "")
    proxy.run([sys.executable, "-c", FRAG_NEEDED, source], "platform")
    assert client_seen(proxy, "platform", "192.168.4.4") == "192.168.4.1"  # what was sent before has arrived
    assert dropped(proxy, "causeway_input", "") == before + count


def test_a_boot_finds_the_same_even_if_nics_change_names(proxy: Sandbox) -> None:
    before = proxy.run("nft -s list table inet causeway_input")
    proxy.run("nft flush ruleset; ip link set ens6 name was-ens6; ip link set eth0 name ens6")
    proxy.run(f"nft -f {FILE}; nft -f {FILE}")
    assert proxy.run("nft -s list table inet causeway_input") == before
    assert no_way(proxy, "user", "172.16.101.10")
    assert client_seen(proxy, "platform", "192.168.4.4") == "192.168.4.1"


def test_networkd_leaves_user_enis_alone(proxy: Sandbox) -> None:
    file = "/run/root/etc/systemd/network/05-causeway-user-eni.network"
    assert proxy.run(["cat", file]) == f"[Match]\nMACAddress={MAC}\n\n[Link]\nUnmanaged=yes\n"
    proxy.apply("input", INPUT | {"user_enis": []})
    proxy.run(["test", "-e", file], ok=False)
