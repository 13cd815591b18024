"""Whether the target of a route is still there."""

from __future__ import annotations

from moto.ec2.models.route_tables import Route

BLACKHOLE = "blackhole"


def route_state(route: Route) -> str:
    """`active`, or `blackhole`: the gateway was detached, the interface or its instance is gone."""
    backend = route.route_table.ec2_backend
    if route.local:
        return "active"
    if route.interface is not None:
        return "active" if _alive(route) else BLACKHOLE
    if route.nat_gateway is not None:
        return "active" if route.nat_gateway.state == "available" else BLACKHOLE
    if route.gateway is not None:
        gateway = backend.internet_gateways.get(route.gateway.id)
        attached = gateway is not None and gateway.vpc is not None
        return "active" if attached and gateway.vpc.id == route.route_table.vpc_id else BLACKHOLE
    return BLACKHOLE


def _alive(route: Route) -> bool:
    eni = route.interface
    if eni is None or route.route_table.ec2_backend.enis.get(eni.id) is not eni or eni.instance is None:
        return False
    return eni.instance.state in ("pending", "running")
