"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import IPv4Network
from typing import Any

import pytest

from lab.world import Rule
from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any

ANYWHERE = "0.0.0.0/0"


def allow(lab: LabUnderTest, group: str, *permissions: Mapping[str, Any], tags: Sequence[Json] = ()) -> Json:
    specifications = [{"ResourceType": "security-group-rule", "Tags": tags}] if tags else []
    return lab.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=permissions,  # type: ignore[arg-type]
        TagSpecifications=specifications,  # type: ignore[arg-type]
    )["SecurityGroupRules"]


def permission(protocol: str, ports: tuple[int, int] | None = None, cidr: str = ANYWHERE) -> dict[str, Any]:
    named = {"FromPort": ports[0], "ToPort": ports[1]} if ports else {}
    return {"IpProtocol": protocol, "IpRanges": [{"CidrIp": cidr}], **named}


@pytest.mark.parametrize(
    ("given", "kept", "number", "ports"),
    [
        (permission("47"), "47", 47, None),
        (permission("4"), "4", 4, None),
        (permission("112"), "112", 112, None),
        (permission("47", (1, 2)), "47", 47, None),  # GRE has no ports
        (permission("-1"), "-1", -1, None),
        (permission("all"), "-1", -1, None),
        (permission("TCP", (22, 22)), "tcp", 6, (22, 22)),
        (permission("6", (1, 65535)), "tcp", 6, (1, 65535)),
        (permission("17", (3780, 3780)), "udp", 17, (3780, 3780)),
        (permission("icmp", (3, -1)), "icmp", 1, (3, -1)),
        (permission("1", (-1, -1)), "icmp", 1, (-1, -1)),
    ],
)
def test_protocols(
    lab: LabUnderTest, given: Mapping[str, Any], kept: str, number: int, ports: tuple[int, int] | None
) -> None:
    group = lab.group(lab.vpc())
    (rule,) = allow(lab, group, given)
    assert rule["IpProtocol"] == kept
    assert (rule["FromPort"], rule["ToPort"]) == (ports or (-1, -1))
    first, last = ports or (None, None)
    expected = Rule(protocol=number, from_port=first, to_port=last, cidr=IPv4Network(ANYWHERE))
    assert lab.world.security_groups[group].ingress == (expected,)
    shown = lab.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"][0]
    assert (shown["IpProtocol"], shown.get("FromPort"), shown.get("ToPort")) == (kept, first, last)


@pytest.mark.parametrize(
    "bad",
    [
        permission("gre"),
        permission("256"),
        permission("tcp"),
        permission("tcp", (23, 22)),
        permission("udp", (0, 65536)),
        permission("icmp"),
        permission("icmp", (-1, 3)),
        permission("47", cidr="10.0.0.0/33"),
        permission("47", cidr="everywhere"),
        {"IpRanges": [{"CidrIp": ANYWHERE}]},
    ],
)
def test_what_is_no_rule(lab: LabUnderTest, bad: Mapping[str, Any]) -> None:
    group = lab.group(lab.vpc())
    assert code_of(lambda: allow(lab, group, permission("47"), bad)) == "InvalidParameterValue"
    assert lab.world.security_groups[group].ingress == ()  # nor the good one of the same call


def test_host_bits_are_cleared(lab: LabUnderTest) -> None:
    group = lab.group(lab.vpc())
    (rule,) = allow(lab, group, permission("47", cidr="10.1.2.3/8"))
    assert rule["CidrIpv4"] == "10.0.0.0/8"


