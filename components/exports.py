"""The stack's outputs: all that ops and the lab know of a stack. No secrets.

- schema_version: goes up when an output changes its meaning
- hosts, by name: role, instance id, image, private address, and `ssh` (null where there is no way in)
- tenants, by name: its pair and place there, addresses and devices of the path, what containers hang on (null without
  any), user ENIs by proxy, the HaVip (null without a pair), the user instance; network: what there was or is made;
  created: of what addresses (null where it was there); own_cidrs: those of cidrs that no other tenant has a part of
- plan: what holds for the whole stack: region, zone, kind of tunnel, MTUs, the proxies, the image, the address of the
  API's endpoint (null where the stack makes none); and the pairs, each with its proxies, the platform's HaVip (null
  with a single proxy), the tunnels' remote and the tenants that it serves
- access: how the operator gets in
- told, by host, then by concern: a digest of the state that it is to have, by which `ops status` knows one that has
  another: an update that did not finish, or one that lost the connection and was taken back
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components.access import OperatorAccess
from components.host import Host, Image
from components.host_config import Digests
from components.plan import (
    CreatedNetwork,
    ExistingNetwork,
    PairPlan,
    Plan,
    Role,
    TenantPlan,
    container_gateway,
)
from components.user_eni import UserEni

SCHEMA_VERSION = 3
SSH_PORT = 22


def export_stack(
    *,
    plan: Plan,
    image: Image,
    access: OperatorAccess,
    hosts: Sequence[Host],
    user_enis: Mapping[str, Mapping[str, UserEni]],
    made_from: Mapping[str, str],
    redundancy: pulumi.Input[str],
    tunnel: pulumi.Input[str],
    api_endpoint: pulumi.Input[str] | None,
    told: Mapping[str, Digests],
) -> None:
    """Export everything. `user_enis`: by proxy, then by tenant. `made_from`: by proxy.

    `redundancy`, `tunnel` and `api_endpoint`: each once it is what the plan says.
    """
    pulumi.export("schema_version", SCHEMA_VERSION)
    everyone = [*hosts, *([access.bastion] if access.bastion else ())]
    pulumi.export("hosts", {host.plan.name: _host(host, access, made_from) for host in everyone})
    pulumi.export("tenants", {tenant.name: _tenant(plan, tenant, user_enis) for tenant in plan.tenants})
    pulumi.export("plan", _plan(plan, image, redundancy, tunnel, api_endpoint))
    pulumi.export("access", _access(plan, access))
    pulumi.export("told", told)


def _host(host: Host, access: OperatorAccess, made_from: Mapping[str, str]) -> dict[str, object]:
    of_a_proxy = {"made_from": made_from[host.plan.name]} if host.plan.name in made_from else {}
    return {
        **of_a_proxy,
        "role": host.plan.role.value,
        "instance_id": host.instance_id,
        "instance_type": host.plan.instance_type,
        "image": host.ami,
        "private_address": str(host.plan.address),
        "ssh": _ssh(host, access),
    }


def _ssh(host: Host, access: OperatorAccess) -> dict[str, object] | None:
    via = access.bastion.ssh_host if access.bastion and host is not access.bastion else None
    if via is not None and host.plan.role is Role.USER:
        return None  # in a VPC of its own, without a public address
    return {"host": host.ssh_host, "port": SSH_PORT, "user": access.user, "via": via}


def _tenant(
    plan: Plan, tenant: TenantPlan, user_enis: Mapping[str, Mapping[str, UserEni]]
) -> dict[str, object]:
    return {
        "index": tenant.index,
        "pair": tenant.pair,
        "slot": tenant.slot,
        "gre_key": tenant.gre_key,
        "namespace": tenant.namespace,
        "tunnel_device": tenant.tunnel_device,
        "user_device": tenant.user_device,
        "network": tenant.network.name,
        "created": _created(tenant.network),
        "cidrs": [str(cidr) for cidr in tenant.cidrs],
        "own_cidrs": [str(cidr) for cidr in tenant.own_cidrs],
        "overlay": str(tenant.overlay),
        "proxy_overlay_address": str(tenant.proxy_overlay_address),
        "func_overlay_addresses": {
            host.name: str(tenant.func_overlay_addresses[host.index]) for host in plan.func_hosts
        },
        "containers": _containers(plan, tenant),
        "havip": None if tenant.havip is None else str(tenant.havip),
        "user_enis": {
            proxy: _user_eni(enis[tenant.name]) for proxy, enis in user_enis.items() if tenant.name in enis
        },
        "user_instance": _user_instance(tenant),
    }


def _containers(plan: Plan, tenant: TenantPlan) -> dict[str, object] | None:
    gateway = container_gateway(tenant)
    if gateway is None:
        return None
    return {
        "bridge": tenant.bridge,
        "cidr": str(gateway.network),
        "gateway": str(gateway.ip),
        "mtu": plan.tunnel_mtu,
        "routing_table": tenant.routing_table,
    }


def _created(network: CreatedNetwork | ExistingNetwork) -> dict[str, str] | None:
    if not isinstance(network, CreatedNetwork):
        return None
    return {"vpc_cidr": str(network.vpc_cidr), "subnet_cidr": str(network.subnet_cidr)}


def _user_eni(eni: UserEni) -> dict[str, object]:
    return {
        "id": eni.eni_id,
        "mac": eni.mac_address,
        "private_address": eni.private_ip,
        "made_for": eni.made_for,
    }


def _user_instance(tenant: TenantPlan) -> dict[str, str] | None:
    if not isinstance(tenant.network, CreatedNetwork):
        return None
    return {"name": tenant.user_instance_name, "address": str(tenant.network.instance_address)}


def _plan(
    plan: Plan,
    image: Image,
    redundancy: pulumi.Input[str],
    tunnel: pulumi.Input[str],
    api_endpoint: pulumi.Input[str] | None,
) -> dict[str, object]:
    return {
        "stack": plan.stack,
        "region": plan.region,
        "availability_zone": plan.availability_zone,
        "redundancy": redundancy,
        "drillable": plan.drillable,
        "platform_cidr": str(plan.platform.vpc_cidr),
        "subnets": {noun: str(subnet) for noun, subnet in plan.platform.subnets.items()},
        "pod_cidr": None if plan.pod_cidr is None else str(plan.pod_cidr),
        "proxies": [proxy.name for proxy in plan.proxies],
        "tenants_per_pair": plan.tenants_per_pair,
        "pairs": [_pair(plan, pair) for pair in plan.pairs],
        "tunnel": tunnel,
        "api_endpoint": api_endpoint,
        "underlay_mtu": plan.underlay_mtu,
        "tunnel_mtu": plan.tunnel_mtu,
        # What a new host gets. A newer one than a host's own shows as this output's change in a preview.
        "image": {"ami": image.ami, "pinned": image.pinned},
    }


def _pair(plan: Plan, pair: PairPlan) -> dict[str, object]:
    return {
        "number": pair.number,
        "proxies": [proxy.name for proxy in pair.proxies],
        "havip": None if pair.havip is None else str(pair.havip),
        "tunnel_remote": str(pair.remote),
        "tenants": [tenant.name for tenant in plan.tenants_of(pair.number)],
    }


def _access(plan: Plan, access: OperatorAccess) -> dict[str, object]:
    return {
        "mode": plan.access.mode.value,
        "user": access.user,
        "public_key": plan.access.public_key,
        "operator_cidrs": [str(cidr) for cidr in plan.access.operator_cidrs],
        "bastion": access.bastion.ssh_host if access.bastion else None,
    }
