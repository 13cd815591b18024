"""Security-group rules: what EC2 accepts as a rule, and in which form it keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from lab.cloud.errors import ec2_error, invalid_value, missing, unsupported
from lab.cloud.tags import tags_of

NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}  # EC2 calls these by name
PLAIN = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
NAMED = ("tcp", "udp", "icmp", "icmpv6")
PEERS = {
    "CidrIpv4": "CidrIp",
    "CidrIpv6": "CidrIpv6",
    "ReferencedGroupId": "GroupId",
    "PrefixListId": "PrefixListId",
}


class Rule(SecurityGroupRule):
    """moto's, for every protocol: ports are for TCP and UDP, type and code for ICMP, nothing for others."""

    from_port: int | None
    to_port: int | None

    def __init__(self, group: SecurityGroup, peer: Mapping[str, str], *, is_egress: bool) -> None:
        is_group = "GroupId" in peer
        super().__init__(
            group.ec2_backend,
            "-1",
            str(group.id),
            None,
            None,
            None if is_group else dict(peer),
            dict(peer) if is_group else None,
            is_egress=is_egress,
        )

    def set_traffic(self, traffic: Mapping[str, Any]) -> Rule:
        """Take protocol and ports from `IpProtocol`, `FromPort` and `ToPort`."""
        self.ip_protocol = protocol_of(traffic)
        self.from_port, self.to_port = ports_of(self.ip_protocol, traffic)
        return self

    @property
    def key(self) -> tuple[object, ...]:
        """What no two rules of a group and direction may share."""
        peer = (
            self.source_group.get("GroupId") or self.ip_range.get("CidrIp") or self.ip_range.get("CidrIpv6")
        )
        return (self.ip_protocol, self.from_port, self.to_port, peer)

    @property
    def peer(self) -> dict[str, str]:
        """Whom it is about: a `GroupId`, `CidrIp` or `CidrIpv6`, and a `Description`."""
        return self.source_group or self.ip_range

    def view(self) -> dict[str, Any]:
        """As DescribeSecurityGroupRules shows it: -1 where there are no ports."""
        group = self.source_group.get("GroupId")
        return {
            "SecurityGroupRuleId": self.id,
            "SecurityGroupRuleArn": f"arn:aws:ec2:{self.ec2_backend.region_name}:{self.owner_id}"
            f":security-group-rule/{self.id}",
            "GroupId": self.group_id,
            "GroupOwnerId": self.owner_id,
            "IsEgress": self.is_egress,
            "IpProtocol": self.ip_protocol,
            "FromPort": -1 if self.from_port is None else self.from_port,
            "ToPort": -1 if self.to_port is None else self.to_port,
            "CidrIpv4": self.ip_range.get("CidrIp"),
            "CidrIpv6": self.ip_range.get("CidrIpv6"),
            "ReferencedGroupInfo": {"GroupId": group, "UserId": self.owner_id} if group else None,
            "Description": self.peer.get("Description"),
            "Tags": tags_of(self.ec2_backend, str(self.id)),
        }

    def revoked_view(self) -> dict[str, Any]:
        """As the calls to revoke show it."""
        view = self.view()
        group = view.pop("ReferencedGroupInfo")
        for key in ("SecurityGroupRuleArn", "GroupOwnerId", "Tags"):
            del view[key]
        return {**view, "ReferencedGroupId": group and group["GroupId"]}


def protocol_of(traffic: Mapping[str, Any]) -> str:
    """The protocol's name where EC2 has one, its IANA number else, -1 for all."""
    given = str(traffic.get("IpProtocol") or "").lower()
    if not given:
        raise invalid_value(
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
        )
    name = NAMES.get(given, given)
    if name in NAMED or name == "-1" or (name.isdigit() and int(name) <= 255):
        return name
    raise invalid_value(f"Invalid value '{given}' for IP protocol. Unknown protocol.")