def test_every_rule_of_a_call_comes_back_with_its_tags(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    group, peer = lab.group(vpc), lab.group(vpc, "peers")
    by_group = {"IpProtocol": "47", "UserIdGroupPairs": [{"GroupId": peer, "Description": "Tunnels"}]}
    tags = [{"Key": "Name", "Value": "tunnel"}]
    rules = allow(lab, group, permission("tcp", (22, 22)), by_group, tags=tags)
    assert [r["IpProtocol"] for r in rules] == ["tcp", "47"]
    assert [r["Tags"] for r in rules] == [tags, tags]
    assert rules[1]["ReferencedGroupInfo"]["GroupId"] == peer
    assert rules[1]["Description"] == "Tunnels"
    assert lab.world.security_groups[group].ingress[1] == Rule(protocol=47, group_id=peer)
    found = lab.ec2.describe_security_group_rules(Filters=[{"Name": "tag:Name", "Values": ["tunnel"]}])
    assert {r["SecurityGroupRuleId"] for r in found["SecurityGroupRules"]} == {
        r["SecurityGroupRuleId"] for r in rules
    }


def test_duplicates(lab: LabUnderTest) -> None:
    group = lab.group(lab.vpc())
    allow(lab, group, permission("47"))
    assert code_of(lambda: allow(lab, group, permission("47"))) == "InvalidPermission.Duplicate"
    twice = [permission("tcp", (22, 22)), permission("6", (22, 22))]
    assert code_of(lambda: allow(lab, group, *twice)) == "InvalidParameterValue"
    assert len(lab.world.security_groups[group].ingress) == 1


def test_the_same_rule_inwards_and_outwards(lab: LabUnderTest) -> None:
    group = lab.group(lab.vpc())
    default = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}
    assert lab.world.security_groups[group].egress == (Rule(protocol=-1, cidr=IPv4Network(ANYWHERE)),)
    lab.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[default])  # type: ignore[list-item]
    assert lab.world.security_groups[group].egress == ()
    out = lab.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission("47")])  # type: ignore[list-item]
    assert out["SecurityGroupRules"][0]["IsEgress"] is True
    assert lab.world.security_groups[group].egress == (Rule(protocol=47, cidr=IPv4Network(ANYWHERE)),)
    assert lab.world.security_groups[group].ingress == ()


