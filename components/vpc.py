"""A VPC with its subnets: the way in and out of each, and nothing that AWS opens by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

import pulumi
import pulumi_aws as aws

from components.tags import tagged

EVERYWHERE = "0.0.0.0/0"


class Reach(StrEnum):
    """What a subnet's route table leads to, besides the VPC itself."""

    PUBLIC = "public"  # the internet, both ways, for addresses that have a public one
    EGRESS = "egress"  # the internet, outwards only, by the NAT gateway
    ISOLATED = "isolated"


@dataclass(frozen=True, kw_only=True)
class SubnetSpec:
    """One subnet to make."""

    cidr: IPv4Network
    reach: Reach


@dataclass(frozen=True, kw_only=True)
class VpcArgs:
    """`nat_subnet` names the public subnet that carries the NAT gateway, where a subnet wants EGRESS."""

    cidr: IPv4Network
    availability_zone: str
    subnets: Mapping[str, SubnetSpec]
    nat_subnet: str | None
    nat_address: IPv4Address | None
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """Where hosts stand. `ready`: the routes without which no host in it can be reached."""

    id: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]


class Vpc(pulumi.ComponentResource):
    """One VPC in one availability zone. Its default security group lets nothing through."""

    vpc_id: pulumi.Output[str]
    subnets: dict[str, Subnet]

    def __init__(self, name: str, args: VpcArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:network:Vpc", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        vpc = self._make_vpc()
        self.vpc_id = vpc.id
        made = {noun: self._make_subnet(noun, spec) for noun, spec in args.subnets.items()}
        tables = self._make_route_tables(made)
        self.subnets = {
            noun: self._route(noun, made[noun], tables[spec.reach]) for noun, spec in args.subnets.items()
        }
        self.register_outputs({"vpcId": self.vpc_id})

    def _tags(self, noun: str) -> dict[str, str]:
        return tagged(self._args.tags, f"{self._name}-{noun}")

    def _make_vpc(self) -> aws.ec2.Vpc:
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=str(self._args.cidr),
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        # Taken over without rules, so that an interface made without a group of its own is closed, not open.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default", vpc_id=vpc.id, tags=self._tags("default"), opts=self._child
        )
        return vpc

    def _make_subnet(self, noun: str, spec: SubnetSpec) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self._name}-{noun}-subnet",
            vpc_id=self.vpc_id,
            cidr_block=str(spec.cidr),
            availability_zone=self._args.availability_zone,
            tags=self._tags(noun),
            opts=self._child,
        )

    def _make_route_tables(
        self, subnets: Mapping[str, aws.ec2.Subnet]
    ) -> dict[Reach, tuple[aws.ec2.RouteTable, tuple[pulumi.Resource, ...]]]:
        """One table per reach that occurs, each with the routes that make it so."""
        reaches = {spec.reach for spec in self._args.subnets.values()}
        tables: dict[Reach, tuple[aws.ec2.RouteTable, tuple[pulumi.Resource, ...]]] = {}
        way_out: tuple[pulumi.Resource, ...] = ()
        if Reach.PUBLIC in reaches:
            table, gateway = self._make_table(Reach.PUBLIC), self._make_internet_gateway()
            way_out = (self._make_default_route(Reach.PUBLIC, table, gateway_id=gateway.id),)
            tables[Reach.PUBLIC] = table, way_out
        if Reach.EGRESS in reaches:
            table, nat = self._make_table(Reach.EGRESS), self._make_nat_gateway(subnets, way_out)
            route = self._make_default_route(Reach.EGRESS, table, nat_gateway_id=nat.id)
            tables[Reach.EGRESS] = table, (route,)
        if Reach.ISOLATED in reaches:
            tables[Reach.ISOLATED] = self._make_table(Reach.ISOLATED), ()
        return tables

    def _make_table(self, reach: Reach) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(
            f"{self._name}-{reach}-routes",
            vpc_id=self.vpc_id,
            tags=self._tags(f"{reach}-routes"),
            opts=self._child,
        )

    def _make_internet_gateway(self) -> aws.ec2.InternetGateway:
        return aws.ec2.InternetGateway(
            f"{self._name}-internet",
            vpc_id=self.vpc_id,
            tags=self._tags("internet"),
            # Not moved to another VPC, as the provider would: AWS lets none go whose VPC has public addresses in use.
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["vpcId"]),
        )

    def _make_nat_gateway(
        self, subnets: Mapping[str, aws.ec2.Subnet], way_out: tuple[pulumi.Resource, ...]
    ) -> aws.ec2.NatGateway:
        if self._args.nat_subnet is None:
            raise ValueError(f"{self._name}: {Reach.EGRESS} needs a public subnet for the gateway")
        address = aws.ec2.Eip(
            f"{self._name}-nat-address", domain="vpc", tags=self._tags("nat"), opts=self._child
        )
        return aws.ec2.NatGateway(
            f"{self._name}-nat",
            subnet_id=subnets[self._args.nat_subnet].id,
            allocation_id=address.id,
            private_ip=str(self._args.nat_address),
            tags=self._tags("nat"),
            # Without a way to the internet the gateway goes to the state "failed". Its address is of one at a time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=way_out, delete_before_replace=True),
        )

    def _make_default_route(
        self, reach: Reach, table: aws.ec2.RouteTable, **target: pulumi.Output[str]
    ) -> aws.ec2.Route:
        return aws.ec2.Route(
            f"{self._name}-{reach}-default",
            route_table_id=table.id,
            destination_cidr_block=EVERYWHERE,
            **target,
            opts=self._child,
        )

    def _route(
        self,
        noun: str,
        subnet: aws.ec2.Subnet,
        routing: tuple[aws.ec2.RouteTable, tuple[pulumi.Resource, ...]],
    ) -> Subnet:
        table, routes = routing
        association = aws.ec2.RouteTableAssociation(
            f"{self._name}-{noun}-routing", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        return Subnet(id=subnet.id, ready=(association, *routes))
