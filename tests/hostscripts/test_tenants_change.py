"""Tenants that come and go: each concern meets states of the others that are older than its own, on a real kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import FORWARD, MAC, NAT, USER_ENI, metadata, tenants

pytestmark = pytest.mark.slow

OTHER_MAC = "02:00:00:00:01:02"
APPLY = "/run/root/opt/causeway/apply"
CONCERNS = ("user_eni", "nat", "forward")
NICS = f"""
ip netns add user
ip link add ens6 address {MAC} type veth peer name wire1 netns user
ip link add ens7 address {OTHER_MAC} type veth peer name wire2 netns user
"""
NAMESPACE_LOST = "ip -n tenant-alpha link set dev user1 netns $$ && ip netns delete tenant-alpha"
States = dict[str, dict[str, Any]]


def states(*names: tuple[str, int, str], snat_to: str | None = None) -> States:
    """Of these tenants: name, index, MAC."""
    common = [
        {"namespace": f"tenant-{name}", "tunnel": f"mgre{index}", "user": f"user{index}"}
        for name, index, _ in names
    ]
    enis = [
        USER_ENI
        | {"name": name, "namespace": f"tenant-{name}", "device": f"user{index}", "mac": mac, "address": None}
        for name, index, mac in names
    ]
    return {
        "user_eni": tenants(*enis),
        "nat": tenants(*(NAT | one | {"snat_to": snat_to} for one in common)),
        "forward": tenants(*(FORWARD | one for one in common)),
    }


def kernel(sandbox: Sandbox) -> dict[str, tuple[str, str, list[str]]]:
    """By tenant namespace: ip_forward, the tables, the devices."""
    found = {}
    for namespace in sandbox.run("ls /run/netns").split():
        if namespace.startswith("tenant-"):
            devices = [link["ifname"] for link in sandbox.json(f"ip -n {namespace} -j link")]
            forward = sandbox.run("cat /proc/sys/net/ipv4/ip_forward", namespace)
            found[namespace] = (forward, sandbox.run("nft -s list ruleset", namespace), devices)
    return found


def applied(sandbox: Sandbox, new: States, order: Sequence[str] = CONCERNS) -> None:
    """As the stack's commands do it: concern after concern, each with its own new state only."""
    for concern in order:
        sandbox.apply(concern, new[concern])


@pytest.fixture
def proxy(sandbox: Sandbox) -> Sandbox:
    """Two NICs, and the tenant alpha on the first."""
    sandbox.run(NICS)
    sandbox.metadata({**metadata(MAC), **metadata(OTHER_MAC, device_number="2")})
    applied(sandbox, states(("alpha", 1, MAC)))
    sandbox.run("ip -n tenant-alpha link add mgre1 type veth peer name there")
    return sandbox


@pytest.mark.parametrize("snat_to", [None, "172.16.101.10"])
@pytest.mark.parametrize(
    "after",
    [
        pytest.param([("gamma", 1, MAC)], id="renamed, with its NIC"),
        pytest.param([("gamma", 1, OTHER_MAC)], id="another one with its index"),
        pytest.param([("gamma", 2, OTHER_MAC)], id="another one instead"),
        pytest.param([("alpha", 2, MAC)], id="another index"),
        pytest.param(
            [("alpha", 2, MAC), ("gamma", 1, OTHER_MAC)], id="one more, with the index of the first"
        ),
        pytest.param([], id="none"),
    ],
)
def test_each_concern_succeeds_and_nothing_of_the_old_remains(
    proxy: Sandbox, after: list[tuple[str, int, str]], snat_to: str | None
) -> None:
    new = states(*after, snat_to=snat_to)
    applied(proxy, new)
    found = kernel(proxy)
    assert found.keys() == {f"tenant-{name}" for name, _, _ in after}
    for name, index, _ in after:
        forward, tables, devices = found[f"tenant-{name}"]
        assert forward == "1\n"
        assert f'oifname "user{index}" ip saddr 10.0.0.0/24 snat to 172.16.101.10' in tables
        assert devices[0] == "lo"
        assert f"user{index}" in devices
    assert "mgre1" not in proxy.run("ip link")
    assert [line for line in proxy.run(APPLY).splitlines() if not line.endswith(": unchanged")] == []


@pytest.mark.parametrize("killed_before", ["nat", "forward"])
@pytest.mark.parametrize("asked_for", ["user_eni", ""])
def test_what_an_apply_that_was_killed_left_undone_is_done_by_the_next(
    proxy: Sandbox, killed_before: str, asked_for: str
) -> None:
    proxy.run("ip -n tenant-alpha link del mgre1")
    whole = kernel(proxy)
    proxy.run(NAMESPACE_LOST)
    script = f"/run/root/opt/causeway/{killed_before}.sh"
    proxy.run(f"mv {script} /run/kept; printf '#!/bin/bash\\nkill -9 $PPID\\n' >{script}; chmod +x {script}")
    proxy.run([APPLY, "user_eni"], ok=False)
    assert kernel(proxy) != whole
    proxy.run(f"mv /run/kept {script}")
    proxy.run([APPLY, *asked_for.split()])
    assert kernel(proxy) == whole


def test_a_follower_that_fails_is_said_and_tried_again_until_it_succeeds(proxy: Sandbox) -> None:
    script = "/run/root/opt/causeway/nat.sh"
    proxy.run(f"{NAMESPACE_LOST}; mv {script} /run/kept; echo false >{script}; chmod +x {script}")
    said = proxy.run([APPLY, "user_eni"])
    assert "causeway: nat: failed\ncauseway: apply: nat stays pending\n" in said
    assert "causeway: nat: failed\n" in proxy.run([APPLY, "forward"])
    proxy.run(f"mv /run/kept {script}")
    assert "causeway: nat: changed\n" in proxy.run([APPLY, "forward"])
    assert "causeway: nat" not in proxy.run([APPLY, "forward"])


def test_a_tenant_without_its_nic_keeps_no_other_from_its_nat(proxy: Sandbox) -> None:
    absent = ("aaron", 2, "02:00:00:00:01:99")
    new = states(absent, ("gamma", 3, OTHER_MAC))
    for concern, succeeds in (("user_eni", False), ("nat", False), ("forward", True)):
        proxy.apply(concern, new[concern], ok=succeeds)
    found = kernel(proxy)
    assert "snat to" in found["tenant-gamma"][1]
    assert "snat to" not in found["tenant-aaron"][1]
