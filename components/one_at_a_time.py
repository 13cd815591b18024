"""Changes that one update cannot make together: connections would be cut unsaid, or it would fail halfway."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from components.open_connections import changes_of, fates, planned_path
from components.plan import CreatedNetwork, HostPlan, Plan, Redundancy, Role, TenantPlan
from components.previous import Path, Previous
from components.settings import Problem
from components.validation.quota import OWN_RULES, RULES

Addresses = Mapping[str, IPv4Address]
INSTANCE, ENDPOINT = "the user instance", "the API's endpoint"


def changes_at_once(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """Those of which each needs an update of its own."""
    yield from _redundancy_and_more(plan, previous)
    yield from _zone_and_same_subnets(plan, previous)
    yield from _neighbours_addresses(plan, previous)
    yield from _subnets_in_the_way(plan, previous)
    yield from _rules_of_both(plan, previous)


def _redundancy_and_more(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """Nobody stands in for a single proxy yet, or for one that is single from now on."""
    if previous.redundancy in (None, plan.redundancy):
        return
    if plan.redundancy is Redundancy.PAIR and previous.tunnel not in (None, plan.tunnel):
        # The outputs wait for both changes, and do not know the second proxy until then.
        yield Problem(
            key="redundancy",
            value=plan.redundancy.value,
            rule=f"changes from {previous.redundancy} while the tunnels change from {previous.tunnel}: after an update "
            "that fails on its way the next one would not know that there is a second proxy",
            way_out="make the two changes in two updates",
        )
    also = [f"{proxy.name} {fate}" for proxy in plan.proxies for fate in _fates_of(proxy, plan, previous)]
    for tenant in plan.tenants:
        was = previous.paths.get(tenant.name)
        if was is not None:
            moved = changes_of(was.eni_addresses, planned_path(plan, tenant).eni_addresses)
            also.extend(
                f"{tenant.name} gets another ENI address on {proxy}, {change}" for proxy, change in moved
            )
    if also:
        yield Problem(
            key="redundancy",
            value=plan.redundancy.value,
            rule=f"changes from {previous.redundancy} while {'; '.join(also)}: all connections would be cut",
            way_out="make the two changes in two updates",
        )


def _fates_of(host: HostPlan, plan: Plan, previous: Previous) -> Iterator[str]:
    was = previous.machines.get(host.name)
    if was is not None:
        yield from fates(plan, was, host)


def _zone_and_same_subnets(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """A subnet is of one zone. AWS makes no second one of the same addresses while the first is there."""
    zone = previous.ground.get("availability_zone", plan.availability_zone)
    if zone == plan.availability_zone or not _is_same_vpc(plan, previous):
        return
    subnets = (plan.platform.func_subnet, plan.platform.proxy_subnet, plan.platform.access_subnet)
    there = [m.address for m in previous.machines.values() if m.role is not Role.USER]
    taken = [str(subnet) for subnet in subnets if subnet and any(address in subnet for address in there)]
    if taken:
        yield Problem(
            key="availability_zone",
            value=plan.availability_zone,
            rule=f"is another than {zone}, where subnets of the same addresses are: {', '.join(taken)}",
            way_out="give every subnet of the platform other addresses in the same update, or platform.vpc_cidr",
        )


def _neighbours_addresses(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """What is to get an address is made before its neighbour, of whatever kind, or beside it, gives it up."""
    if _is_same_vpc(plan, previous):
        yield from _taken(_in_platform_before(previous), _in_platform(plan))
    for position, tenant in enumerate(plan.tenants):
        was, now = previous.paths.get(tenant.name), planned_path(plan, tenant)
        if was is not None and was.network == now.network and _is_same_region(plan, previous):
            instance = previous.machines.get(tenant.user_instance_name)
            at_home = {} if instance is None else {INSTANCE: instance.address}
            yield from _taken(
                {**_enis(was), **_user_havip(was), **at_home},
                _in_network(f"tenants[{position}]", tenant, now),
            )
        yield from _of_another_tenant(f"tenants[{position}]", tenant, now, previous)


def _in_platform_before(previous: Previous) -> Addresses:
    machines = {name: m.address for name, m in previous.machines.items() if m.role is not Role.USER}
    endpoint = {} if previous.api_endpoint is None else {ENDPOINT: previous.api_endpoint}
    return machines | endpoint | {_havip_of(number): address for number, address in previous.havips.items()}


def _in_platform(plan: Plan) -> dict[str, Addresses]:
    """By setting."""
    endpoint = None if plan.takeover is None else plan.takeover.api.endpoint_address
    return {
        "proxy.first_address": {host.name: host.address for host in plan.proxies},
        "func_hosts.first_address": {host.name: host.address for host in plan.func_hosts},
        "proxy.havip": {_havip_of(pair.number): pair.havip for pair in plan.pairs if pair.havip is not None},
        "api.endpoint_address": {} if endpoint is None else {ENDPOINT: endpoint},
    }


def _in_network(key: str, tenant: TenantPlan, now: Path) -> dict[str, Addresses]:
    """Likewise."""
    created = tenant.network if isinstance(tenant.network, CreatedNetwork) else None
    return {
        f"{key}.user_eni_address": _enis(now),
        f"{key}.havip": _user_havip(now),
        f"{key}.create.instance_address": {} if created is None else {INSTANCE: created.instance_address},
    }


def _havip_of(pair: int) -> str:
    return f"pair {pair}'s HaVip"


def _enis(path: Path) -> Addresses:
    return {f"{proxy}'s ENI": address for proxy, address in path.eni_addresses.items()}


def _user_havip(path: Path) -> Addresses:
    return {} if path.havip is None else {"the HaVip": path.havip}


def _of_another_tenant(key: str, tenant: TenantPlan, now: Path, previous: Previous) -> Iterator[Problem]:
    """In one subnet, what a tenant gives up it gives up last. ENIs stay with their place on the proxies.

    Networks that the stack makes are a tenant's own, whatever their addresses.
    """
    if isinstance(tenant.network, CreatedNetwork):
        return
    for name, was in previous.paths.items():
        if name == tenant.name or was.network != now.network:
            continue
        there = previous.places.get(name)
        stays = there is not None and (there.pair, there.slot) == (tenant.pair, tenant.slot)
        enis = {} if stays and was.eni_addresses == now.eni_addresses else was.eni_addresses
        had = {*was.eni_addresses.values(), was.havip}
        claims = {
            "user_eni_address": [a for a in now.eni_addresses.values() if a in {*enis.values(), was.havip}],
            "havip": [] if now.havip is None or now.havip not in had else [now.havip],
        }
        for setting, addresses in claims.items():
            if addresses:
                yield Problem(
                    key=f"{key}.{setting}",
                    value=str(addresses[0]),
                    rule=f"is {name}'s until later in the update",
                    way_out=f"remove {name}, or give it another address, run up, and then add {tenant.name}",
                )


def _subnets_in_the_way(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """What stands in a subnet is made anew in the next one before the subnet goes, and AWS makes none that overlap."""
    if _is_same_vpc(plan, previous):
        yield from _overlapping("platform.", plan.platform.subnets, previous.subnets)
    for position, tenant in enumerate(plan.tenants):
        was, now = previous.paths.get(tenant.name), planned_path(plan, tenant)
        if was is not None and was.vpc == now.vpc and was.subnet and now.subnet:
            yield from _overlapping(
                f"tenants[{position}].create.", {"subnet_cidr": now.subnet}, {"subnet_cidr": was.subnet}
            )


def _overlapping(
    prefix: str, now: Mapping[str, IPv4Network], was: Mapping[str, IPv4Network]
) -> Iterator[Problem]:
    for key, subnet in now.items():
        there = [str(other) for other in was.values() if subnet.overlaps(other)]
        if there and was.get(key) != subnet:
            yield Problem(
                key=f"{prefix}{key}",
                value=str(subnet),
                rule=f"overlaps {', '.join(there)}, which is there until all that stands in it has moved",
                way_out="choose addresses that no subnet of the stack has; or go by way of such, in two updates",
            )


def _rules_of_both(plan: Plan, previous: Previous) -> Iterator[Problem]:
    """New rules of a security group are made before old ones go."""
    yield from _too_many(
        "access.operator_cidrs", previous.operator_cidrs, plan.access.operator_cidrs, OWN_RULES
    )
    for position, tenant in enumerate(plan.tenants):
        was = previous.paths.get(tenant.name)
        if was is not None and was.network == tenant.network.name:
            yield from _too_many(f"tenants[{position}].cidrs", was.cidrs, tenant.cidrs, 0)


def _too_many(
    key: str, was: Collection[IPv4Network], now: Collection[IPv4Network], own: int
) -> Iterator[Problem]:
    both = {*was, *now}
    if len(both) + own > RULES and both != {*was}:
        yield Problem(
            key=key,
            value=f"{len({*now})} networks",
            rule=f"and the {len({*was} - {*now})} that go are a rule each for a while: {len(both)}, where a security "
            f"group has room for {RULES - own}",
            way_out="take networks out in one update, and put the new ones in by the next",
        )


def _taken(was: Addresses, now: Mapping[str, Addresses]) -> Iterator[Problem]:
    """Of one network, by whose they are. `now`: by setting."""
    owners = {address: name for name, address in was.items()}
    for key, addresses in now.items():
        clashes = [
            f"{name} would get {address}, which {owners[address]} has"
            for name, address in addresses.items()
            if owners.get(address, name) != name
        ]
        if clashes:
            yield Problem(
                key=key,
                value=str(next(iter(addresses.values()))),
                rule=f"addresses move to where others are until later in the update: {'; '.join(clashes)}",
                way_out="choose addresses that nothing of the stack has; or go by way of such, in two updates",
            )


def _is_same_region(plan: Plan, previous: Previous) -> bool:
    return previous.ground.get("region", plan.region) == plan.region


def _is_same_vpc(plan: Plan, previous: Previous) -> bool:
    now = {"region": plan.region, "platform_cidr": str(plan.platform.vpc_cidr)}
    return all(previous.ground.get(key, value) == value for key, value in now.items())
