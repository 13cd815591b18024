"""The desired state of hosts, in the exact shapes that the host scripts read."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given

from components.host_state import (
    container_state,
    echo_state,
    forward_state,
    input_state,
    nat_state,
    packages_state,
    pair_state,
    routes_state,
    sync_state,
    tunnel_state,
    user_eni_state,
)
from components.plan import Plan
from components.planning import make_plan
from components.settings import load_settings
from tests.unit.plan_strategies import configurations, lightly
from tests.unit.settings_cases import as_single, base

MACS = {"alpha": "02:00:00:00:00:0A", "beta": "02:00:00:00:00:0b"}


@pytest.fixture
def plan() -> Plan:
    return make_plan(load_settings(base()), "test")


@pytest.fixture
def pair() -> Plan:
    return make_plan(load_settings(base("pair")), "test")


def test_tunnels_of_a_func_host(plan: Plan) -> None:
    assert tunnel_state(plan, plan.func_hosts[1]) == {
        "own": "192.168.80.9",
        "local": "192.168.80.9",
        "underlay_mtu": 9001,
        "tunnel_kind": "gre",
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
    assert state["own"] == state["local"] == "192.168.4.4"
    assert state["tunnels"][0] == {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "device": "mgre1",
        "key": 1,
        "remote": None,
        "address": "10.0.0.4/24",
        "peers": [
            {"overlay": "10.0.0.3", "underlay": "192.168.80.8", "count": 1},
            {"overlay": "10.0.0.5", "underlay": "192.168.80.9", "count": 2},
        ],
    }


def test_tunnels_of_a_pairs_proxy(pair: Plan) -> None:
    zero, one = (tunnel_state(pair, proxy) for proxy in pair.proxies)
    assert (zero["own"], zero["local"]) == ("192.168.4.4", "192.168.4.100")
    assert (one["own"], one["local"]) == ("192.168.4.5", "192.168.4.100")
    assert [tunnel["device"] for tunnel in zero["tunnels"]] == ["mgre1", "mgre2", "sync1", "sync2"]
    assert zero["tunnels"][:2] == one["tunnels"][:2]
    assert zero["tunnels"][2] == {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "device": "sync1",
        "key": 2147483649,
        "remote": "192.168.4.5",
        "address": "169.254.254.1/30",
        "peers": [],
    }


def test_a_pairs_proxies_tell_each_other_of_connections(pair: Plan) -> None:
    assert sync_state(pair, pair.proxies[1])["tenants"][0] == {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "device": "sync1",
        "address": "169.254.254.2",
        "peer": "169.254.254.1",
    }


def test_connections_come_from_the_havip(pair: Plan) -> None:
    zero, one = (nat_state(pair, proxy) for proxy in pair.proxies)
    assert zero == one
    assert [tenant["snat_to"] for tenant in zero["tenants"]] == ["172.16.101.100", "172.17.101.252"]


def test_half_of_a_pair(pair: Plan) -> None:
    state = pair_state(pair, pair.proxies[1], "eni-1", {"alpha": "eni-2", "beta": "eni-3"}, MACS)
    assert state["peer"] is not None
    assert {key: value for key, value in state.items() if key != "havips"} == {
        "own": "192.168.4.5",
        "peer": "192.168.4.4",
        "index": 1,
        "advert_ms": 100,
        "virtual_router_id": 51,
        "region": "us-east-1",
        "api": {"url": "http://ec2.us-east-1.amazonaws.com", "connect_to": "192.168.4.200"},
        "tenants": [
            {
                "namespace": f"tenant-{name}",
                "tunnel": f"mgre{index}",
                "user": f"user{index}",
                "sync": f"sync{index}",
            }
            for index, name in ((1, "alpha"), (2, "beta"))
        ],
    }
    assert state["havips"][:2] == [
        {
            "name": "platform",
            "namespace": None,
            "device": None,
            "eni_id": "eni-1",
            "mac": None,
            "address": "192.168.4.100",
        },
        {
            "name": "alpha",
            "namespace": "tenant-alpha",
            "device": "user1",
            "eni_id": "eni-2",
            "mac": "02:00:00:00:00:0a",
            "address": "172.16.101.100",
        },
    ]


def test_a_single_proxy_is_half_of_nothing(plan: Plan) -> None:
    (proxy,) = plan.proxies
    assert pair_state(plan, proxy, "eni-1", {}, {}) == {"peer": None}
    assert sync_state(plan, proxy) == {"tenants": []}


def test_a_bastion_has_no_tunnels() -> None:
    plan = make_plan(load_settings(base("existing")), "test")
    assert plan.bastion is not None
    with pytest.raises(ValueError, match="bastion has no tunnels"):
        tunnel_state(plan, plan.bastion)


def test_user_enis(plan: Plan) -> None:
    assert user_eni_state(plan, plan.proxies[0], MACS) == {
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
        user_eni_state(plan, plan.proxies[0], {"alpha": MACS["alpha"]})


def test_forwarding(plan: Plan) -> None:
    assert forward_state(plan, plan.proxies[0])["tenants"][0] == {
        "tenant": "alpha",
        "namespace": "tenant-alpha",
        "tunnel": "mgre1",
        "user": "user1",
        "overlay": "10.0.0.0/24",
        "destinations": ["172.16.101.0/24"],
    }


def test_nat(plan: Plan) -> None:
    assert nat_state(plan, plan.proxies[0]) == {
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
    (eni,) = user_eni_state(existing, existing.proxies[0], {tenant.name: MACS["alpha"]})["tenants"]
    assert eni["address"] is None
    single = make_plan(load_settings(as_single(base("existing"))), "test")
    assert nat_state(single, single.proxies[0])["tenants"][0]["snat_to"] is None


def test_routes(plan: Plan) -> None:
    assert routes_state(plan, plan.func_hosts[0])["routes"][0] == {
        "tenant": "alpha",
        "device": "mgre1",
        "source": "10.0.0.3",
        "overlay": "10.0.0.0/24",
        "destinations": ["172.16.101.0/24"],
        "own_destinations": ["172.16.101.0/24"],
        "table": 201000001,
        "bridge": None,
        "containers": None,
    }


def test_what_two_tenants_have_is_no_ones_own() -> None:
    config = base()
    config["tenants"][0]["cidrs"] = ["172.16.101.0/24", "172.16.7.0/24"]
    for key in ("create", "cidrs"):
        config["tenants"][1][key] = config["tenants"][0][key]
    config["tenants"][1]["cidrs"] = ["172.16.96.0/20", "172.16.8.0/24"]
    alpha, beta = make_plan(load_settings(config), "test").tenants
    assert [str(cidr) for cidr in alpha.own_cidrs] == ["172.16.7.0/24"]
    assert [str(cidr) for cidr in beta.own_cidrs] == ["172.16.8.0/24"]


def test_containers_of_a_func_host() -> None:
    config = base()
    config["tenants"][1] |= {"name": "customer-number-two", "container_cidr": "10.88.1.0/24"}
    config["func_hosts"]["pod_cidr"] = "10.244.0.0/16"
    plan = make_plan(load_settings(config), "test")
    state = container_state(plan, plan.func_hosts[1])
    assert state == {
        "own": "192.168.80.9",
        "underlay_mtu": 9001,
        "tunnel_kind": "gre",
        "pods": "10.244.0.0/16",
        "tunnels": [
            {"tenant": "alpha", "device": "mgre1", "source": "10.0.0.5"},
            {"tenant": "customer-number-two", "device": "mgre2", "source": "10.0.1.6"},
        ],
        "bridges": [
            {
                "tenant": "customer-number-two",
                "bridge": "cw-custom-5915d",
                "cidr": "10.88.1.0/24",
                "gateway": "10.88.1.1/24",
                "device": "mgre2",
                "destinations": ["172.17.101.0/24"],
            }
        ],
    }
    alpha, beta = routes_state(plan, plan.func_hosts[1])["routes"]
    assert (alpha["bridge"], alpha["containers"]) == (None, None)
    assert (beta["bridge"], beta["containers"]) == ("cw-custom-5915d", "10.88.1.0/24")
    config["tenants"][1]["name"] = "twelve-bytes"
    assert make_plan(load_settings(config), "test").tenants[1].bridge == "cw-twelve-bytes"


def test_the_primary_nic_and_the_nics_to_come(plan: Plan) -> None:
    assert input_state(plan, plan.proxies[0], MACS) == {
        "local": "192.168.4.4",
        "func_subnet": "192.168.80.0/24",
        "user_enis": ["02:00:00:00:00:0a", "02:00:00:00:00:0b"],
    }


def test_packages_and_echo(plan: Plan) -> None:
    single = packages_state(plan, plan.proxies[0])
    assert single == packages_state(plan, plan.func_hosts[0])
    assert single["install"] is False
    assert {"nftables", "jq", "curl"} <= set(single["packages"])
    assert echo_state() == {"http_port": 8080, "tcp_port": 7007, "udp_port": 7007}


def test_only_a_pairs_proxies_need_what_makes_a_pair(pair: Plan) -> None:
    more = {"keepalived", "conntrackd", "conntrack"}
    assert more <= set(packages_state(pair, pair.proxies[1])["packages"])
    assert not more & set(packages_state(pair, pair.func_hosts[0])["packages"])


@lightly
@given(configurations())
def test_both_ends_of_every_sync_link_agree(config: dict[str, object]) -> None:
    plan = make_plan(load_settings(config), "test")
    for pair in plan.pairs:
        links = [
            [tunnel for tunnel in tunnel_state(plan, proxy)["tunnels"] if tunnel["remote"] is not None]
            for proxy in pair.proxies
        ]
        syncs = [sync_state(plan, proxy)["tenants"] for proxy in pair.proxies]
        if plan.takeover is None:
            assert links == [[]]
            assert syncs == [[]]
            continue
        assert len(links[0]) == len(syncs[0]) == len(plan.tenants_of(pair.number))
        for here, there in ((0, 1), (1, 0)):
            for link, far, sync in zip(links[here], links[there], syncs[here], strict=True):
                assert link["remote"] == tunnel_state(plan, pair.proxies[there])["own"]
                assert (link["key"], link["namespace"]) == (far["key"], sync["namespace"])
                assert link["device"] == far["device"] == sync["device"]
                own, other = (each["address"].split("/")[0] for each in (link, far))
                assert (sync["address"], sync["peer"]) == (own, other)


@lightly
@given(configurations())
def test_both_ends_of_every_tunnel_agree(config: dict[str, object]) -> None:
    """A func host's remote is where a pair listens that has the tenant, and knows the func host."""
    plan = make_plan(load_settings(config), "test")
    host = plan.func_hosts[-1]
    states = {pair.number: tunnel_state(plan, pair.proxies[0]) for pair in plan.pairs}
    for tunnel, tenant in zip(tunnel_state(plan, host)["tunnels"], plan.tenants_by_index, strict=True):
        there = states[tenant.pair]
        assert tunnel["remote"] == there["local"]
        (far,) = [each for each in there["tunnels"] if each["key"] == tunnel["key"]]
        known = [
            (IPv4Address(each["overlay"]) + i, IPv4Address(each["underlay"]) + i)
            for each in far["peers"]
            for i in range(each["count"])
        ]
        assert len(known) == len(plan.func_hosts)
        assert (IPv4Interface(tunnel["address"]).ip, host.address) in known
    assert (
        sum(len(state["tunnels"]) for state in states.values()) == len(plan.tenants) * plan.redundancy.proxies
    )


@lightly
@given(configurations())
def test_states_are_json(config: dict[str, object]) -> None:
    plan = make_plan(load_settings(config), "test")
    host = plan.func_hosts[-1]
    macs = {tenant.name: f"02:00:00:00:00:{tenant.index:02x}" for tenant in plan.tenants}
    ids = {name: f"eni-{mac}" for name, mac in macs.items()}
    states: list[object] = [tunnel_state(plan, host), routes_state(plan, host), container_state(plan, host)]
    for proxy in plan.proxies:
        states += [tunnel_state(plan, proxy), user_eni_state(plan, proxy, macs), nat_state(plan, proxy)]
        states += [
            forward_state(plan, proxy),
            sync_state(plan, proxy),
            pair_state(plan, proxy, "eni-1", ids, macs),
        ]
    assert json.loads(json.dumps(states)) == states
