"""Every resource type of the aws stand-in: made, read without drift, changed in place, removed, gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.providers.aws.resources import RESOURCES
from tests.unit.provider_cloud import DEBIAN_13, Resources, running_cloud, running_moto, urn

Values = Mapping[str, Any]
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBvYFmfbV9iUoVq7g2RmCz3wyLhzdpQFqLfXdHPVxhYB test"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ],
}
STATEMENT = {"Effect": "Allow", "Action": "ec2:AssignPrivateIpAddresses", "Resource": "*"}
POLICY = {"Version": "2012-10-17", "Statement": [STATEMENT]}


@dataclass(frozen=True)
class Case:
    """`$name` in inputs is the id of a thing that `needs` makes first; `change` is what is changed in place."""

    type_name: str
    inputs: Values
    needs: tuple[str, ...] = ()
    change: Values = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    in_the_lab: bool = True


VPC = ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.1.0.0/16"})
THINGS: dict[str, tuple[str, Values, tuple[str, ...]]] = {
    "vpc": (*VPC, ()),
    "subnet": (
        "aws:ec2/subnet:Subnet",
        {"vpcId": "$vpc", "cidrBlock": "10.1.1.0/24", "availabilityZone": "us-east-1a"},
        ("vpc",),
    ),
    "elsewhere": (
        "aws:ec2/subnet:Subnet",
        {"vpcId": "$vpc", "cidrBlock": "10.1.8.0/24", "availabilityZone": "us-east-1b"},
        ("vpc",),
    ),
    "igw": ("aws:ec2/internetGateway:InternetGateway", {"vpcId": "$vpc"}, ("vpc",)),
    "table": ("aws:ec2/routeTable:RouteTable", {"vpcId": "$vpc"}, ("vpc",)),
    "group": ("aws:ec2/securityGroup:SecurityGroup", {"vpcId": "$vpc", "description": "g"}, ("vpc",)),
    "other_group": ("aws:ec2/securityGroup:SecurityGroup", {"vpcId": "$vpc", "description": "o"}, ("vpc",)),
    "eip": ("aws:ec2/eip:Eip", {"domain": "vpc"}, ()),
    "eni": (
        "aws:ec2/networkInterface:NetworkInterface",
        {"subnetId": "$subnet", "privateIps": ["10.1.1.77"]},
        ("subnet",),
    ),
    "key": ("aws:ec2/keyPair:KeyPair", {"keyName": "k", "publicKey": PUBLIC_KEY}, ()),
    "role": ("aws:iam/role:Role", {"name": "proxy", "assumeRolePolicy": TRUST}, ()),
    "profile": ("aws:iam/instanceProfile:InstanceProfile", {"name": "proxy", "role": "$role"}, ("role",)),
    "other_role": ("aws:iam/role:Role", {"name": "other", "assumeRolePolicy": TRUST}, ()),
    "other_profile": (
        "aws:iam/instanceProfile:InstanceProfile",
        {"name": "other", "role": "$other_role"},
        ("other_role",),
    ),
    "spread": ("aws:ec2/placementGroup:PlacementGroup", {"strategy": "spread"}, ()),
    "instance": (
        "aws:ec2/instance:Instance",
        {"ami": "$ami", "instanceType": "t3.small", "subnetId": "$subnet", "privateIp": "10.1.1.9"},
        ("subnet", "ami"),
    ),
}
CASES = [
    Case(
        *VPC, change={"enableDnsHostnames": True, "tags": {"Name": "a"}}, outputs=("mainRouteTableId", "arn")
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        {"vpcId": "$vpc", "cidrBlock": "10.1.2.0/24", "availabilityZone": "us-east-1a", "tags": {"a": "b"}},
        ("vpc",),
        change={"mapPublicIpOnLaunch": True, "tags": {"a": "c", "d": "e"}},
        outputs=("ownerId", "arn"),
    ),
    Case(
        "aws:ec2/internetGateway:InternetGateway",
        {"vpcId": "$vpc"},
        ("vpc",),
        change={"tags": {"Name": "x"}},
        outputs=("arn",),
    ),
    Case("aws:ec2/routeTable:RouteTable", {"vpcId": "$vpc"}, ("vpc",), change={"tags": {"Name": "x"}}),
    Case(
        "aws:ec2/route:Route",
        {"routeTableId": "$table", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "$igw"},
        ("igw", "table"),
        outputs=("state", "origin"),
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": "$table", "subnetId": "$subnet"},
        ("subnet", "table"),
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        {"vpcId": "$vpc", "description": "what it is for", "tags": {"Name": "g"}},
        ("vpc",),
        change={"tags": {"Name": "h"}},
        outputs=("name", "arn"),
    ),
    Case(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        {"vpcId": "$vpc", "tags": {"Name": "closed"}},
        ("vpc",),
        change={"tags": {"Name": "shut"}},
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "$group",
            "ipProtocol": "tcp",
            "fromPort": 22,
            "toPort": 22,
            "cidrIpv4": "1.2.3.4/32",
        },
        ("group",),
        change={"description": "why", "tags": {"a": "b"}},
        outputs=("securityGroupRuleId", "arn"),
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"securityGroupId": "$group", "ipProtocol": "47", "referencedSecurityGroupId": "$other_group"},
        ("group", "other_group"),
        outputs=("securityGroupRuleId",),
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "$group",
            "ipProtocol": "icmp",
            "fromPort": 3,
            "toPort": -1,
            "cidrIpv4": "10.0.0.0/8",
        },
        ("group",),
        change={"tags": {"a": "b"}},
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        {"securityGroupId": "$group", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0", "description": "out"},
        ("group",),
        change={"cidrIpv4": "10.0.0.0/8"},
    ),
    Case(
        "aws:ec2/keyPair:KeyPair",
        {"publicKey": PUBLIC_KEY, "tags": {"a": "b"}},
        change={"tags": {"c": "d"}},
        outputs=("fingerprint", "keyPairId", "keyName"),
    ),
    Case(
        "aws:ec2/instance:Instance",
        {
            "ami": "$ami",
            "instanceType": "t3.small",
            "subnetId": "$subnet",
            "privateIp": "10.1.1.10",
            "vpcSecurityGroupIds": ["$group"],
            "keyName": "$key",
            "iamInstanceProfile": "$profile",
            "placementGroup": "$spread",
            "userData": "#!/bin/sh\necho hello\n",
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 1,
            },
            "rootBlockDevice": {
                "volumeType": "gp3",
                "volumeSize": 8,
                "encrypted": True,
                "tags": {"Name": "d"},
            },
            "tags": {"Name": "func-0"},
        },
        ("subnet", "group", "other_group", "key", "ami", "profile", "other_profile", "spread"),
        change={
            "vpcSecurityGroupIds": ["$group", "$other_group"],
            "sourceDestCheck": False,
            "iamInstanceProfile": "$other_profile",
            "instanceType": "t3.medium",
            "tags": {"Name": "func-1"},
            "userData": "#!/bin/sh\necho bye\n",
        },
        outputs=("primaryNetworkInterfaceId", "arn", "availabilityZone"),
    ),
    Case(
        "aws:ec2/networkInterface:NetworkInterface",
        {
            "subnetId": "$subnet",
            "privateIps": ["10.1.1.20"],
            "securityGroups": ["$group"],
            "description": "d",
        },
        ("subnet", "group", "other_group"),
        change={
            "securityGroups": ["$other_group"],
            "privateIps": ["10.1.1.20", "10.1.1.21"],
            "description": "e",
            "sourceDestCheck": False,
            "tags": {"a": "b"},
        },
        outputs=("macAddress", "privateIp"),
    ),
    Case(
        "aws:ec2/networkInterfaceAttachment:NetworkInterfaceAttachment",
        {"instanceId": "$instance", "networkInterfaceId": "$eni", "deviceIndex": 1},
        ("instance", "eni"),
        outputs=("attachmentId", "status"),
    ),
    Case("aws:ec2/eip:Eip", {"tags": {"a": "b"}}, change={"tags": {}}, outputs=("publicIp", "allocationId")),
    Case(
        "aws:ec2/eipAssociation:EipAssociation",
        {"allocationId": "$eip", "networkInterfaceId": "$eni"},
        ("igw", "eip", "eni"),
        outputs=("publicIp", "privateIpAddress"),
    ),
    Case(
        "aws:ec2/natGateway:NatGateway",
        {"subnetId": "$subnet", "allocationId": "$eip"},
        ("igw", "subnet", "eip"),
        change={"tags": {"a": "b"}},
        outputs=("publicIp",),
    ),
    Case(
        "aws:ec2/subnetCidrReservation:SubnetCidrReservation",
        {"subnetId": "$subnet", "cidrBlock": "10.1.1.100/32", "reservationType": "explicit"},
        ("subnet",),
        outputs=("ownerId",),
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {"vpcId": "$vpc", "serviceName": "com.amazonaws.us-east-1.s3", "routeTableIds": ["$table"]},
        ("vpc", "table"),
        change={"tags": {"a": "b"}},
        outputs=("state",),
        in_the_lab=False,
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "$vpc",
            "serviceName": "com.amazonaws.us-east-1.ec2",
            "vpcEndpointType": "Interface",
            "subnetIds": ["$subnet"],
            "subnetConfigurations": [{"subnetId": "$subnet", "ipv4": "10.1.1.200"}],
            "securityGroupIds": ["$group"],
            "tags": {"Name": "api"},
        },
        ("subnet", "group", "other_group", "elsewhere"),
        change={
            "subnetIds": ["$subnet", "$elsewhere"],
            "subnetConfigurations": [
                {"subnetId": "$subnet", "ipv4": "10.1.1.201"},
                {"subnetId": "$elsewhere", "ipv4": "10.1.8.200"},
            ],
            "securityGroupIds": ["$other_group"],
            "tags": {"Name": "ec2"},
        },
        outputs=("state", "networkInterfaceIds", "dnsEntries"),
    ),
    Case(
        "aws:ec2/placementGroup:PlacementGroup",
        {"strategy": "spread", "tags": {"a": "b"}},
        change={"tags": {"c": "d"}},
        outputs=("name", "placementGroupId", "arn"),
    ),
    Case(
        "aws:iam/role:Role",
        {"assumeRolePolicy": TRUST, "tags": {"a": "b"}},
        change={"description": "d", "tags": {"c": "d"}},
        outputs=("arn", "uniqueId"),
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        {"role": "$role", "policy": POLICY},
        ("role",),
        change={"policy": {"Version": "2012-10-17", "Statement": [STATEMENT, STATEMENT]}},
        outputs=("name",),
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": "$role", "policyArn": "$policy"},
        ("role", "policy"),
    ),
    Case(
        "aws:iam/instanceProfile:InstanceProfile",
        {"name": "p", "tags": {"a": "b"}},
        ("role",),
        change={"role": "$role", "tags": {}},
        outputs=("arn",),
    ),
]


@dataclass(frozen=True)
class Place:
    """A cloud and what cases stand on, by name; made when the first needs it, and kept."""

    cloud: Resources
    ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def lab_cloud() -> Iterator[Place]:
    """One for all cases: each removes what it made."""
    with running_cloud() as resources:
        yield Place(resources)


@pytest.fixture(scope="module")
def plain_moto() -> Iterator[Place]:
    """For types that AWS stacks use and previews show, but the lab's cloud has not."""
    with running_moto() as resources:
        yield Place(resources)


