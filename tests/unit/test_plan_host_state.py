"""The desired state of hosts, in the exact shapes that the host scripts read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from components.host_state import (
    echo_state,
    forward_state,
    input_state,
    nat_state,
    packages_state,
    routes_state,
    tunnel_state,
    user_eni_state,
)
from components.plan import Plan
from components.planning import make_plan
from components.settings import load_settings
from tests.unit.plan_strategies import configurations, lightly
from tests.unit.settings_cases import base

MACS = {"alpha": "02:00:00:00:00:0A", "beta": "02:00:00:00:00:0b"}


@pytest.fixture
def plan() -> Plan:
    return make_plan(load_settings(base()), "test")


def test_tunnels_of_a_func_host(plan: Plan) -> None:
    assert tunnel_state(plan, plan.func_hosts[1]) == {
        "local": "192.168.80.9",
        "underlay_mtu": 9001,
        "tunnels": [
            {
                "tenant": "alpha",
                "namespace": None,
                "device": "mgre1",
                "key": 1,
                "remote": "192.168.4.4",
                "address": "10.0.0.5/24",
                "peers": [],
            },
            {
                "tenant": "beta",
                "namespace": None,
                "device": "mgre2",
                "key": 2,
                "remote": "192.168.4.4",
                "address": "10.0.1.6/24",
                "peers": [],
            },
        ],
    }


def test_tunnels_of_a_proxy(plan: Plan) -> None:
    state = tunnel_state(plan, plan.proxies[0])
    assert state["local"] == "192.168.4.4"
    assert state["tunnels"][0] == {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "device": "mgre1",
        "key": 1,
        "remote": None,
        "address": "10.0.0.4/24",
        "peers": [
            {"overlay": "10.0.0.3", "underlay": "192.168.80.8"},
            {"overlay": "10.0.0.5", "underlay": "192.168.80.9"},
            {"overlay": "10.0.0.6", "underlay": "192.168.80.10"},
        ],
    }


def test_a_bastion_has_no_tunnels() -> None:
    plan = make_plan(load_settings(base("existing")), "test")
    assert plan.bastion is not None
    with pytest.raises(ValueError, match="bastion has no tunnels"):
        tunnel_state(plan, plan.bastion)


def test_user_enis(plan: Plan) -> None:
    assert user_eni_state(plan, MACS) == {
        "tenants": [
            {
                "name": "alpha",
                "namespace": "tenant-alpha",
                "device": "user1",
                "mac": "02:00:00:00:00:0a",
                "address": "172.16.101.10",
                "destinations": ["172.16.101.0/24"],
            },
            {
                "name": "beta",
                "namespace": "tenant-beta",
                "device": "user2",
                "mac": "02:00:00:00:00:0b",
                "address": "172.17.101.254",
                "destinations": ["172.17.101.0/24"],
            },
        ]
    }


def test_a_tenant_without_eni_is_an_error(plan: Plan) -> None:
    with pytest.raises(KeyError, match="beta"):
        user_eni_state(plan, {"alpha": MACS["alpha"]})


def test_forwarding(plan: Plan) -> None:
    assert forward_state(plan)["tenants"][0] == {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "tunnel": "mgre1",
        "user": "user1",
        "overlay": "10.0.0.0/24",
        "destinations": ["172.16.101.0/24"],
    }


def test_nat(plan: Plan) -> None:
    assert nat_state(plan) == {
        "tenants": [
            {
                "tenant": "alpha",
                "namespace": "tenant-alpha",
                "user": "user1",
                "overlay": "10.0.0.0/24",
                "snat_to": "172.16.101.10",
            },
            {
                "tenant": "beta",
                "namespace": "tenant-beta",
                "user": "user2",
                "overlay": "10.0.1.0/24",
                "snat_to": "172.17.101.254",
            },
        ]
    }


def test_an_address_that_aws_chooses_is_the_hosts_to_find() -> None:
    existing = make_plan(load_settings(base("existing")), "test")
    (tenant,) = existing.tenants
    (eni,) = user_eni_state(existing, {tenant.name: MACS["alpha"]})["tenants"]
    assert eni["address"] is None
    assert nat_state(existing)["tenants"][0]["snat_to"] is None


def test_routes(plan: Plan) -> None:
    assert routes_state(plan, plan.func_hosts[0])["routes"][0] == {
        "tenant": "alpha",
        "device": "mgre1",
        "source": "10.0.0.3",
        "destinations": ["172.16.101.0/24"],
    }


def test_the_primary_nic_and_the_nics_to_come(plan: Plan) -> None:
    assert input_state(plan, plan.proxies[0], MACS) == {
        "local": "192.168.4.4",
        "user_enis": ["02:00:00:00:00:0a", "02:00:00:00:00:0b"],
    }


def test_packages_and_echo(plan: Plan) -> None:
    assert packages_state(plan)["install"] is False
    assert {"nftables", "jq", "curl"} <= set(packages_state(plan)["packages"])
    assert echo_state() == {"http_port": 8080, "tcp_port": 7007, "udp_port": 7007}


@lightly
@given(configurations())
def test_both_ends_of_every_tunnel_agree(config: dict[str, object]) -> None:
    plan = make_plan(load_settings(config), "test")
    proxy = tunnel_state(plan, plan.proxies[0])
    for host in plan.func_hosts:
        func = tunnel_state(plan, host)
        for near, far in zip(func["tunnels"], proxy["tunnels"], strict=True):
            assert (near["key"], near["remote"]) == (far["key"], proxy["local"])
            overlay = near["address"].split("/")[0]
            assert {"overlay": overlay, "underlay": func["local"]} in far["peers"]


@lightly
@given(configurations())
def test_states_are_json(config: dict[str, object]) -> None:
    plan = make_plan(load_settings(config), "test")
    host = plan.func_hosts[-1]
    macs = {tenant.name: f"02:00:00:00:00:{tenant.index:02x}" for tenant in plan.tenants}
    states: list[object] = [tunnel_state(plan, host), tunnel_state(plan, plan.proxies[0])]
    states += [user_eni_state(plan, macs), forward_state(plan), nat_state(plan), routes_state(plan, host)]
    assert json.loads(json.dumps(states)) == states
