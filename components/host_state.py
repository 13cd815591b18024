"""The desired state of each host, per concern: the JSON that the host scripts read. Pure.

The shapes, a contract with `hostscripts/`, stand in `host_state_shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from components.host_state_shapes import (
    ContainerState,
    EchoState,
    ForwardState,
    HaVip,
    InputState,
    NatState,
    NoPairState,
    PackagesState,
    PairState,
    RoutesState,
    SyncState,
    Tunnel,
    TunnelState,
    UserEniState,
)
from components.peer_ranges import peer_ranges
from components.plan import (
    ECHO_HTTP_PORT,
    ECHO_TCP_PORT,
    ECHO_UDP_PORT,
    HostPlan,
    Plan,
    Role,
    TenantPlan,
    container_gateway,
    func_overlay_interface,
    proxy_overlay_interface,
    sync_interface,
)
from components.validation.pair import PLATFORM

_PACKAGES = ("curl", "iproute2", "jq", "kmod", "nftables")  # python3 is in every Debian cloud image
_PACKAGES_OF_A_PAIR = ("conntrack", "conntrackd", "iputils-ping", "keepalived", "python3")
_VIRTUAL_ROUTER_ID = 51  # VRRP is unicast between two, so any will do


def packages_state(plan: Plan, host: HostPlan) -> PackagesState:
    """What the host scripts of func hosts and proxies call; a user instance needs nothing."""
    is_of_a_pair = plan.takeover is not None and host.role is Role.PROXY
    packages = sorted((*_PACKAGES, *(_PACKAGES_OF_A_PAIR if is_of_a_pair else ())))
    return {"install": plan.install_packages, "packages": packages}


def input_state(plan: Plan, proxy: HostPlan, macs: Mapping[str, str]) -> InputState:
    """Who may reach a proxy itself; `macs` as for `user_eni_state`."""
    return {
        "local": str(proxy.address),
        "func_subnet": str(plan.platform.func_subnet),
        "user_enis": [macs[tenant.name].lower() for tenant in plan.tenants_of(proxy.pair)],
    }


def user_eni_state(plan: Plan, proxy: HostPlan, macs: Mapping[str, str]) -> UserEniState:
    """The user ENIs of a proxy; `macs` has the MAC of each by the tenant's name (known once AWS made it)."""
    return {
        "tenants": [
            {
                "name": tenant.name,
                "namespace": tenant.namespace,
                "device": tenant.user_device,
                "mac": macs[tenant.name].lower(),
                "address": _user_eni_address(tenant, proxy),
                "destinations": _destinations(tenant),
            }
            for tenant in plan.tenants_of(proxy.pair)
        ]
    }


def tunnel_state(plan: Plan, host: HostPlan) -> TunnelState:
    """The tunnel devices of a func host or a proxy."""
    if host.role not in (Role.FUNC, Role.PROXY):
        raise ValueError(f"{host.name} has no tunnels: it is a {host.role} host")
    if host.role is Role.PROXY:
        local, tenants = plan.pair_numbered(host.pair).remote, plan.tenants_of(host.pair)
        tunnels = [_proxy_tunnel(plan, tenant) for tenant in tenants]
        if (peer := plan.peer_of(host)) is not None:
            tunnels += [_sync_tunnel(host, peer, tenant) for tenant in tenants]
    else:
        local = host.address
        tunnels = [_func_tunnel(plan, host, tenant) for tenant in plan.tenants_by_index]
    return {
        "own": str(host.address),
        "local": str(local),
        "underlay_mtu": plan.underlay_mtu,
        "tunnel_kind": plan.tunnel.value,
        "tunnels": tunnels,
    }


def sync_state(plan: Plan, proxy: HostPlan) -> SyncState:
    """How a proxy tells the other one of its tenants' connections."""
    peer = plan.peer_of(proxy)
    if peer is None:
        return {"tenants": []}
    return {
        "tenants": [
            {
                "tenant": tenant.name,
                "namespace": tenant.namespace,
                "device": tenant.sync_device,
                "address": str(sync_interface(proxy).ip),
                "peer": str(sync_interface(peer).ip),
            }
            for tenant in plan.tenants_of(proxy.pair)
        ]
    }


def forward_state(plan: Plan, proxy: HostPlan) -> ForwardState:
    """What a proxy forwards."""
    return {
        "tenants": [
            {
                "tenant": tenant.name,
                "namespace": tenant.namespace,
                "tunnel": tenant.tunnel_device,
                "user": tenant.user_device,
                "overlay": str(tenant.overlay),
                "destinations": _destinations(tenant),
            }
            for tenant in plan.tenants_of(proxy.pair)
        ]
    }


def nat_state(plan: Plan, proxy: HostPlan) -> NatState:
    """The source addresses that a proxy gives to what it forwards: a pair's HaVips."""
    return {
        "tenants": [
            {
                "tenant": tenant.name,
                "namespace": tenant.namespace,
                "user": tenant.user_device,
                "overlay": str(tenant.overlay),
                "snat_to": _user_eni_address(tenant, proxy) if tenant.havip is None else str(tenant.havip),
            }
            for tenant in plan.tenants_of(proxy.pair)
        ]
    }