def provide(cloud: Resources, needs: tuple[str, ...], ids: dict[str, str]) -> None:
    """Make everything that is needed, and what that needs."""

    def make(name: str) -> None:
        if name in ids:
            return
        if name == "ami":
            ids[name] = cloud.aws.call("ssm", "get_parameter", Name=DEBIAN_13)["Parameter"]["Value"]
            return
        if name == "policy":
            text = json.dumps(POLICY)
            made = cloud.aws.call("iam", "create_policy", PolicyName="p", PolicyDocument=text)
            ids[name] = made["Policy"]["Arn"]
            return
        type_name, inputs, first = THINGS[name]
        for need in first:
            make(need)
        ids[name] = cloud.create(type_name, name, filled(inputs, ids))[0]

    for need in needs:
        make(need)


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """`$name` replaced by ids, everywhere."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return ids[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def case_id(case: Case) -> str:
    return f"{case.type_name.rpartition(':')[2]}-{case.inputs.get('ipProtocol', '')}".rstrip("-")


def test_every_type_has_a_case() -> None:
    assert {case.type_name for case in CASES} == set(RESOURCES)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_life_of_a_resource(request: pytest.FixtureRequest, case: Case) -> None:
    place: Place = request.getfixturevalue("lab_cloud" if case.in_the_lab else "plain_moto")
    cloud, ids = place.cloud, place.ids
    provide(cloud, case.needs, ids)
    of = urn(case.type_name, "subject")
    object_id, inputs, state = cloud.create(case.type_name, "subject", filled(case.inputs, ids))
    assert object_id
    assert {key for key in case.outputs if not state.get(key)} == set(), "outputs without a value"
    assert not [tag for tag in state.get("tags", {}) if tag.startswith("lab:")], "marks must not show"

    found = cloud.provider.read(of, object_id, state, inputs)
    assert found.id == object_id
    assert not cloud.provider.diff(of, object_id, found.inputs, found.state, inputs).changes, (
        "drift out of nothing"
    )

    if case.change:
        wanted = cloud.checked(case.type_name, "subject", {**inputs, **filled(case.change, ids)}, inputs)
        difference = cloud.provider.diff(of, object_id, inputs, state, wanted)
        assert {change.key for change in difference.changes} == set(case.change)
        assert not [change for change in difference.changes if change.replaces]
        state = cloud.provider.update(of, object_id, inputs, state, wanted, preview=False)
        found = cloud.provider.read(of, object_id, state, wanted)
        assert not cloud.provider.diff(of, object_id, found.inputs, found.state, wanted).changes, (
            "not as asked for"
        )
        # The change is in the cloud, not only in the state: seen from the old inputs, it is drift.
        before = cloud.provider.read(of, object_id, state, inputs)
        drifted = {
            c.key for c in cloud.provider.diff(of, object_id, before.inputs, before.state, inputs).changes
        }
        assert drifted == {key for key in case.change if key in inputs or key == "tags"}
        inputs = wanted

    cloud.provider.delete(of, object_id, state)
    if case.type_name != "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":
        assert cloud.provider.read(of, object_id, state, inputs).id == ""
        cloud.provider.delete(of, object_id, state)  # gone already is no error
