"""aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule and its egress twin."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, ClassVar

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone, may_adopt
from lab.providers.plugin.errors import CheckFailure
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

PEERS = ("cidrIpv4", "referencedSecurityGroupId")
WITHOUT_PORTS = "a rule of every protocol, or of one without ports, takes no ports"
PORTS = ("tcp", "udp", "icmp", "icmpv6", "6", "17", "1", "58")
NUMBERS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}  # how the API answers


class SecurityGroupRule(ResourceType):
    """One rule, with one peer. In place only its description, ports and peer change, as on AWS."""

    egress: ClassVar[bool]
    rank = 30
    inputs = {
        **REGION,
        **TAGS,
        "securityGroupId": Prop(required=True, replaces=True),
        "ipProtocol": Prop(required=True),
        "fromPort": Prop(kind=Kind.INT),
        "toPort": Prop(kind=Kind.INT),
        "cidrIpv4": Prop(),
        "referencedSecurityGroupId": Prop(),
        "description": Prop(),
    }
    outputs = frozenset({"arn", "securityGroupRuleId", "tagsAll"})

    def check(self, new: Values) -> list[CheckFailure]:
        failures = []
        if len([peer for peer in PEERS if peer in new]) != 1:
            failures.append(CheckFailure("cidrIpv4", f"a rule has exactly one of {' and '.join(PEERS)}"))
        has_ports = "fromPort" in new or "toPort" in new
        if isinstance(new["ipProtocol"], str) and new["ipProtocol"] not in PORTS and has_ports:
            failures.append(CheckFailure("fromPort", WITHOUT_PORTS))
        return failures

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        group = new["securityGroupId"]
        tags = tag_specifications(aws, urn, "security-group-rule", new.get("tags"))
        permission = _permission(new)
        try:
            made = aws.ec2(
                f"authorize_security_group_{self._direction}",
                GroupId=group,
                IpPermissions=[permission],
                TagSpecifications=tags,
            )
        except AwsError as error:
            if error.code != "InvalidPermission.Duplicate" or not may_adopt(aws, urn, group):
                raise
            return self._identical(aws, new)
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        rule = self._find(aws, object_id)
        if rule is None:
            return None
        has_ports = "fromPort" in known or "toPort" in known
        return {
            **read_tags(aws, rule.get("Tags")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"security-group-rule/{object_id}"),
            "securityGroupRuleId": object_id,
            "securityGroupId": rule["GroupId"],
            "ipProtocol": _same_protocol(known.get("ipProtocol"), rule["IpProtocol"]),
            "fromPort": rule.get("FromPort") if has_ports else None,
            "toPort": rule.get("ToPort") if has_ports else None,
            "cidrIpv4": rule.get("CidrIpv4"),
            "referencedSecurityGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            "description": rule.get("Description"),
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        if changed - {"tags"}:
            rule = {"SecurityGroupRuleId": object_id, "SecurityGroupRule": _rule(new)}
            aws.ec2("modify_security_group_rules", GroupId=new["securityGroupId"], SecurityGroupRules=[rule])

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        rule = self._find(aws, object_id)
        if rule is not None:
            ignore_gone(
                aws,
                f"revoke_security_group_{self._direction}",
                (
                    "InvalidPermission.NotFound",
                    "InvalidGroup.NotFound",
                    "InvalidSecurityGroupRuleId.NotFound",
                ),
                GroupId=rule["GroupId"],
                SecurityGroupRuleIds=[object_id],
            )

    @property
    def _direction(self) -> str:
        return "egress" if self.egress else "ingress"

    def _find(self, aws: Aws, object_id: str) -> Values | None:
        # By the id as a filter, not as the subject: a rule that is gone is then no error.
        filters = [{"Name": "security-group-rule-id", "Values": [object_id]}]
        rules = aws.ec2("describe_security_group_rules", Filters=filters)["SecurityGroupRules"]
        return next((rule for rule in rules if rule["SecurityGroupRuleId"] == object_id), None)

    def _identical(self, aws: Aws, new: Values) -> str:
        filters = [{"Name": "group-id", "Values": [new["securityGroupId"]]}]
        wanted = _comparable(_rule(new))
        for rule in aws.ec2("describe_security_group_rules", Filters=filters)["SecurityGroupRules"]:
            flat = {**rule, "ReferencedGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId")}
            if rule["IsEgress"] == self.egress and _comparable(flat) == wanted:
                return str(rule["SecurityGroupRuleId"])
        raise AwsError("DescribeSecurityGroupRules", "InvalidPermission.NotFound", "no such rule after all")


class SecurityGroupIngressRule(SecurityGroupRule):
    """A rule for what comes in."""

    type_name = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    egress = False


class SecurityGroupEgressRule(SecurityGroupRule):
    """A rule for what goes out."""

    type_name = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    egress = True


def _permission(new: Values) -> dict[str, Any]:
    """The rule as IpPermission, which authorize calls take."""
    about = {"Description": new["description"]} if "description" in new else {}
    peer: dict[str, Any] = (
        {"IpRanges": [{"CidrIp": new["cidrIpv4"], **about}]}
        if "cidrIpv4" in new
        else {"UserIdGroupPairs": [{"GroupId": new["referencedSecurityGroupId"], **about}]}
    )
    return {"IpProtocol": new["ipProtocol"], **_ports(new), **peer}


def _rule(new: Values) -> dict[str, Any]:
    """The rule as SecurityGroupRuleRequest, which modify calls take."""
    names = {
        "cidrIpv4": "CidrIpv4",
        "referencedSecurityGroupId": "ReferencedGroupId",
        "description": "Description",
    }
    return {
        "IpProtocol": new["ipProtocol"],
        **_ports(new),
        **{name: new[key] for key, name in names.items() if key in new},
    }


def _ports(new: Values) -> dict[str, int]:
    names = {"fromPort": "FromPort", "toPort": "ToPort"}
    return {name: int(new[key]) for key, name in names.items() if key in new}


def _comparable(rule: Mapping[str, Any]) -> tuple[object, ...]:
    protocol = NUMBERS.get(rule["IpProtocol"], rule["IpProtocol"])
    ports = [rule.get(key) if rule.get(key) is not None else -1 for key in ("FromPort", "ToPort")]
    return (protocol, *ports, rule.get("CidrIpv4"), rule.get("ReferencedGroupId"))


def _same_protocol(given: str | None, answered: str) -> str:
    """The program's spelling where the API only answers with another."""
    return (
        given
        if given is not None and NUMBERS.get(given, given) == NUMBERS.get(answered, answered)
        else answered
    )