def ports_of(protocol: str, traffic: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """First and last port, or ICMP type and code; (None, None) for protocols that have neither."""
    first, last = traffic.get("FromPort"), traffic.get("ToPort")
    if protocol not in NAMED:
        return None, None
    if protocol == "icmpv6" and first is None and last is None:
        return -1, -1
    if first is None or last is None:
        raise invalid_value("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    first, last = int(first), int(last)
    if protocol in ("icmp", "icmpv6"):
        if not (-1 <= first <= 255 and -1 <= last <= 255) or (first == -1 and last != -1):
            raise invalid_value(f"ICMP code ({last}) or type ({first}) out of range")
    elif not 0 <= first <= 65535 or not 0 <= last <= 65535 or first > last:
        raise invalid_value(f"Invalid TCP/UDP port range ({first}:{last})")
    return first, last


def rules_of(
    backend: EC2Backend, group: SecurityGroup, params: Mapping[str, Any], *, is_egress: bool
) -> list[Rule]:
    """The rules that a call to authorize or revoke is about."""
    permissions = params.get("IpPermissions") or [_single_permission(params)]
    rules = []
    for permission in permissions:
        peers = list(peers_of(backend, group, permission))
        if not peers:
            raise missing("ipPermissions: a CIDR block or a security group")
        rules += [Rule(group, peer, is_egress=is_egress).set_traffic(permission) for peer in peers]
    if len({rule.key for rule in rules}) != len(rules):
        raise invalid_value("The same permission must not appear multiple times")
    return rules


def _single_permission(params: Mapping[str, Any]) -> dict[str, Any]:
    permission = {key: params[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in params}
    if "CidrIp" in params:
        permission["IpRanges"] = [{"CidrIp": params["CidrIp"]}]
    if "SourceSecurityGroupName" in params:
        permission["UserIdGroupPairs"] = [{"GroupName": params["SourceSecurityGroupName"]}]
    return permission


def peers_of(
    backend: EC2Backend, group: SecurityGroup, permission: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    """Whom a permission is about, one by one."""
    if permission.get("PrefixListIds"):
        raise unsupported("security-group rules for prefix lists; name the prefixes themselves")
    for item in permission.get("IpRanges", []):
        yield described({"CidrIp": canonical_cidr(item["CidrIp"])}, item)
    for item in permission.get("Ipv6Ranges", []):
        yield described({"CidrIpv6": canonical_cidr(item["CidrIpv6"], IPv6Network)}, item)
    for item in permission.get("UserIdGroupPairs", []):
        peer = item.get("GroupId") or item.get("GroupName", "")
        yield described(group_peer(backend, group, peer), item)


def group_peer(backend: EC2Backend, group: SecurityGroup, wanted: str) -> dict[str, str]:
    """A security group of the same VPC, by id or name."""
    found = backend.get_security_group_by_name_or_id(wanted, group.vpc_id)
    if found is None or found.vpc_id != group.vpc_id:
        raise ec2_error(
            "InvalidGroup.NotFound", f"The security group '{wanted}' does not exist in VPC '{group.vpc_id}'"
        )
    return {"GroupId": str(found.id), "UserId": str(found.owner_id)}


def described(peer: dict[str, str], item: Mapping[str, Any]) -> dict[str, str]:
    """The peer with its description, if there is one."""
    description = item.get("Description")
    require_plain("Description", str(description or ""))
    return {**peer, "Description": str(description)} if description else peer


def canonical_cidr(text: str, kind: type[IPv4Network | IPv6Network] = IPv4Network) -> str:
    """The prefix that EC2 keeps: host bits are cleared."""
    try:
        return str(kind(text, strict=False))
    except (AddressValueError, NetmaskValueError, ValueError):
        raise invalid_value(f"CIDR block {text} is malformed") from None


def require_plain(parameter: str, text: str) -> None:
    """Refuse what AWS does not take as a group's name, or as the description of a group or rule."""
    if not PLAIN.fullmatch(text):
        raise invalid_value(
            f"Value ({text}) for parameter {parameter} is invalid. Up to 255 of letters, digits, spaces and "
            "._-:/()#,@[]+=&;{}!$* are supported."
        )
    if parameter == "GroupName" and text.startswith("sg-"):
        raise invalid_value(
            f"Value ({text}) for parameter {parameter} is invalid. Group names may not be in the format sg-*."
        )
