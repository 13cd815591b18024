"""What holds for every plan."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.plan import CreatedNetwork, HostPlan, Plan, TenantPlan, container_gateway
from components.planning import make_plan
from components.settings import load_settings
from components.validation.ranges import free
from tests.unit.plan_strategies import configurations, lightly
from tests.unit.settings_cases import as_single

Config = dict[str, Any]


def plan_of(config: Config) -> Plan:
    return make_plan(load_settings(config), "test")


def hosts_of(plan: Plan) -> Iterator[HostPlan]:
    yield from plan.proxies
    yield from plan.func_hosts
    if plan.bastion:
        yield plan.bastion


def addresses_of_platform(plan: Plan) -> Iterator[IPv4Address]:
    yield from (host.address for host in hosts_of(plan))
    for tenant in plan.tenants:
        yield tenant.proxy_overlay_address
        yield from tenant.func_overlay_addresses
        if gateway := container_gateway(tenant):
            yield gateway.ip
    yield from filter(None, (pair.havip for pair in plan.pairs))
    if plan.takeover:
        yield from filter(None, [plan.takeover.api.endpoint_address])
    if plan.platform.nat_gateway_address:
        yield plan.platform.nat_gateway_address


def addresses_of_tenant(tenant: TenantPlan) -> Iterator[IPv4Address]:
    yield from filter(None, (*tenant.user_eni_addresses, tenant.havip))
    if isinstance(tenant.network, CreatedNetwork):
        yield tenant.network.instance_address


@lightly
@given(configurations())
def test_no_two_things_of_a_network_share_an_address(config: Config) -> None:
    plan = plan_of(config)
    of_platform = list(addresses_of_platform(plan))
    assert len(of_platform) == len(set(of_platform))
    for tenant in plan.tenants:
        addresses = list(addresses_of_tenant(tenant))
        assert len(addresses) == len({*addresses} - {*of_platform})


@lightly
@given(configurations())
def test_names_devices_and_keys_are_unique_and_fit(config: Config) -> None:
    plan = plan_of(config)
    names = [host.name for host in hosts_of(plan)] + [tenant.user_instance_name for tenant in plan.tenants]
    assert len(names) == len(set(names))
    for values in zip(*map(_identity, plan.tenants), strict=True):
        assert len(values) == len(set(values))
    for tenant in plan.tenants:
        devices = (tenant.tunnel_device, tenant.user_device, tenant.sync_device, tenant.bridge)
        assert max(map(len, devices)) <= 15  # IFNAMSIZ without its NUL
        assert len(tenant.user_instance_name) <= 63
        assert 0 < tenant.gre_key < 2**32
        assert 0 < tenant.sync_key < 2**32
    keys = [key for tenant in plan.tenants for key in (tenant.gre_key, tenant.sync_key)]
    assert len(keys) == len(set(keys))


def _identity(tenant: TenantPlan) -> tuple[str | int, ...]:
    devices = (tenant.tunnel_device, tenant.user_device, tenant.sync_device, tenant.bridge)
    return tenant.namespace, *devices, tenant.routing_table


@lightly
@given(configurations())
def test_everything_lies_in_its_network(config: Config) -> None:
    plan = plan_of(config)
    platform = plan.platform
    subnets = [platform.func_subnet, platform.proxy_subnet, *([platform.access_subnet] * bool(plan.bastion))]
    for hosts, subnet in zip((plan.func_hosts, plan.proxies, (plan.bastion,)), subnets, strict=False):
        assert subnet
        assert subnet.subnet_of(platform.vpc_cidr)
        first, last = free(subnet)
        assert all(host and first <= host.address <= last for host in hosts)
    for tenant in plan.tenants:
        inside = [tenant.proxy_overlay_address, *tenant.func_overlay_addresses]
        assert all(tenant.overlay[0] < address < tenant.overlay[-1] for address in inside)
        if isinstance(tenant.network, CreatedNetwork):
            first, last = free(tenant.network.subnet_cidr)
            assert first <= tenant.network.instance_address <= last
            assert len(tenant.user_eni_addresses) == plan.redundancy.proxies
            assert all(eni and first <= eni <= last for eni in tenant.user_eni_addresses)
            assert tenant.havip is None or first <= tenant.havip <= last
    first, last = free(platform.proxy_subnet)
    assert all(first <= (pair.havip or first) <= last for pair in plan.pairs)
    if plan.takeover:
        assert first <= (plan.takeover.api.endpoint_address or first) <= last


@lightly
@given(configurations())
def test_what_a_func_host_routes_is_unambiguous(config: Config) -> None:
    plan = plan_of(config)
    networks = [plan.platform.vpc_cidr]
    for tenant in plan.tenants:
        networks += [tenant.overlay, *tenant.own_cidrs, *filter(None, [tenant.container_cidr])]
        others = [cidr for other in plan.tenants if other is not tenant for cidr in other.cidrs]
        for cidr in tenant.cidrs:
            assert (cidr in tenant.own_cidrs) != any(cidr.overlaps(other) for other in others)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


@lightly
@given(configurations())
def test_the_same_settings_give_the_same_plan(config: Config) -> None:
    assert plan_of(config) == plan_of(deepcopy(config))


@lightly
@given(configurations())
def test_overlay_and_underlay_addresses_map_one_to_one(config: Config) -> None:
    plan = plan_of(config)
    for tenant in plan.tenants:
        pairs = {tenant.func_overlay_addresses[host.index]: host.address for host in plan.func_hosts}
        assert len(pairs) == len(set(pairs.values())) == len(plan.func_hosts)


@lightly
@given(configurations())
def test_a_pair_has_havips_and_a_single_proxy_has_none(config: Config) -> None:
    plan = plan_of(config)
    havips = [tenant.havip for tenant in plan.tenants]
    for pair in plan.pairs:
        assert len(pair.proxies) == (2 if plan.takeover else 1)
        assert pair.remote == (pair.havip if plan.takeover else pair.proxies[0].address)
    assert all(havips) if plan.takeover else not any(havips)


@lightly
@given(configurations())
def test_every_tenant_has_a_place_of_its_own_on_one_pair(config: Config) -> None:
    plan = plan_of(config)
    places = [(tenant.pair, tenant.slot) for tenant in plan.tenants]
    assert len(places) == len(set(places))
    assert all(1 <= tenant.slot <= plan.tenants_per_pair for tenant in plan.tenants)
    assert sorted(tenant.name for pair in plan.pairs for tenant in plan.tenants_of(pair.number)) == sorted(
        tenant.name for tenant in plan.tenants
    )


@lightly
@given(configurations())
def test_losing_the_other_proxy_renumbers_nobody(config: Config) -> None:
    before, after = plan_of(config), plan_of(as_single(config))
    assert after.func_hosts == before.func_hosts
    for one, two in zip(after.pairs, before.pairs, strict=True):
        assert (one.number, one.proxies) == (two.number, two.proxies[:1])
    for old, new in zip(before.tenants, after.tenants, strict=True):
        assert new == replace(old, havip=None, user_eni_addresses=old.user_eni_addresses[:1])


@lightly
@given(configurations(), st.data())
def test_fewer_hosts_renumber_nobody(config: Config, data: st.DataObject) -> None:
    fewer = deepcopy(config)
    fewer["func_hosts"]["count"] = data.draw(st.integers(1, config["func_hosts"]["count"]))
    before, after = plan_of(config), plan_of(fewer)
    assert after.func_hosts == before.func_hosts[: len(after.func_hosts)]
    assert (after.pairs, after.bastion) == (before.pairs, before.bastion)
    for old, new in zip(before.tenants, after.tenants, strict=True):
        assert new.func_overlay_addresses == old.func_overlay_addresses[: len(after.func_hosts)]
        assert new.proxy_overlay_address == old.proxy_overlay_address


@lightly
@given(configurations(), st.data())
def test_fewer_tenants_in_another_order_renumber_nobody(config: Config, data: st.DataObject) -> None:
    before = {tenant.name: tenant for tenant in plan_of(config).tenants}
    shuffled = data.draw(st.permutations(config["tenants"]))
    remaining = shuffled[: data.draw(st.integers(0, len(shuffled)))]
    after = plan_of({**config, "tenants": remaining})
    assert [tenant.name for tenant in after.tenants] == [tenant["name"] for tenant in remaining]
    for tenant in after.tenants:
        was = before[tenant.name]
        assert tenant == replace(was, own_cidrs=tenant.own_cidrs)
        assert set(was.own_cidrs) <= set(tenant.own_cidrs)
