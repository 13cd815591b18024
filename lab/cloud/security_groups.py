"""Security groups: finding them, and changing their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup

from lab.cloud.errors import ec2_error
from lab.cloud.rules import PEERS, Rule, canonical_cidr, described, group_peer

PER_INTERFACE = 5  # AWS's default quota


def groups_by_id(backend: EC2Backend, ids: Sequence[str], vpc_id: str) -> list[SecurityGroup]:
    """Groups of a VPC, in the order given; an interface can be in no other VPC's, and in five at most."""
    if len(ids) > PER_INTERFACE:
        raise ec2_error(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    groups = []
    for group_id in ids:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise ec2_error("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            raise ec2_error(
                "InvalidParameter", f"Security group {group_id} and subnet belong to different networks."
            )
        groups.append(group)
    return groups


def direction(group: SecurityGroup, *, is_egress: bool) -> list[Rule]:
    """A group's rules of one direction: the list itself."""
    return cast("list[Rule]", group.egress_rules if is_egress else group.ingress_rules)


def all_rules(backend: EC2Backend) -> list[Rule]:
    """Of every group."""
    groups = [group for by_id in backend.groups.values() for group in by_id.values()]
    return [r for group in groups for r in cast("list[Rule]", [*group.ingress_rules, *group.egress_rules])]


def modify_rule(rule: Rule, group: SecurityGroup, new: Mapping[str, Any]) -> None:
    """Other traffic, another peer of the same kind, another description."""
    given = [key for key in PEERS if new.get(key)]
    if len(given) != 1:
        raise ec2_error(
            "InvalidParameterCombination" if given else "MissingParameter",
            "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId",
        )
    kind = PEERS[given[0]]
    if kind not in rule.peer:
        raise ec2_error(
            "InvalidParameterValue",
            f"Invalid rule type for security group rule '{rule.id}'. You may not specify {given[0]} for it.",
        )
    value = str(new[given[0]])
    if kind == "GroupId":
        rule.source_group = group_peer(group.ec2_backend, group, value)
    else:
        rule.ip_range = {kind: canonical_cidr(value) if kind == "CidrIp" else value}
    if description := described({}, new):
        rule.peer.update(description)
    rule.set_traffic(new)
    own = direction(group, is_egress=rule.is_egress)
    if sum(other.key == rule.key for other in own) > 1:
        raise ec2_error(
            "InvalidPermission.Duplicate", f'the specified rule "{rule_in_words(rule)}" already exists'
        )


def set_description(rule: Rule, description: str | None) -> None:
    """None takes it away."""
    if description:
        rule.peer["Description"] = description
    else:
        rule.peer.pop("Description", None)


def rule_in_words(rule: Rule) -> str:
    """As AWS's errors name it."""
    peer = rule.peer.get("GroupId") or rule.peer.get("CidrIp") or rule.peer.get("CidrIpv6")
    ports = "" if rule.from_port is None else f", from port: {rule.from_port}, to port: {rule.to_port}"
    return f"peer: {peer}, {str(rule.ip_protocol).upper()}{ports}, ALLOW"
