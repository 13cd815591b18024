"""Settings → plan. Pure, and total: whatever `load_settings` lets through has a plan.

Everything is derived from an index by arithmetic, so that one more or one less host or tenant renumbers
nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network

from components.plan import (
    PROXIES_OF_A_PAIR,
    AccessPlan,
    ApiPlan,
    CreatedNetwork,
    ExistingNetwork,
    HostPlan,
    PairPlan,
    Plan,
    PlatformPlan,
    Redundancy,
    Role,
    TakeoverPlan,
    TenantPlan,
)
from components.settings import Settings, known_instance_types
from components.settings_tenant import Overlay, Tenant
from components.validation.draft import At
from components.validation.legs import eni_addresses, following, havip_address, place_of
from components.validation.overlays import func_address
from components.validation.ranges import free, nested


def make_plan(settings: Settings, stack: str) -> Plan:
    """The plan of a stack. The same settings and name give the same plan."""
    proxy_type = known_instance_types(settings)[settings.proxy.instance_type]
    per_pair = settings.proxy.tenants_per_pair or settings.tunnel.tenants_per_pair(proxy_type.spare_enis)
    return Plan(
        stack=stack,
        region=settings.region,
        availability_zone=settings.availability_zone,
        redundancy=settings.redundancy,
        ami=settings.ami,
        architecture=proxy_type.architecture,
        tunnel=settings.tunnel,
        underlay_mtu=settings.underlay_mtu,
        install_packages=settings.install_packages,
        pod_cidr=settings.func_hosts.pod_cidr,
        drillable=settings.drillable,
        platform=_platform(settings),
        access=_access(settings),
        bastion=_bastion(settings),
        pairs=_pairs(settings, per_pair),
        tenants_per_pair=per_pair,
        takeover=_takeover(settings),
        func_hosts=_func_hosts(settings),
        tenants=_tenants(settings, per_pair),
        tags={**settings.tags, "Project": "causeway", "Stack": stack},
    )


def _platform(settings: Settings) -> PlatformPlan:
    return PlatformPlan(
        vpc_cidr=settings.platform.vpc_cidr,
        func_subnet=settings.platform.func_subnet,
        proxy_subnet=settings.platform.proxy_subnet,
        access_subnet=settings.platform.access_subnet,
    )


def _access(settings: Settings) -> AccessPlan:
    if settings.access.public_key is None:
        raise ValueError("settings that load_settings did not check: no public key")
    return AccessPlan(
        mode=settings.access.mode,
        operator_cidrs=settings.access.operator_cidrs,
        user=settings.access.user,
        public_key=settings.access.public_key,
    )


def _bastion(settings: Settings) -> HostPlan | None:
    subnet, instance_type = settings.platform.access_subnet, settings.access.bastion_instance_type
    if subnet is None or instance_type is None:
        return None
    return HostPlan(
        name="bastion", role=Role.BASTION, index=0, address=free(subnet)[0], instance_type=instance_type
    )


def _pairs(settings: Settings, per_pair: int) -> tuple[PairPlan, ...]:
    """The first one, and those that tenants are on."""
    numbers = sorted({0, *(place_of(tenant.index, per_pair)[0] for tenant in settings.tenants)})
    return tuple(_pair(settings, number) for number in numbers)


def _pair(settings: Settings, number: int) -> PairPlan:
    hosts, is_pair = settings.proxy, settings.redundancy is Redundancy.PAIR
    if is_pair and hosts.havip is None:
        raise ValueError("settings that load_settings did not check: a pair without HaVip")
    indexes = range(PROXIES_OF_A_PAIR * number, PROXIES_OF_A_PAIR * number + settings.redundancy.proxies)
    return PairPlan(
        number=number,
        proxies=tuple(
            _host(Role.PROXY, index, hosts.first_address, hosts.instance_type) for index in indexes
        ),
        havip=following(hosts.havip, number) if is_pair and hosts.havip else None,
    )


def _takeover(settings: Settings) -> TakeoverPlan | None:
    if settings.redundancy is not Redundancy.PAIR:
        return None
    api = settings.api
    if api is None:
        raise ValueError("settings that load_settings did not check: a pair without API")
    # Partitions of AWS: https://docs.aws.amazon.com/general/latest/gr/ec2-service.html
    china = settings.region.startswith("cn-")
    return TakeoverPlan(
        advert_ms=settings.proxy.advert_ms,
        api=ApiPlan(
            url=f"{api.scheme}://ec2.{settings.region}.amazonaws.com{'.cn' if china else ''}",
            port=api.scheme.port,
            service=f"{'cn.' if china else ''}com.amazonaws.{settings.region}.ec2",
            endpoint_address=api.endpoint_address,
        ),
    )


def _func_hosts(settings: Settings) -> tuple[HostPlan, ...]:
    hosts = settings.func_hosts
    return tuple(
        _host(Role.FUNC, index, hosts.first_address, hosts.instance_type) for index in range(hosts.count)
    )


def _host(role: Role, index: int, first_address: IPv4Address, instance_type: str) -> HostPlan:
    return HostPlan(
        name=f"{role}-{index}",
        role=role,
        index=index,
        address=first_address + index,
        instance_type=instance_type,
    )


def _tenants(settings: Settings, per_pair: int) -> tuple[TenantPlan, ...]:
    destinations = [At(tenant.name, network) for tenant in settings.tenants for network in tenant.cidrs]
    shared = {network for pair in nested(destinations) for network in pair}
    return tuple(_tenant(tenant, settings, per_pair, shared) for tenant in settings.tenants)


def _tenant(
    tenant: Tenant, settings: Settings, per_pair: int, shared: Collection[At[IPv4Network]]
) -> TenantPlan:
    subnet = instance = None
    if tenant.create is not None:
        subnet, instance = tenant.create.subnet_cidr, tenant.create.instance_address
    # In a network of the stack's own never AWS's choice: that might be the user instance's address.
    enis = eni_addresses(tenant.user_eni_address, subnet, instance, settings.redundancy.proxies)
    is_pair = settings.redundancy is Redundancy.PAIR
    pair, slot = place_of(tenant.index, per_pair)
    return TenantPlan(
        name=tenant.name,
        index=tenant.index,
        pair=pair,
        slot=slot,
        network=_network(tenant),
        cidrs=tenant.cidrs,
        user_eni_addresses=enis,
        havip=havip_address(tenant.havip, subnet, {instance, *enis}) if is_pair else None,
        overlay=tenant.overlay.cidr,
        proxy_overlay_address=tenant.overlay.proxy,
        func_overlay_addresses=_func_overlay_addresses(tenant.overlay, settings.func_hosts.count),
        container_cidr=tenant.container_cidr,
        own_cidrs=tuple(network for network in tenant.cidrs if At(tenant.name, network) not in shared),
    )


def _network(tenant: Tenant) -> CreatedNetwork | ExistingNetwork:
    if tenant.create is not None:
        return CreatedNetwork(
            vpc_cidr=tenant.create.vpc_cidr,
            subnet_cidr=tenant.create.subnet_cidr,
            instance_address=tenant.create.instance_address,
            instance_type=tenant.create.instance_type,
        )
    subnet_ids = tenant.subnet_ids if tenant.subnet_id is None else (tenant.subnet_id,)
    if tenant.vpc_id is None or not subnet_ids:
        raise ValueError(f"settings that load_settings did not check: tenant {tenant.name} has no network")
    return ExistingNetwork(vpc_id=tenant.vpc_id, subnet_ids=subnet_ids, account_id=tenant.account_id)


def _func_overlay_addresses(overlay: Overlay, count: int) -> tuple[IPv4Address, ...]:
    first, proxy = int(overlay.first_func), int(overlay.proxy)
    return tuple(IPv4Address(func_address(first, proxy, index)) for index in range(count))
