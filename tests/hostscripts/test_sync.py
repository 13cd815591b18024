"""The services that tell the other proxy of connections, on a real kernel; systemd and conntrackd are stubs."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import (
    FORWARD,
    MAC,
    NAT,
    TUNNEL,
    USER_ENI,
    dropped,
    far_end,
    nic_is_plugged,
    tenants,
)

pytestmark = pytest.mark.slow

SYNC: dict[str, Any] = {
    "tenant": "alpha",
    "namespace": "tenant-alpha",
    "device": "sync1",
    "address": "169.254.254.1",
    "peer": "169.254.254.2",
}
LINK = f"""
{far_end("other")}
ip -n tenant-alpha link add sync1 type veth peer name sync1 netns other
ip -n tenant-alpha addr add 169.254.254.1/30 dev sync1; ip -n tenant-alpha link set dev sync1 up
ip -n other addr add 169.254.254.2/30 dev sync1; ip -n other link set dev sync1 up
"""
CONF = "/run/root/run/causeway/sync/tenant-alpha.conf"
# Whoever gets in is told so.
LISTENER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 3780))
print("ready", flush=True)
while True:
    print(server.recvfrom(100)[1][0], flush=True)
"""


@pytest.fixture
def proxy(sandbox: Sandbox) -> Sandbox:
    """A tenant with a sync link."""
    sandbox.services_are_stubs()
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    sandbox.run(TUNNEL)
    sandbox.run(LINK)
    return sandbox


def asked(sandbox: Sandbox) -> list[str]:
    """What systemctl was asked for since the last call."""
    return sandbox.run("cat /run/systemctl 2>/dev/null; rm -f /run/systemctl").splitlines()


def test_a_service_per_tenant_runs_inside_its_namespace(proxy: Sandbox) -> None:
    assert proxy.apply("sync", tenants(SYNC))[-1] == "changed"
    assert asked(proxy) == ["restart causeway-sync@tenant-alpha.service"]
    text = proxy.run(["cat", CONF])
    assert "IPv4_address 169.254.254.1\n    IPv4_Destination_Address 169.254.254.2" in text
    assert proxy.run(f"stat -c %a {CONF}") == "600\n"
    assert proxy.apply("sync", tenants(SYNC)) == ["unchanged"]
    assert asked(proxy) == []


@pytest.mark.parametrize(
    "damage",
    [
        "rm /run/services/causeway-sync@tenant-alpha.service",
        f"echo >>{CONF}; echo junk >>{CONF}",
        f"rm {CONF}",
        # the process of a namespace that was made anew is still in the old one
        "echo $$ >/run/services/causeway-sync@tenant-alpha.service; exec sleep 0",
    ],
)
def test_what_is_damaged_by_hand_is_mended(proxy: Sandbox, damage: str) -> None:
    proxy.apply("sync", tenants(SYNC))
    asked(proxy)
    proxy.run(damage)
    proxy.apply("sync", tenants(SYNC))
    assert asked(proxy) == ["restart causeway-sync@tenant-alpha.service"]
    assert proxy.apply("sync", tenants(SYNC)) == ["unchanged"]


@pytest.mark.parametrize("again", ["true", "ip netns add tenant-alpha"])
def test_a_service_lets_go_of_a_namespace_that_is_no_more(proxy: Sandbox, again: str) -> None:
    """With it goes the NIC, which the kernel of a proxy gives back then; that of a sandbox has died with it."""
    proxy.apply("sync", tenants(SYNC))
    asked(proxy)
    proxy.run(f"ip netns delete tenant-alpha; {again}")
    said = proxy.apply("user_eni", tenants(USER_ENI), ok=False)
    assert f"waited in vain for a NIC with MAC {MAC}" in said
    assert asked(proxy) == ["stop causeway-sync@tenant-alpha.service"]


def test_a_tenant_that_is_gone_leaves_nothing(proxy: Sandbox) -> None:
    proxy.apply("sync", tenants(SYNC))
    asked(proxy)
    proxy.apply("sync", tenants())
    assert "stop causeway-sync@tenant-alpha.service" in asked(proxy)
    assert proxy.run("ls /run/root/run/causeway/sync /run/services") == (
        "/run/root/run/causeway/sync:\n\n/run/services:\n"
    )
    assert proxy.apply("sync", tenants()) == ["unchanged"]


def test_a_tenant_without_its_link_keeps_no_other_waiting(proxy: Sandbox) -> None:
    absent = SYNC | {"tenant": "aaron", "namespace": "tenant-aaron", "device": "sync2"}
    said = proxy.apply("sync", tenants(absent, SYNC), ok=False)
    assert "error: not there: sync2 in tenant-aaron" in said
    assert asked(proxy) == ["restart causeway-sync@tenant-alpha.service"]


@pytest.mark.parametrize("key", ["namespace", "device", "address", "peer"])
def test_a_state_that_is_refused_touches_nothing(proxy: Sandbox, key: str) -> None:
    said = proxy.apply("sync", tenants(SYNC | {key: "x; reboot"}), ok=False)
    assert "not valid" in "".join(said)
    assert asked(proxy) == []


def test_the_others_messages_come_in_by_the_sync_link_only(proxy: Sandbox) -> None:
    proxy.apply("nat", tenants(NAT))
    proxy.apply("forward", tenants(FORWARD))
    listener = proxy.start([sys.executable, "-c", LISTENER], "tenant-alpha")
    assert listener.stdout is not None
    assert listener.stdout.readline() == "ready\n"
    before = dropped(proxy)
    proxy.run("echo x >/dev/udp/172.16.101.10/3780", "user")
    proxy.run("echo x >/dev/udp/10.0.0.4/3780", "func")
    proxy.run("echo x >/dev/udp/169.254.254.1/22", "other")
    proxy.run("echo x >/dev/udp/169.254.254.1/3780", "other")
    assert listener.stdout.readline() == "169.254.254.2\n"
    assert dropped(proxy) == before + 3


def test_nothing_is_forwarded_from_the_sync_link(proxy: Sandbox) -> None:
    proxy.apply("nat", tenants(NAT))
    proxy.apply("forward", tenants(FORWARD))
    proxy.run("ip route add 172.16.101.0/24 via 169.254.254.1", "other")
    before = dropped(proxy)
    proxy.run("echo x >/dev/udp/172.16.101.4/8080", "other")
    assert dropped(proxy) == before + 1
