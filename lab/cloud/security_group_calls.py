"""The calls about security groups and their rules."""

from __future__ import annotations

import re
from typing import Any, cast

from moto.core.responses import ActionResult
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.responses import EC2Response
from moto.ec2.utils import is_tag_filter

from lab.cloud.errors import dependency, ec2_error, invalid_filter, invalid_value, missing
from lab.cloud.filters import select, tag_value
from lab.cloud.rules import Rule, rules_of
from lab.cloud.security_groups import all_rules, direction, modify_rule, rule_in_words, set_description
from lab.cloud.shown import Shown
from lab.cloud.tags import forget_tags, tags_for

Json = Any
PLAIN = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
RULES_PER_DIRECTION = 60  # AWS's default quota


class SecurityGroupResponses(EC2Response):
    """Authorize, revoke, modify and describe rules; create and delete groups."""

    def create_security_group(self) -> ActionResult:
        """In a VPC that exists, and with a description; both texts of the characters that AWS takes."""
        for parameter in ("GroupName", "Description"):
            require_plain(parameter, self._get_param(parameter, ""))
        if vpc_id := self._get_param("VpcId"):
            self.ec2_backend.get_vpc(vpc_id)
        return super().create_security_group()

    def describe_security_groups(self) -> ActionResult:
        """By id, name and filters."""
        groups = [group for by_id in self.ec2_backend.groups.values() for group in by_id.values()]
        for name in self._filters_from_querystring():
            if groups and not is_tag_filter(name) and name not in groups[0].filters:
                raise invalid_filter(name)
        return super().describe_security_groups()

    def authorize_security_group_ingress(self) -> ActionResult:
        """All of the rules, or none."""
        return self._authorize(is_egress=False)

    def authorize_security_group_egress(self) -> ActionResult:
        """All of the rules, or none."""
        return self._authorize(is_egress=True)

    def revoke_security_group_ingress(self) -> ActionResult:
        """By what they say, or by their ids."""
        return self._revoke(is_egress=False)

    def revoke_security_group_egress(self) -> ActionResult:
        """By what they say, or by their ids."""
        return self._revoke(is_egress=True)

    def update_security_group_rule_descriptions_ingress(self) -> ActionResult:
        """Of rules by what they say, or by their ids."""
        return self._describe_anew(is_egress=False)

    def update_security_group_rule_descriptions_egress(self) -> ActionResult:
        """Of rules by what they say, or by their ids."""
        return self._describe_anew(is_egress=True)

    def modify_security_group_rules(self) -> ActionResult:
        """Another protocol, other ports, another peer of the same kind, another description."""
        group = self._group()
        for item in self._get_param("SecurityGroupRules", []):
            rule = self._own_rule(group, item["SecurityGroupRuleId"])
            modify_rule(rule, group, item.get("SecurityGroupRule", {}))
        return Shown({"Return": True})

    def describe_security_group_rules(self) -> ActionResult:
        """By id and filters."""
        rules = all_rules(self.ec2_backend)
        if wanted := self._get_param("SecurityGroupRuleIds", []):
            known = {rule.id: rule for rule in rules}
            for rule_id in wanted:
                if rule_id not in known:
                    raise _no_rule(rule_id)
            rules = [known[rule_id] for rule_id in wanted]
        found = select(rules, self._filters_from_querystring(), _rule_filter)
        return Shown({"SecurityGroupRules": [rule.view() for rule in found]})

    def delete_security_group(self) -> ActionResult:
        """Unless an interface is in it, or a rule of another group names it."""
        group = self._group()
        if group.is_default:
            raise ec2_error(
                "CannotDelete",
                f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user',
            )
        used = any(group in eni._group_set for eni in self.ec2_backend.enis.values())
        named = any(
            rule.source_group.get("GroupId") == group.id and rule.group_id != group.id
            for rule in all_rules(self.ec2_backend)
        )
        if used or named:
            raise dependency(f"resource {group.id} has a dependent object")
        for rule in (*group.ingress_rules, *group.egress_rules):
            forget_tags(self.ec2_backend, str(rule.id))
        forget_tags(self.ec2_backend, str(group.id))
        self.ec2_backend.delete_security_group(group_id=group.id)
        return Shown({"Return": True, "GroupId": group.id})

    def _group(self) -> SecurityGroup:
        wanted = self._get_param("GroupId") or self._get_param("GroupName")
        if not wanted:
            raise missing("GroupId")
        by_id = bool(self._get_param("GroupId"))
        vpc_id = None if by_id else self.ec2_backend.default_vpc.id
        found = self.ec2_backend.get_security_group_by_name_or_id(wanted, vpc_id)
        if found is None or (by_id and found.id != wanted):
            raise ec2_error("InvalidGroup.NotFound", f"The security group '{wanted}' does not exist")
        return cast(SecurityGroup, found)

    def _own_rule(self, group: SecurityGroup, rule_id: str) -> Rule:
        for rule in cast("list[Rule]", [*group.ingress_rules, *group.egress_rules]):
            if rule.id == rule_id:
                return rule
        raise _no_rule(rule_id)

    def _authorize(self, *, is_egress: bool) -> ActionResult:
        group = self._group()
        own = direction(group, is_egress=is_egress)
        new = rules_of(self.ec2_backend, group, self._get_params(), is_egress=is_egress)
        present = {rule.key for rule in own}
        for rule in new:
            if rule.key in present:
                raise ec2_error(
                    "InvalidPermission.Duplicate",
                    f'the specified rule "{rule_in_words(rule)}" already exists',
                )
        if len(own) + len(new) > RULES_PER_DIRECTION:
            raise ec2_error(
                "RulesPerSecurityGroupLimitExceeded",
                f"The maximum number of rules per security group ({RULES_PER_DIRECTION}) has been reached.",
            )
        tags = tags_for(self._get_params(), "security-group-rule")
        for rule in new:
            rule.add_tags(tags)
        own.extend(new)
        return Shown({"Return": True, "SecurityGroupRules": [rule.view() for rule in new]})

    def _revoke(self, *, is_egress: bool) -> ActionResult:
        group = self._group()
        own = direction(group, is_egress=is_egress)
        gone = self._named_rules(group, own, is_egress=is_egress)
        views = [rule.revoked_view() for rule in gone]
        for rule in gone:
            own[:] = [other for other in own if other is not rule]
            forget_tags(self.ec2_backend, str(rule.id))
        return Shown({"Return": True, "RevokedSecurityGroupRules": views})

    def _named_rules(self, group: SecurityGroup, own: list[Rule], *, is_egress: bool) -> list[Rule]:
        if ids := self._get_param("SecurityGroupRuleIds", []):
            by_id = {rule.id: rule for rule in own}
            for rule_id in ids:
                if rule_id not in by_id:
                    raise _no_rule(rule_id)
            return [by_id[rule_id] for rule_id in ids]
        by_key = {rule.key: rule for rule in own}
        asked = rules_of(self.ec2_backend, group, self._get_params(), is_egress=is_egress)
        for rule in asked:
            if rule.key not in by_key:
                raise ec2_error(
                    "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
                )
        return [by_key[rule.key] for rule in asked]

    def _describe_anew(self, *, is_egress: bool) -> ActionResult:
        group = self._group()
        own = direction(group, is_egress=is_egress)
        if by_id := self._get_param("SecurityGroupRuleDescriptions", []):
            for item in by_id:
                set_description(self._own_rule(group, item["SecurityGroupRuleId"]), item.get("Description"))
            return Shown({"Return": True})
        asked = rules_of(self.ec2_backend, group, self._get_params(), is_egress=is_egress)
        present = {rule.key: rule for rule in own}
        for rule in asked:
            if rule.key not in present:
                raise ec2_error(
                    "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
                )
            set_description(present[rule.key], rule.peer.get("Description"))
        return Shown({"Return": True})


def _rule_filter(rule: Rule, name: str) -> Json:
    if name == "group-id":
        return rule.group_id
    if name == "security-group-rule-id":
        return rule.id
    return tag_value(rule.ec2_backend.tags.get(rule.id, {}), name)


def _no_rule(rule_id: str) -> Exception:
    return ec2_error(
        "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist"
    )


def require_plain(parameter: str, text: str) -> None:
    """Refuse what AWS does not take as a group's name or description."""
    if not PLAIN.fullmatch(text):
        raise invalid_value(
            f"Value ({text}) for parameter {parameter} is invalid. Up to 255 of letters, digits, spaces and "
            "._-:/()#,@[]+=&;{}!$* are supported."
        )
    if parameter == "GroupName" and text.startswith("sg-"):
        raise invalid_value(
            f"Value ({text}) for parameter {parameter} is invalid. Group names may not be in the format sg-*."
        )
