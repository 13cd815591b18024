"""Another overlay address on a device that stays: what else the kernel drops with the old one comes back.

The kernel need not know GRE: a veth is called mgre1, and what `ip` says of it, and is told, is translated.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from tests.hostscripts.container_network import route
from tests.hostscripts.sandbox import Sandbox

pytestmark = pytest.mark.slow

APPLY = ("env", "CAUSEWAY_PATH=/run/stubs:/usr/sbin:/usr/bin:/sbin:/bin", "/run/root/opt/causeway/apply")
# A veth's neighbours have MACs where a GRE device's have addresses: 192.168.80.8 is 02:00:c0:a8:50:08.
IP = r"""#!/bin/bash
gre='{"info_kind": "gre", "info_data":
  {"local": "192.168.4.4", "remote": "%s", "ikey": "0.0.0.1", "okey": "0.0.0.1"}}'
case "$*" in
  "fou show") echo "port 4754 ipproto 47" ;;
  *-j*) /sbin/ip "$@" | sed -E 's/"02:00:c0:a8:50:0([0-9])"/"192.168.80.\1"/g' |
    jq -c --argjson gre "$gre" 'map(if .ifname == "mgre1" then .linkinfo = $gre else . end)' ;;
  *) sed -E 's/lladdr 192\.168\.80\.([0-9]) /lladdr 02:00:c0:a8:50:0\1 /' | /sbin/ip "$@" ;;
esac
"""
UNDERLAY = """
ip link add eth0 type veth peer name wire
ip addr add 192.168.4.4/16 dev eth0; ip link set eth0 up
ip link add mgre1 type veth peer name there; ip link set there up
"""
NEIGHBOURS = {3: "192.168.80.8", 5: "192.168.80.9"}


def host(sandbox: Sandbox, remote: str) -> Sandbox:
    """With an mgre1 in its root namespace."""
    sandbox.run(UNDERLAY)
    sandbox.run(
        "mkdir /run/stubs; cat >/run/stubs/ip; chmod +x /run/stubs/ip", stdin=IP.replace("%s", remote)
    )
    return sandbox


def applied(sandbox: Sandbox, **tunnel: Any) -> str:
    """The concern alone, as the stack's command for it does; what was done."""
    common = {"tenant": "alpha", "device": "mgre1", "key": 1}
    state = {"local": "192.168.4.4", "underlay_mtu": 9001, "tunnels": [common | tunnel]}
    sandbox.state("tunnel", state)
    return sandbox.run([*APPLY, "tunnel"])


def of_a_proxy(address: str) -> dict[str, Any]:
    """Its tunnel, with peers in the same overlay."""
    first = IPv4Network(address, strict=False)[0]
    peers = [
        {"overlay": str(first + last), "underlay": underlay, "count": 1}
        for last, underlay in NEIGHBOURS.items()
    ]
    return {"namespace": "tenant-alpha", "remote": None, "address": address, "peers": peers}


def neighbours(sandbox: Sandbox) -> set[str]:
    """Those that are permanent."""
    found = sandbox.json("ip -n tenant-alpha -j neigh show nud permanent dev mgre1")
    return {neighbour["dst"] for neighbour in found}


@pytest.fixture
def proxy(sandbox: Sandbox) -> Sandbox:
    """The tenant alpha's namespace has the tunnel 10.0.0.4/24 with two neighbours."""
    host(sandbox, "any")
    sandbox.run("ip netns add tenant-alpha; ip link set mgre1 netns tenant-alpha")
    applied(sandbox, **of_a_proxy("10.0.0.4/24"))
    assert neighbours(sandbox) == {"10.0.0.3", "10.0.0.5"}
    return sandbox


@pytest.mark.parametrize(
    ("address", "beside"),
    [
        pytest.param("10.0.0.9/24", "", id="in the same overlay"),
        pytest.param("10.0.0.4/25", "", id="with another prefix length"),
        pytest.param("10.9.0.4/24", "", id="in another overlay"),
        pytest.param("10.0.0.9/24", "10.0.0.9/24", id="there already, beside the old one"),
    ],
)
def test_another_address_keeps_the_way_to_the_neighbours(proxy: Sandbox, address: str, beside: str) -> None:
    if beside:
        proxy.run(f"ip -n tenant-alpha addr add {beside} dev mgre1")
    wanted = of_a_proxy(address)
    applied(proxy, **wanted)
    assert neighbours(proxy) == {peer["overlay"] for peer in wanted["peers"]}
    (link,) = proxy.json("ip -n tenant-alpha -j -4 addr show dev mgre1")
    assert [f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]] == [address]
    assert applied(proxy, **wanted).splitlines() == ["causeway: tunnel: unchanged"]


def test_an_address_beside_the_wanted_one_goes_alone(proxy: Sandbox) -> None:
    proxy.run("ip -n tenant-alpha addr add 10.0.0.9/24 dev mgre1")
    said = applied(proxy, **of_a_proxy("10.0.0.4/24"))
    assert said.splitlines() == [
        "causeway: tunnel: tenant-alpha: ip addr del 10.0.0.9/24 dev mgre1",
        "causeway: tunnel: changed",
    ]
    assert neighbours(proxy) == {"10.0.0.3", "10.0.0.5"}


def test_a_func_hosts_routes_come_back_with_its_address(sandbox: Sandbox) -> None:
    host(sandbox, "192.168.80.8")
    tunnel: dict[str, Any] = {"namespace": None, "remote": "192.168.80.8", "peers": []}
    applied(sandbox, address="10.0.0.3/24", **tunnel)
    sandbox.apply(
        "routes", {"routes": [route("alpha", 1, shared=False) | {"bridge": None, "containers": None}]}
    )
    before = sandbox.run("ip route show table all proto 201")
    assert "172.16.101.0/24 dev mgre1" in before
    applied(sandbox, address="10.0.0.3/25", **tunnel)
    assert sandbox.run("ip route show table all proto 201") == before
