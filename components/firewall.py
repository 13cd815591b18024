"""Security groups from a table of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from components.tags import tagged


class Direction(StrEnum):
    """As seen from the interfaces in the group."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What a rule lets through, in the terms of EC2: for ICMP the ports are type and code, -1 is any."""

    name: str
    protocol: str
    from_port: int | None = None
    to_port: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Traffic between a group and its peer: another group of the same firewall by name, or a network."""

    group: str
    direction: Direction
    traffic: Traffic
    peer: str | IPv4Network
    why: str

    @property
    def name(self) -> str:
        """Unique within a firewall, and stable whatever other rules come and go."""
        return f"{self.group}-{self.direction}-{self.traffic.name}-{str(self.peer).replace('/', '-')}"


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """`groups`: what each group is for, by name. AWS never lets a group's description be changed."""

    vpc_id: pulumi.Input[str]
    groups: Mapping[str, str]
    rules: Sequence[Rule]
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Group:
    """A security group, and the rules without which it lets nothing through."""

    id: pulumi.Output[str]
    rules: tuple[pulumi.Resource, ...]


class Firewall(pulumi.ComponentResource):
    """The security groups of one VPC. Each allows exactly its rules: AWS's default egress is removed too."""

    groups: dict[str, Group]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:network:Firewall", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        groups = {group: self._make_group(name, group, args) for group in args.groups}
        rules = [(rule.group, self._make_rule(name, rule, groups, args.tags)) for rule in args.rules]
        self.groups = {
            group: Group(id=resource.id, rules=tuple(rule for of, rule in rules if of == group))
            for group, resource in groups.items()
        }
        self.register_outputs({f"{group}GroupId": made.id for group, made in self.groups.items()})

    def _make_group(self, name: str, group: str, args: FirewallArgs) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            f"{name}-{group}",
            vpc_id=args.vpc_id,
            description=args.groups[group],
            tags=tagged(args.tags, f"{name}-{group}"),
            opts=self._child,
        )

    def _make_rule(
        self, name: str, rule: Rule, groups: Mapping[str, aws.ec2.SecurityGroup], tags: Mapping[str, str]
    ) -> pulumi.Resource:
        if rule.direction is Direction.INGRESS:
            resource = aws.vpc.SecurityGroupIngressRule
        else:
            resource = aws.vpc.SecurityGroupEgressRule
        made: pulumi.Resource = resource(
            f"{name}-{rule.name}",
            security_group_id=groups[rule.group].id,
            ip_protocol=rule.traffic.protocol,
            from_port=rule.traffic.from_port,
            to_port=rule.traffic.to_port,
            cidr_ipv4=str(rule.peer) if isinstance(rule.peer, IPv4Network) else None,
            referenced_security_group_id=groups[rule.peer].id if isinstance(rule.peer, str) else None,
            description=rule.why,
            tags=tagged(tags, f"{name}-{rule.name}"),
            opts=self._child,
        )
        return made