def test_revoke_by_id_and_by_words(lab: LabUnderTest) -> None:
    group = lab.group(lab.vpc())
    by_id, by_words = allow(lab, group, permission("47"), permission("tcp", (22, 22)))
    revoke = partial(lab.ec2.revoke_security_group_ingress, GroupId=group)
    gone = by_id["SecurityGroupRuleId"]
    revoke(SecurityGroupRuleIds=[gone])
    assert code_of(lambda: revoke(SecurityGroupRuleIds=[gone])) == "InvalidSecurityGroupRuleId.NotFound"
    ssh: Any = permission("tcp", (22, 22))
    revoke(IpPermissions=[ssh])
    assert code_of(lambda: revoke(IpPermissions=[ssh])) == "InvalidPermission.NotFound"
    assert lab.world.security_groups[group].ingress == ()
    describe = lab.ec2.describe_security_group_rules
    for rule in (by_id, by_words):
        call = partial(describe, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
        assert code_of(call) == "InvalidSecurityGroupRuleId.NotFound"


def test_modify(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    group, peer = lab.group(vpc), lab.group(vpc, "peers")
    (rule,) = allow(lab, group, permission("tcp", (22, 22)))
    (by_group,) = allow(lab, group, {"IpProtocol": "47", "UserIdGroupPairs": [{"GroupId": group}]})

    def modify(rule_id: str, **new: Json) -> None:
        lab.ec2.modify_security_group_rules(
            GroupId=group,
            SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": new}],  # type: ignore[typeddict-item]
        )

    modify(rule["SecurityGroupRuleId"], IpProtocol="47", CidrIpv4="10.0.0.0/8", Description="GRE")
    modify(by_group["SecurityGroupRuleId"], IpProtocol="4", ReferencedGroupId=peer)
    assert lab.world.security_groups[group].ingress == (
        Rule(protocol=47, cidr=IPv4Network("10.0.0.0/8")),
        Rule(protocol=4, group_id=peer),
    )
    found = lab.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    assert found["SecurityGroupRules"][0]["Description"] == "GRE"
    kind = partial(modify, rule["SecurityGroupRuleId"], IpProtocol="47", ReferencedGroupId=peer)
    assert code_of(kind) == "InvalidParameterValue"
    ports = partial(modify, rule["SecurityGroupRuleId"], IpProtocol="tcp", CidrIpv4="10.0.0.0/8")
    assert code_of(ports) == "InvalidParameterValue"


def test_descriptions(lab: LabUnderTest) -> None:
    group = lab.group(lab.vpc())
    (rule,) = allow(lab, group, permission("47"))
    update = partial(lab.ec2.update_security_group_rule_descriptions_ingress, GroupId=group)
    new: Any = {"IpProtocol": "47", "IpRanges": [{"CidrIp": ANYWHERE, "Description": "Tunnels"}]}
    update(IpPermissions=[new])
    found = lab.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    assert found["SecurityGroupRules"][0]["Description"] == "Tunnels"


def test_rules_of_a_group(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    group, other = lab.group(vpc), lab.group(vpc, "others")
    allow(lab, group, permission("47"))
    allow(lab, other, permission("4"))
    found = lab.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    assert sorted((r["IsEgress"], r["IpProtocol"]) for r in found["SecurityGroupRules"]) == [
        (False, "47"),
        (True, "-1"),
    ]


def test_a_group_in_use_is_not_deleted(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    used, named, free = lab.group(vpc, "used"), lab.group(vpc, "named"), lab.group(vpc, "free")
    eni = lab.ec2.create_network_interface(SubnetId=lab.subnet(vpc=vpc), Groups=[used])["NetworkInterface"]
    allow(lab, used, {"IpProtocol": "47", "UserIdGroupPairs": [{"GroupId": named}]})
    delete = lab.ec2.delete_security_group
    assert code_of(lambda: delete(GroupId=used)) == "DependencyViolation"
    assert code_of(lambda: delete(GroupId=named)) == "DependencyViolation"
    delete(GroupId=free)
    lab.ec2.delete_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"])
    delete(GroupId=used)
    delete(GroupId=named)
    default = lab.ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]["GroupId"]
    assert set(lab.world.security_groups) == {default}
    assert code_of(lambda: delete(GroupId=default)) == "CannotDelete"
    assert code_of(lambda: delete(GroupId=free)) == "InvalidGroup.NotFound"


def test_groups_and_peers_belong_to_one_vpc(lab: LabUnderTest) -> None:
    group, foreign = lab.group(lab.vpc()), lab.group(lab.vpc())
    peers = {"IpProtocol": "47", "UserIdGroupPairs": [{"GroupId": foreign}]}
    assert code_of(lambda: allow(lab, group, peers)) == "InvalidGroup.NotFound"
    create = partial(lab.ec2.create_security_group, GroupName="x", Description="x", VpcId="vpc-0")
    assert code_of(create) == "InvalidVpcID.NotFound"


def test_the_world_knows_groups_by_name(lab: LabUnderTest) -> None:
    hosts = lab.group(lab.vpc(), "hosts")
    assert lab.world.security_groups[hosts].name == "hosts"
    assert {group.name for group in lab.world.security_groups.values()} == {"default", "hosts"}


def test_an_interface_is_in_five_groups_at_most(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    groups = [lab.group(vpc, f"hosts-{index}") for index in range(6)]
    make = partial(lab.ec2.create_network_interface, SubnetId=subnet)
    assert code_of(partial(make, Groups=groups)) == "SecurityGroupsPerInterfaceLimitExceeded"
    eni = make(Groups=groups[:5])["NetworkInterface"]["NetworkInterfaceId"]
    modify = partial(lab.ec2.modify_network_interface_attribute, NetworkInterfaceId=eni)
    assert code_of(partial(modify, Groups=groups)) == "SecurityGroupsPerInterfaceLimitExceeded"
    assert len(lab.world.enis[eni].group_ids) == 5


@pytest.mark.parametrize(
    ("name", "description"),
    [("sg-hosts", "for a test"), ("hösts", "for a test"), ("hosts", "für einen Test"), ("hosts", "x" * 256)],
)
def test_names_and_descriptions_of_groups_that_aws_does_not_take(
    lab: LabUnderTest, name: str, description: str
) -> None:
    vpc = lab.vpc()
    make = partial(lab.ec2.create_security_group, VpcId=vpc)
    assert code_of(partial(make, GroupName=name, Description=description)) == "InvalidParameterValue"
    make(GroupName="hosts", Description="Proxies: GRE (47), ports 1-2; from/to {all} $x [a]=b+c&d!*@#_.")
