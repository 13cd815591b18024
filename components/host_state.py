"""The desired state of each host, per concern: the JSON that the host scripts read. Pure.

The shapes, a contract with `hostscripts/`, stand in `host_state_shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from components.host_state_shapes import (
    EchoState,
    ForwardState,
    InputState,
    NatState,
    PackagesState,
    RoutesState,
    Tunnel,
    TunnelState,
    UserEniState,
)
from components.plan import (
    ECHO_HTTP_PORT,
    ECHO_TCP_PORT,
    ECHO_UDP_PORT,
    HostPlan,
    Plan,
    Role,
    TenantPlan,
    func_overlay_interface,
    proxy_overlay_interface,
)

_PACKAGES = ("curl", "iproute2", "jq", "kmod", "nftables")  # python3 is in every Debian cloud image


def packages_state(plan: Plan) -> PackagesState:
    """What the host scripts of func hosts and proxies call; a user instance needs nothing."""
    return {"install": plan.install_packages, "packages": list(_PACKAGES)}


def input_state(plan: Plan, proxy: HostPlan, macs: Mapping[str, str]) -> InputState:
    """Who may reach a proxy itself; `macs` as for `user_eni_state`."""
    return {
        "local": str(proxy.address),
        "user_enis": [macs[tenant.name].lower() for tenant in plan.tenants],
    }


def user_eni_state(plan: Plan, macs: Mapping[str, str]) -> UserEniState:
    """The user ENIs of a proxy; `macs` has the MAC of each by the tenant's name (known once AWS made it)."""
    return {
        "tenants": [
            {
                "name": tenant.name,
                "namespace": tenant.namespace,
                "device": tenant.user_device,
                "mac": macs[tenant.name].lower(),
                "address": _user_eni_address(tenant),
                "destinations": _destinations(tenant),
            }
            for tenant in plan.tenants
        ]
    }


def tunnel_state(plan: Plan, host: HostPlan) -> TunnelState:
    """The GRE devices of a func host or a proxy."""
    if host.role not in (Role.FUNC, Role.PROXY):
        raise ValueError(f"{host.name} has no tunnels: it is a {host.role} host")
    one = _proxy_tunnel if host.role is Role.PROXY else _func_tunnel
    return {
        "local": str(host.address),
        "underlay_mtu": plan.underlay_mtu,
        "tunnels": [one(plan, host, tenant) for tenant in plan.tenants],
    }


def forward_state(plan: Plan) -> ForwardState:
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
            for tenant in plan.tenants
        ]
    }


def nat_state(plan: Plan) -> NatState:
    """The source addresses that a proxy gives to what it forwards."""
    return {
        "tenants": [
            {
                "tenant": tenant.name,
                "namespace": tenant.namespace,
                "user": tenant.user_device,
                "overlay": str(tenant.overlay),
                "snat_to": _user_eni_address(tenant),
            }
            for tenant in plan.tenants
        ]
    }


def routes_state(plan: Plan, host: HostPlan) -> RoutesState:
    """A func host's routes into its tunnels."""
    return {
        "routes": [
            {
                "tenant": tenant.name,
                "device": tenant.tunnel_device,
                "source": str(tenant.func_overlay_addresses[host.index]),
                "destinations": _destinations(tenant),
            }
            for tenant in plan.tenants
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
        "remote": str(plan.tunnel_remote),
        "address": str(func_overlay_interface(tenant, host)),
        "peers": [],
    }


def _proxy_tunnel(plan: Plan, _host: HostPlan, tenant: TenantPlan) -> Tunnel:
    return {
        "tenant": tenant.name,
        "namespace": tenant.namespace,
        "device": tenant.tunnel_device,
        "key": tenant.gre_key,
        "remote": None,
        "address": str(proxy_overlay_interface(tenant)),
        "peers": [
            {"overlay": str(tenant.func_overlay_addresses[func.index]), "underlay": str(func.address)}
            for func in plan.func_hosts
        ],
    }


def _destinations(tenant: TenantPlan) -> list[str]:
    return [str(cidr) for cidr in tenant.cidrs]


def _user_eni_address(tenant: TenantPlan) -> str | None:
    return None if tenant.user_eni_address is None else str(tenant.user_eni_address)
