"""Plans of particular settings."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from components.plan import (
    CreatedNetwork,
    ExistingNetwork,
    Plan,
    Role,
    func_overlay_interface,
    proxy_overlay_interface,
    sync_interface,
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
    assert plan.remote_of(plan.tenants[0]) == plan.proxies[0].address == IPv4Address("192.168.4.4")
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
        vpc_id="vpc-0123456789abcdef0", subnet_ids=("subnet-0123456789abcdef0",), account_id=None
    )
    assert plan.tenants[0].user_eni_addresses == (None, None)


def test_the_user_eni_of_a_created_network_never_takes_the_instances_address() -> None:
    config = base()
    assert plan_of(config).tenants[1].user_eni_addresses == (IPv4Address("172.17.101.254"),)
    put(config, "tenants[1].create.instance_address", "172.17.101.254")
    assert plan_of(config).tenants[1].user_eni_addresses == (IPv4Address("172.17.101.253"),)


def test_pair() -> None:
    plan = plan_of(base("pair"))
    (pair,) = plan.pairs
    assert [(host.name, str(host.address)) for host in plan.proxies] == [
        ("proxy-0", "192.168.4.4"),
        ("proxy-1", "192.168.4.5"),
    ]
    assert pair.remote == pair.havip == IPv4Address("192.168.4.100")
    zero, one = plan.proxies
    assert (plan.peer_of(zero), plan.peer_of(one)) == (one, zero)
    assert [str(sync_interface(proxy)) for proxy in plan.proxies] == ["169.254.254.1/30", "169.254.254.2/30"]
    alpha, beta = plan.tenants
    assert [str(address) for address in alpha.user_eni_addresses] == ["172.16.101.10", "172.16.101.11"]
    assert (alpha.sync_device, alpha.sync_key) == ("sync1", 2147483649)
    assert str(alpha.havip) == "172.16.101.100"
    assert [str(address) for address in (*beta.user_eni_addresses, beta.havip)] == [
        "172.17.101.254",
        "172.17.101.253",
        "172.17.101.252",
    ]


def test_a_single_proxy_has_no_peer_and_no_havip() -> None:
    plan = plan_of(base())
    assert plan.takeover is None
    assert plan.peer_of(plan.proxies[0]) is None
    assert {tenant.havip for tenant in plan.tenants} == {None}


def test_becoming_a_pair_moves_nobody() -> None:
    single, pair = plan_of(base()), plan_of(base("pair"))
    assert pair.proxies[:1] == single.proxies
    for before, after in zip(single.tenants, pair.tenants, strict=True):
        assert after.user_eni_addresses[:1] == before.user_eni_addresses


@pytest.mark.parametrize("redundancy", ["pair", "single"])
def test_a_further_pair_is_made_where_one_is_full(redundancy: str) -> None:
    """c6in.large has two ENIs to spare. A tenant's place follows from its index, whoever else is there."""
    config = base("pair") | {"redundancy": redundancy}
    config["tenants"][1]["index"] = 4
    plan = plan_of(config)
    alpha, beta = plan.tenants
    assert [(tenant.pair, tenant.slot) for tenant in (alpha, beta)] == [(0, 1), (1, 2)]
    assert [pair.suffix for pair in plan.pairs] == ["", "-1"]
    second = plan.pair_numbered(1)
    both = [("proxy-2", "192.168.4.6"), ("proxy-3", "192.168.4.7")]
    assert [(proxy.name, str(proxy.address)) for proxy in second.proxies] == both[: plan.redundancy.proxies]
    assert str(plan.remote_of(beta)) == ("192.168.4.101" if redundancy == "pair" else "192.168.4.6")
    assert plan.tenants_of(1) == (beta,)
    if redundancy == "pair":
        assert [plan.peer_of(proxy) for proxy in second.proxies] == [*reversed(second.proxies)]


def test_only_pairs_that_have_tenants_are_made_but_always_the_first() -> None:
    config = base("pair")
    del config["tenants"][0]
    config["tenants"][0]["index"] = 7
    assert [pair.number for pair in plan_of(config).pairs] == [0, 3]


def test_fewer_tenants_on_a_pair_than_there_are_enis() -> None:
    config = base("pair")
    config["proxy"]["tenants_per_pair"] = 1
    assert [(tenant.pair, tenant.slot) for tenant in plan_of(config).tenants] == [(0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("region", "scheme", "url", "service"),
    [
        ("us-east-1", "http", "http://ec2.us-east-1.amazonaws.com", "com.amazonaws.us-east-1.ec2"),
        (
            "us-gov-west-1",
            "https",
            "https://ec2.us-gov-west-1.amazonaws.com",
            "com.amazonaws.us-gov-west-1.ec2",
        ),
        ("cn-north-1", "https", "https://ec2.cn-north-1.amazonaws.com.cn", "cn.com.amazonaws.cn-north-1.ec2"),
    ],
)
def test_api_of_the_region(region: str, scheme: str, url: str, service: str) -> None:
    config = base("pair")
    put(config, "aws:region", region)
    put(config, "availability_zone", f"{region}a")
    put(config, "api.scheme", scheme)
    takeover = plan_of(config).takeover
    assert takeover is not None
    assert (takeover.api.url, takeover.api.service) == (url, service)
    assert takeover.api.port == (443 if scheme == "https" else 80)
    assert str(takeover.api.endpoint_address) == "192.168.4.200"


def test_a_way_of_the_operators_has_no_fixed_address() -> None:
    config = base("pair")
    put(config, "api", {"way": "own"})
    takeover = plan_of(config).takeover
    assert takeover is not None
    assert takeover.api.endpoint_address is None


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
            "havip": f"10.{index}.0.100",
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
