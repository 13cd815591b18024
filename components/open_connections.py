"""What an update does to open connections: said in its preview, ahead of everything else.

A change of the redundancy or of the kind of tunnel has words of its own. What a pair's proxies go through one after the
other is noticed by none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

import pulumi

from components.plan import CreatedNetwork, HostPlan, PairPlan, Plan, Role, TenantPlan
from components.previous import Machine, Path, Previous

HEAD = "what this update does to open connections:"
# Measured with emulated guests: 4 to 15 s with one func host; 62 and 64 s with other proxies.
TOLD = "until their func host is told: half a minute with a few of them, and longer with many"
STRANGERS = "about a minute, in which its proxies do not hear each other, as they get other addresses"


def announce_disturbances(plan: Plan, previous: Previous) -> None:
    """One warning that names all of them."""
    found = [
        *_of_all(plan, previous),
        *_of_tenants(plan, previous),
        *(said for pair in plan.pairs for said in _of_pair(pair, previous)),
        *_of_machines(plan, previous),
    ]
    if found:
        pulumi.log.warn("\n  - ".join([HEAD, *found]))


def planned_path(plan: Plan, tenant: TenantPlan) -> Path:
    """As it is to be."""
    proxies = plan.pair_numbered(tenant.pair).proxies
    created = tenant.network if isinstance(tenant.network, CreatedNetwork) else None
    return Path(
        network=tenant.network.name,
        vpc=None if created is None else created.vpc_cidr,
        subnet=None if created is None else created.subnet_cidr,
        cidrs=tenant.cidrs,
        own_cidrs=tenant.own_cidrs,
        eni_addresses={
            proxy.name: address
            for proxy in proxies
            if (address := tenant.user_eni_addresses[proxy.side]) is not None
        },
        havip=tenant.havip,
        func_addresses={host.name: tenant.func_overlay_addresses[host.index] for host in plan.func_hosts},
        container_cidr=tenant.container_cidr,
        bridge=None if tenant.container_cidr is None else tenant.bridge,
    )


def _of_all(plan: Plan, previous: Previous) -> Iterator[str]:
    now = {
        "region": plan.region,
        "availability_zone": plan.availability_zone,
        "platform_cidr": str(plan.platform.vpc_cidr),
    }
    for key, was in previous.ground.items():
        if was != now[key]:
            yield f"all are cut, as every host is made anew for another {key}, {was} → {now[key]}"

    pods = previous.pod_cidr
    if pods is not None and (plan.pod_cidr is None or not pods.subnet_of(plan.pod_cidr)):
        yield f"those of pods are cut, as their range changes, {pods} → {plan.pod_cidr or 'none'}"


def _of_tenants(plan: Plan, previous: Previous) -> Iterator[str]:
    tenants = {tenant.name: tenant for tenant in plan.tenants}
    same_redundancy = previous.redundancy is plan.redundancy
    for name, was in previous.paths.items():
        if name not in tenants:
            yield f"{name}: all are cut, as the tenant is removed"
        else:
            now = planned_path(plan, tenants[name])
            yield from (
                f"{name}: {said}"
                for said in (*_of_network(was, now, same_redundancy=same_redundancy), *_of_path(was, now))
            )
            if None not in (previous.pod_cidr, plan.pod_cidr):
                yield from (f"{name}: {said}" for said in _of_pods(was, now))


def _of_network(was: Path, now: Path, *, same_redundancy: bool) -> Iterator[str]:
    """On the tenant's side, where they come from the HaVip of a pair, or from the ENI of a single proxy."""
    enis = changes_of(was.eni_addresses, now.eni_addresses)
    if None not in (was.network, now.network) and was.network != now.network:
        yield f"all are cut, as its network is another one, {was.network} → {now.network}"
    elif same_redundancy and was.havip != now.havip:
        yield f"all are cut, as their source in its network changes, {was.havip} → {now.havip}"
    elif same_redundancy and now.havip is None and enis:
        _, change = enis[0]
        yield f"all are cut, as their source in its network changes, {change}"


def _of_path(was: Path, now: Path) -> Iterator[str]:
    moved = changes_of(was.func_addresses, now.func_addresses)
    if moved:
        (host, change), more = moved[0], f" and {len(moved) - 1} more" if len(moved) > 1 else ""
        yield f"all from {host}{more} are cut, as overlay addresses change, {change}"
    for cidr in was.cidrs:
        if not _is_covered(cidr, now.cidrs):
            yield f"those to what is of {cidr} and in none of its cidrs any more are cut"
    if was.container_cidr not in (None, now.container_cidr):
        change = f"{was.container_cidr} → {now.container_cidr or 'none'}"
        yield f"those of its containers are cut, as their range changes, {change}; attach them anew"
    elif was.bridge not in (None, now.bridge):
        yield f"those of its containers are cut, as its bridge changes, {was.bridge} → {now.bridge}; attach them anew"


def _of_pods(was: Path, now: Path) -> Iterator[str]:
    """A func host sends what comes from pods by destination, which must be one tenant's alone."""
    for cidr in was.own_cidrs:
        if not _is_covered(cidr, now.own_cidrs) and _is_covered(cidr, now.cidrs):
            yield f"those of pods to {cidr} are cut, as another tenant has addresses of it too now"


def _is_covered(cidr: IPv4Network, by: Iterable[IPv4Network]) -> bool:
    return any(cidr.subnet_of(one) for one in collapse_addresses(by))


def changes_of(was: Mapping[str, IPv4Address], now: Mapping[str, IPv4Address]) -> list[tuple[str, str]]:
    """Of what is in both: its name, and from what to what."""
    return [(name, f"{was[name]} → {now[name]}") for name in was if name in now and was[name] != now[name]]


def _of_pair(pair: PairPlan, previous: Previous) -> Iterator[str]:
    """What a pair notices as a whole. A proxy that is alone is one of the machines."""
    was = previous.havips.get(pair.number)
    if was is None or pair.havip is None:
        return
    if was != pair.havip:
        yield f"those of pair {pair.number} pause {TOLD}, as its HaVip changes, {was} → {pair.havip}"
    machines = previous.machines
    had = {proxy.name: machines[proxy.name].address for proxy in pair.proxies if proxy.name in machines}
    for _, change in changes_of(had, {proxy.name: proxy.address for proxy in pair.proxies})[:1]:
        yield f"those of pair {pair.number} pause {STRANGERS}, {change}"


def _of_machines(plan: Plan, previous: Previous) -> Iterator[str]:
    """Func hosts, and proxies that nobody stands in for. What becomes of a tenant's own instance is the tenant's."""
    alone = previous.redundancy is plan.redundancy and plan.takeover is None
    hosts = {host.name: host for host in (*plan.func_hosts, *plan.proxies)}
    for name, was in previous.machines.items():
        now = hosts.get(name)
        if now is None:
            if was.role is Role.FUNC:
                yield f"{name}: all are cut, as the func host is removed"
        elif now.role is Role.FUNC or alone:
            yield from (f"{name}: all are cut, as it {fate}" for fate in fates(plan, was, now))


def fates(plan: Plan, was: Machine, now: HostPlan) -> Iterator[str]:
    """What stops a host or makes it anew, as a predicate: nothing, or one."""
    if was.address != now.address:
        yield f"is made anew with another address, {was.address} → {now.address}"
    elif plan.ami is not None and was.image != plan.ami:
        yield f"is made anew from another image, {was.image} → {plan.ami}"
    elif was.instance_type != now.instance_type:
        yield f"is stopped to become another type, {was.instance_type} → {now.instance_type}"
