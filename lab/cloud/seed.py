"""Networks that are somewhere else, made to exist by id for a preview of a program that looks them up."""

from __future__ import annotations

from ipaddress import IPv4Network

from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC

from lab.cloud.backend import LabBackend
from lab.errors import LabError

LARGEST_VPC = 16  # prefix length


class SeededVpc(VPC):
    """May belong to another account."""

    owner_id = ""


class SeededSubnet(Subnet):
    """May belong to another account."""

    owner_id = ""


def seed(backend: LabBackend, vpc_id: str, subnet_id: str, cidr: IPv4Network, zone: str, owner: str) -> None:
    """A subnet of an existing or new VPC; seeding the same one again changes nothing."""
    if any(subnet_id in by_id for by_id in backend.subnets.values()):
        return
    if vpc_id not in backend.vpcs:
        _add_vpc(backend, vpc_id, cidr, owner)
    vpc = backend.vpcs[vpc_id]
    held = [IPv4Network(a["cidr_block"]) for a in vpc.get_cidr_block_association_set()]
    if not any(cidr.subnet_of(block) for block in held):
        vpc.associate_vpc_cidr_block(str(cidr))
    found = backend.get_zone_by_name(zone)
    if found is None:
        raise LabError(
            f"there is no availability zone {zone} in {backend.region_name}",
            hint="seed a subnet in a zone of the region that the lab was started with",
        )
    subnet = SeededSubnet(  # type: ignore[abstract] # of CloudFormation
        backend, subnet_id, vpc_id, str(cidr), None, found, False, False
    )
    subnet.owner_id = owner
    backend.subnets[zone][subnet_id] = subnet
    backend.associate_default_network_acl_with_subnet(subnet_id, vpc_id)


def _add_vpc(backend: LabBackend, vpc_id: str, cidr: IPv4Network, owner: str) -> None:
    prefix = cidr if cidr.prefixlen >= LARGEST_VPC else next(cidr.subnets(new_prefix=LARGEST_VPC))
    vpc = SeededVpc(backend, vpc_id, str(prefix), is_default=False)  # type: ignore[abstract] # of CloudFormation
    vpc.owner_id = owner
    backend.vpcs[vpc_id] = vpc
    backend.create_route_table(vpc_id, main=True)
    backend.create_network_acl(vpc_id, default=True)
    backend.create_security_group("default", "default VPC security group", vpc_id=vpc_id, is_default=True)
