"""Plans of particular settings."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from components.plan import (
    CreatedNetwork,
    ExistingNetwork,
    Plan,
    Role,
    func_overlay_interface,
    proxy_overlay_interface,
)
from components.planning import make_plan
from components.settings import load_settings
from tests.unit.settings_cases import base, put

PURE = ["components.planning", "components.host_state", "components.settings", "components.schema"]


def plan_of(config: dict[str, Any]) -> Plan:
    return make_plan(load_settings(config), "test")


def test_reference_network() -> None:
    plan = plan_of(base())
    assert [(host.name, str(host.address)) for host in plan.func_hosts] == [
        ("func-0", "192.168.80.8"),
        ("func-1", "192.168.80.9"),
        ("func-2", "192.168.80.10"),
    ]
    assert plan.tunnel_remote == plan.proxies[0].address == IPv4Address("192.168.4.4")
    assert plan.tunnel_mtu == 8973
    assert plan.architecture == "amd64"
    assert plan.bastion is None
    alpha = plan.tenants[0]
    assert isinstance(alpha.network, CreatedNetwork)
    assert (alpha.namespace, alpha.tunnel_device, alpha.user_device) == ("tenant-alpha", "mgre1", "user1")
    assert proxy_overlay_interface(alpha) == IPv4Interface("10.0.0.4/24")
    assert func_overlay_interface(alpha, plan.func_hosts[0]) == IPv4Interface("10.0.0.3/24")


def test_func_hosts_skip_the_proxys_overlay_address() -> None:
    alpha = plan_of(base()).tenants[0]
    assert [str(address) for address in alpha.func_overlay_addresses] == ["10.0.0.3", "10.0.0.5", "10.0.0.6"]


def test_func_hosts_above_the_proxy_skip_nothing() -> None:
    beta = plan_of(base()).tenants[1]
    assert [str(address) for address in beta.func_overlay_addresses] == ["10.0.1.5", "10.0.1.6", "10.0.1.7"]


def test_bastion_and_existing_network() -> None:
    plan = plan_of(base("existing"))
    assert plan.bastion is not None
    assert (plan.bastion.role, plan.bastion.name) == (Role.BASTION, "bastion")
    assert plan.bastion.address == IPv4Address("10.64.0.4")
    assert plan.platform.nat_gateway_address == IPv4Address("10.64.0.5")
    assert plan.architecture == "arm64"
    assert plan.tenants[0].network == ExistingNetwork(
        vpc_id="vpc-0123456789abcdef0", subnet_id="subnet-0123456789abcdef0", account_id=None
    )
    assert plan.tenants[0].user_eni_address is None


def test_the_user_eni_of_a_created_network_never_takes_the_instances_address() -> None:
    config = base()
    assert str(plan_of(config).tenants[1].user_eni_address) == "172.17.101.254"
    put(config, "tenants[1].create.instance_address", "172.17.101.254")
    assert str(plan_of(config).tenants[1].user_eni_address) == "172.17.101.253"


def test_overlay_is_used_to_its_last_address() -> None:
    config = base()
    put(config, "tenants[0].overlay.first_func", "10.0.0.252")
    assert str(plan_of(config).tenants[0].func_overlay_addresses[-1]) == "10.0.0.254"


def test_func_subnet_is_used_to_its_last_address() -> None:
    config = base()
    put(config, "func_hosts.count", 247)
    assert str(plan_of(config).func_hosts[-1].address) == "192.168.80.254"


def test_tags_name_the_stack_and_are_the_operators_to_add() -> None:
    config = base()
    put(config, "tags", {"Team": "edge"})
    assert plan_of(config).tags == {"Project": "causeway", "Stack": "test", "Team": "edge"}


def test_own_instance_type() -> None:
    config = base("existing")
    put(
        config, "instance_types", {"x9gn.large": {"architecture": "arm64", "enis": 3, "addresses_per_eni": 9}}
    )
    put(config, "proxy.instance_type", "x9gn.large")
    assert plan_of(config).architecture == "arm64"


def test_thousand_hosts_and_many_tenants() -> None:
    config = base("existing")
    put(config, "platform.func_subnet", "10.64.16.0/20")
    put(config, "proxy.instance_type", "c7gn.16xlarge")
    put(config, "func_hosts.count", 1000)
    config["tenants"] = [
        {
            "name": f"tenant-{index}",
            "index": index,
            "vpc_id": "vpc-0123456789abcdef0",
            "subnet_id": "subnet-0123456789abcdef0",
            "cidrs": [f"10.{index}.0.0/16"],
            "overlay": {
                "cidr": f"100.{64 + index}.0.0/20",
                "proxy": f"100.{64 + index}.0.4",
                "first_func": f"100.{64 + index}.0.5",
            },
        }
        for index in range(1, 15)
    ]
    plan = plan_of(config)
    assert len(plan.func_hosts) == 1000
    assert {len(tenant.func_overlay_addresses) for tenant in plan.tenants} == {1000}


def test_settings_and_plan_know_no_pulumi() -> None:
    code = f"import sys, {', '.join(PURE)}; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
