"""The World as moto has it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import cast

from moto.ec2.models.route_tables import Route as MotoRoute
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.security_groups import SecurityGroup as MotoGroup
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.subnets import Subnet as MotoSubnet

from lab.cloud.backend import LabBackend
from lab.cloud.instance_model import LabInstance, all_instances
from lab.cloud.interface import Interface
from lab.cloud.nat_gateway import NatGateway
from lab.cloud.route_state import BLACKHOLE
from lab.world import (
    Eni,
    Instance,
    InstanceState,
    Route,
    RouteTarget,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    World,
)

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
WANTED = {
    "pending": InstanceState.RUNNING,
    "running": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPED,
    "stopped": InstanceState.STOPPED,
    "shutting-down": InstanceState.TERMINATED,
    "terminated": InstanceState.TERMINATED,
}


def snapshot(backends: Iterable[LabBackend], account_id: str, region: str) -> World:
    """Everything of all regions. A default VPC is left out until something is in it: few labs use it."""
    world = World(account_id=account_id, region=region)
    for backend in backends:
        _add(world, backend)
    return world


def _add(world: World, backend: LabBackend) -> None:
    enis = cast("list[Interface]", list(backend.enis.values()))
    used = {eni.vpc_id for eni in enis}
    vpcs = [vpc for vpc in backend.vpcs.values() if vpc.id in used or not vpc.is_default]
    tables = _tables(backend)
    for vpc in vpcs:
        associated = vpc.get_cidr_block_association_set()
        live = [a for a in associated if a["cidr_block_state"]["state"] == "associated"]
        cidrs = tuple(IPv4Network(a["cidr_block"], strict=False) for a in live)
        world.vpcs[vpc.id] = Vpc(id=vpc.id, cidrs=cidrs)
        for group in backend.groups.get(vpc.id, {}).values():
            world.security_groups[str(group.id)] = _group(group)
    for by_id in backend.subnets.values():
        for subnet in by_id.values():
            if subnet.vpc_id in world.vpcs:
                table = tables.get(subnet.id) or tables[subnet.vpc_id]
                world.subnets[subnet.id] = _subnet(subnet, table, world.vpcs[subnet.vpc_id])
    for eni in enis:
        world.enis[eni.id] = _eni(eni)
    for instance in all_instances(backend):
        world.instances[instance.id] = _instance(backend, instance)


def _tables(backend: LabBackend) -> dict[str, RouteTable]:
    """Route tables by subnet where one is associated, and each VPC's main one by the VPC."""
    tables: dict[str, RouteTable] = {}
    for table in backend.route_tables.values():
        if table.main_association_id:
            tables[table.vpc_id] = table
        tables.update(dict.fromkeys(table._associations.values(), table))
    return tables


def _subnet(subnet: MotoSubnet, table: RouteTable, vpc: Vpc) -> Subnet:
    local = tuple(Route(destination=cidr, target=RouteTarget.LOCAL) for cidr in vpc.cidrs)
    others = tuple(_route(r) for r in table.routes if not r.local and r.destination_cidr_block)
    return Subnet(
        id=subnet.id,
        vpc_id=subnet.vpc_id,
        cidr=IPv4Network(subnet.cidr_block),
        availability_zone=subnet.availability_zone,
        routes=(*local, *others),
    )


def _route(route: MotoRoute) -> Route:
    destination = IPv4Network(str(route.destination_cidr_block))
    nat = cast("NatGateway | None", route.nat_gateway)
    if nat is not None and nat.eni is not None:
        return Route(destination=destination, target=RouteTarget.NAT, target_id=nat.eni.id)
    eni, gateway = route.interface, nat or route.gateway
    target_id = str(eni.id if eni is not None else gateway.id if gateway is not None else "")
    if route.state == BLACKHOLE:
        return Route(destination=destination, target=RouteTarget.BLACKHOLE, target_id=target_id)
    target = RouteTarget.ENI if eni is not None else RouteTarget.INTERNET
    return Route(destination=destination, target=target, target_id=target_id)


def _group(group: MotoGroup) -> SecurityGroup:
    return SecurityGroup(
        id=str(group.id),
        name=str(group.name),
        vpc_id=str(group.vpc_id),
        ingress=tuple(_rule(r) for r in group.ingress_rules if not r.cidr_ipv6),
        egress=tuple(_rule(r) for r in group.egress_rules if not r.cidr_ipv6),
    )


def _rule(rule: SecurityGroupRule) -> Rule:
    protocol = str(rule.ip_protocol)
    return Rule(
        protocol=NUMBERS[protocol] if protocol in NUMBERS else int(protocol),
        from_port=rule.from_port,
        to_port=rule.to_port,
        cidr=IPv4Network(rule.cidr_ipv4) if rule.cidr_ipv4 else None,
        group_id=rule.source_group.get("GroupId"),
    )


def _eni(eni: Interface) -> Eni:
    return Eni(
        id=eni.id,
        mac=eni.mac_address,
        vpc_id=eni.vpc_id,
        subnet_id=eni.subnet_id,
        private_ips=tuple(IPv4Address(a) for a in eni.addresses),
        public_ips={IPv4Address(private): IPv4Address(public) for private, public in eni.public_ips.items()},
        group_ids=tuple(str(g.id) for g in eni.group_set),
        source_dest_check=bool(eni.source_dest_check),
        instance_id=eni.instance_id,
        device_index=eni.device_index,
        service=eni.service,
    )


def _instance(backend: LabBackend, instance: LabInstance) -> Instance:
    options = instance.metadata_options
    return Instance(
        id=instance.id,
        state=WANTED[instance.state],
        name=backend.tags.get(instance.id, {}).get("Name") or instance.id,
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        availability_zone=str(instance.availability_zone),
        user_data=instance.user_data_bytes,
        public_key=instance.public_key,
        key_name=instance.key_name,
        role=_role(backend, instance),
        profile_arn=(instance.iam_instance_profile or {}).get("Arn", ""),
        placement_group=instance.placement_group,
        imds_token_required=options.http_tokens == "required",
        imds_hop_limit=int(options.http_put_response_hop_limit),
        boot_count=instance.boot_count,
    )


def _role(backend: LabBackend, instance: LabInstance) -> str | None:
    association = backend.iam_instance_profile_associations.get(instance.id)
    roles = association.iam_instance_profile.roles if association is not None else []
    return str(roles[0].name) if roles else None