def pair_state(
    plan: Plan, proxy: HostPlan, primary_eni: str, user_enis: Mapping[str, str], macs: Mapping[str, str]
) -> PairState | NoPairState:
    """A proxy's half of the pair. `user_enis`: their ids, by the tenant's name; `macs` as for `user_eni_state`."""
    takeover, peer, havip = plan.takeover, plan.peer_of(proxy), plan.pair_numbered(proxy.pair).havip
    if takeover is None or peer is None or havip is None:
        return {"peer": None}
    endpoint = takeover.api.endpoint_address
    return {
        "own": str(proxy.address),
        "peer": str(peer.address),
        "index": proxy.side,
        "advert_ms": takeover.advert_ms,
        "virtual_router_id": _VIRTUAL_ROUTER_ID,
        "region": plan.region,
        "api": {"url": takeover.api.url, "connect_to": None if endpoint is None else str(endpoint)},
        "havips": [
            {
                "name": PLATFORM,
                "namespace": None,
                "device": None,
                "eni_id": primary_eni,
                "mac": None,
                "address": str(havip),
            },
            *(_user_havip(tenant, user_enis, macs) for tenant in plan.tenants_of(proxy.pair)),
        ],
        "tenants": [
            {
                "namespace": tenant.namespace,
                "tunnel": tenant.tunnel_device,
                "user": tenant.user_device,
                "sync": tenant.sync_device,
            }
            for tenant in plan.tenants_of(proxy.pair)
        ],
    }


def container_state(plan: Plan, host: HostPlan) -> ContainerState:
    """A func host's bridges for containers, and what leaves from them."""
    return {
        "own": str(host.address),
        "underlay_mtu": plan.underlay_mtu,
        "tunnel_kind": plan.tunnel.value,
        "pods": None if plan.pod_cidr is None else str(plan.pod_cidr),
        "tunnels": [
            {
                "tenant": tenant.name,
                "device": tenant.tunnel_device,
                "source": str(tenant.func_overlay_addresses[host.index]),
            }
            for tenant in plan.tenants_by_index
        ],
        "bridges": [
            {
                "tenant": tenant.name,
                "bridge": tenant.bridge,
                "cidr": str(gateway.network),
                "gateway": str(gateway),
                "device": tenant.tunnel_device,
                "destinations": _destinations(tenant),
            }
            for tenant in plan.tenants_by_index
            if (gateway := container_gateway(tenant)) is not None
        ],
    }


def routes_state(plan: Plan, host: HostPlan) -> RoutesState:
    """A func host's routes into its tunnels."""
    return {
        "routes": [
            {
                "tenant": tenant.name,
                "device": tenant.tunnel_device,
                "source": str(tenant.func_overlay_addresses[host.index]),
                "overlay": str(tenant.overlay),
                "destinations": _destinations(tenant),
                "own_destinations": [str(cidr) for cidr in tenant.own_cidrs],
                "table": tenant.routing_table,
                "bridge": None if tenant.container_cidr is None else tenant.bridge,
                "containers": None if tenant.container_cidr is None else str(tenant.container_cidr),
            }
            for tenant in plan.tenants_by_index
        ]
    }


def echo_state() -> EchoState:
    """What a user instance serves."""
    return {"http_port": ECHO_HTTP_PORT, "tcp_port": ECHO_TCP_PORT, "udp_port": ECHO_UDP_PORT}


def _func_tunnel(plan: Plan, host: HostPlan, tenant: TenantPlan) -> Tunnel:
    return {
        "tenant": tenant.name,
        "namespace": None,
        "device": tenant.tunnel_device,
        "key": tenant.gre_key,
        "remote": str(plan.remote_of(tenant)),
        "address": str(func_overlay_interface(tenant, host)),
        "peers": [],
    }


def _user_havip(tenant: TenantPlan, user_enis: Mapping[str, str], macs: Mapping[str, str]) -> HaVip:
    if tenant.havip is None:
        raise ValueError(f"{tenant.name} has no HaVip, and there is a pair")
    return {
        "name": tenant.name,
        "namespace": tenant.namespace,
        "device": tenant.user_device,
        "eni_id": user_enis[tenant.name],
        "mac": macs[tenant.name].lower(),
        "address": str(tenant.havip),
    }


def _sync_tunnel(proxy: HostPlan, peer: HostPlan, tenant: TenantPlan) -> Tunnel:
    return {
        "tenant": tenant.name,
        "namespace": tenant.namespace,
        "device": tenant.sync_device,
        "key": tenant.sync_key,
        "remote": str(peer.address),
        "address": str(sync_interface(proxy)),
        "peers": [],
    }


def _proxy_tunnel(plan: Plan, tenant: TenantPlan) -> Tunnel:
    return {
        "tenant": tenant.name,
        "namespace": tenant.namespace,
        "device": tenant.tunnel_device,
        "key": tenant.gre_key,
        "remote": None,
        "address": str(proxy_overlay_interface(tenant)),
        "peers": peer_ranges(
            (tenant.func_overlay_addresses[func.index], func.address) for func in plan.func_hosts
        ),
    }


def _destinations(tenant: TenantPlan) -> list[str]:
    return [str(cidr) for cidr in sorted(tenant.cidrs)]


def _user_eni_address(tenant: TenantPlan, proxy: HostPlan) -> str | None:
    address = tenant.user_eni_addresses[proxy.side]
    return None if address is None else str(address)
