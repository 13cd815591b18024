"""The user ENI's way into its tenant's namespace, on a real kernel."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import MAC, USER_ENI, metadata, nic_is_plugged, tenants

pytestmark = pytest.mark.slow


def addresses(sandbox: Sandbox, namespace: str = "tenant-alpha", device: str = "user1") -> list[str]:
    """IPv4 addresses of a device."""
    (link,) = sandbox.json(f"ip -n {namespace} -j -4 addr show dev {device}")
    return [f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"]]


def routes(sandbox: Sandbox) -> dict[str, str]:
    """Destination → gateway, of routes with a gateway in the tenant's namespace."""
    found = sandbox.json("ip -n tenant-alpha -j route")
    return {route["dst"]: route["gateway"] for route in found if "gateway" in route}


@pytest.fixture(scope="module")
def configured(shared_sandbox: Sandbox) -> Sandbox:
    """The user ENI is in its place. A test that changes that proves that it is as before."""
    nic_is_plugged(shared_sandbox)
    shared_sandbox.apply("user_eni", tenants(USER_ENI))
    return shared_sandbox


def test_it_is_found_by_mac_moved_and_configured(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.run("ip link add ens5 type veth peer name ens7")
    assert sandbox.apply("user_eni", tenants(USER_ENI))[-1] == "changed"
    assert addresses(sandbox) == ["172.16.101.10/24"]
    assert routes(sandbox) == {"172.16.102.0/24": "172.16.101.1"}
    (link,) = sandbox.json("ip -n tenant-alpha -j link show dev user1")
    assert (link["mtu"], link["address"]) == (9001, MAC)
    sandbox.run("ip link show dev ens6", ok=False)
    assert sandbox.apply("user_eni", tenants(USER_ENI)) == ["unchanged"]


def test_a_namespace_is_born_closed(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.run("echo 1 >/proc/sys/net/ipv4/ip_forward")
    sandbox.apply("user_eni", tenants(USER_ENI))
    assert sandbox.run("cat /proc/sys/net/ipv4/ip_forward", "tenant-alpha") == "0\n"
    chains = sandbox.json("nft -j list chains inet", "tenant-alpha")["nftables"]
    found = {chain["chain"]["hook"]: chain["chain"]["policy"] for chain in chains if "chain" in chain}
    assert (found["forward"], found["input"]) == ("drop", "drop")


def test_a_namespace_that_cannot_be_closed_is_not_born(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.run("mount --bind /bin/false /usr/sbin/nft")
    sandbox.apply("user_eni", tenants(USER_ENI), ok=False)
    assert sandbox.run("ls /run/netns") == "user\n"
    sandbox.run("ip link show dev ens6")


def test_an_address_of_the_clouds_choice(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI | {"address": None}))
    assert addresses(sandbox) == ["172.16.101.10/24"]


@pytest.mark.parametrize(
    "damage",
    [
        "ip -n tenant-alpha addr flush dev user1",
        "ip -n tenant-alpha link set dev user1 down",
        "ip -n tenant-alpha link set dev user1 mtu 1400",
        "ip -n tenant-alpha route del 172.16.102.0/24",
        "ip -n tenant-alpha route add 172.16.103.0/24 via 172.16.101.1 dev user1 proto 201",
        f"ip -n tenant-alpha link set dev user1 down name eth7 netns $$; ip link show | grep {MAC}",
        "ip -n tenant-alpha link set dev user1 down; ip -n tenant-alpha link set dev user1 name eth7",
        "ip -n tenant-alpha link set dev user1 netns $$ && ip netns del tenant-alpha",
    ],
)
def test_what_is_damaged_by_hand_is_mended(configured: Sandbox, damage: str) -> None:
    configured.run(damage)
    assert configured.apply("user_eni", tenants(USER_ENI))[-1] == "changed"
    assert addresses(configured) == ["172.16.101.10/24"]
    assert routes(configured) == {"172.16.102.0/24": "172.16.101.1"}
    assert configured.apply("user_eni", tenants(USER_ENI)) == ["unchanged"]


def test_an_address_that_somebody_else_added_stays(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    sandbox.run("ip -n tenant-alpha addr add 172.16.101.100/32 dev user1")
    assert sandbox.apply("user_eni", tenants(USER_ENI)) == ["unchanged"]
    assert "172.16.101.100/32" in addresses(sandbox)


def test_a_tenant_that_is_gone_leaves_nothing(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    sandbox.apply("user_eni", tenants())
    assert "tenant-alpha" not in sandbox.run("ip netns list")
    (nic,) = [link for link in sandbox.json("ip -j link") if link["address"] == MAC]
    assert "UP" not in nic["flags"]
    assert sandbox.apply("user_eni", tenants()) == ["unchanged"]
    assert sandbox.apply("user_eni", tenants(USER_ENI))[-1] == "changed"
    assert addresses(sandbox) == ["172.16.101.10/24"]


def test_a_nic_changes_tenants(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    other = USER_ENI | {"name": "beta", "namespace": "tenant-beta", "device": "user2"}
    sandbox.apply("user_eni", tenants(other))
    assert addresses(sandbox, "tenant-beta", "user2") == ["172.16.101.10/24"]


def test_one_that_is_not_attached_does_not_keep_the_others_waiting(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    absent = USER_ENI | {"namespace": "tenant-beta", "device": "user2", "mac": "02:00:00:00:01:02"}
    said = sandbox.apply("user_eni", tenants(absent, USER_ENI), ok=False)
    assert "error: not attached to this instance: 02:00:00:00:01:02" in said
    assert addresses(sandbox) == ["172.16.101.10/24"]


def test_one_that_the_metadata_knows_and_the_kernel_does_not(sandbox: Sandbox) -> None:
    sandbox.metadata(metadata())
    said = sandbox.apply("user_eni", tenants(USER_ENI), ok=False)
    assert f"waited in vain for a NIC with MAC {MAC}" in said


def test_the_primary_nic_is_never_moved(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.metadata(metadata(device_number="0"))
    said = sandbox.apply("user_eni", tenants(USER_ENI), ok=False)
    assert f"error: {MAC} is this instance's primary NIC, not a user ENI" in said
    sandbox.run("ip link show dev ens6")


def test_what_a_dhcp_client_made_of_it_before_is_gone(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.run("ip link set ens6 up; ip addr add 192.0.2.1/24 dev ens6; ip route add default via 192.0.2.2")
    sandbox.apply("user_eni", tenants(USER_ENI))
    assert addresses(sandbox) == ["172.16.101.10/24"]
    assert routes(sandbox) == {"172.16.102.0/24": "172.16.101.1"}
    assert sandbox.run("ip route") == ""


def test_networkd_leaves_one_alone_that_was_sent_home(sandbox: Sandbox) -> None:
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    sandbox.apply("user_eni", tenants())
    file = "/run/root/etc/systemd/network/05-causeway-user-eni-at-home.network"
    pattern = sandbox.run(["cat", file]).splitlines()[1].removeprefix("Name=")
    (nic,) = [link for link in sandbox.json("ip -j link") if link["address"] == MAC]
    assert fnmatchcase(nic["ifname"], pattern)
