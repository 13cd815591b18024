"""Tags and other text that AWS refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from lab.cloud.images import IMAGE_ID
from tests.unit.cloud_testing import LabUnderTest, code_of
from tests.unit.test_cloud_identity import TRUST, client

Json = Any
REFUSED = [
    ("aws:name", "x"),
    ("AWS:name", "x"),
    ("", "x"),
    ("k" * 129, "x"),
    ("k", "v" * 257),
    ("k", "\x01"),
    ("\x0b", "v"),
]
ACCEPTED = [("k" * 128, "v" * 256), ("tab\tand\nline", "<&>\"' ü 🏳"), ("Name", ""), ("laws:", "x")]


def tags(resource_type: str, key: str, value: str) -> list[Json]:
    return [{"ResourceType": resource_type, "Tags": [{"Key": key, "Value": value}]}]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_tags_that_are_refused(lab: LabUnderTest, key: str, value: str) -> None:
    vpc = lab.vpc()
    subnet, group = lab.subnet(vpc=vpc), lab.group(vpc)
    calls: list[Json] = [
        partial(lab.ec2.create_tags, Resources=[vpc], Tags=[{"Key": key, "Value": value}]),
        partial(lab.ec2.create_vpc, CidrBlock="10.1.0.0/16", TagSpecifications=tags("vpc", key, value)),
        partial(
            lab.ec2.create_network_interface,
            SubnetId=subnet,
            TagSpecifications=tags("network-interface", key, value),
        ),
        partial(lab.ec2.allocate_address, TagSpecifications=tags("elastic-ip", key, value)),
        partial(
            lab.ec2.create_security_group,
            GroupName="g",
            Description="d",
            VpcId=vpc,
            TagSpecifications=tags("security-group", key, value),
        ),
        partial(
            lab.ec2.authorize_security_group_ingress,
            GroupId=group,
            IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            TagSpecifications=tags("security-group-rule", key, value),
        ),
        partial(
            lab.ec2.run_instances,
            ImageId=IMAGE_ID,
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            TagSpecifications=tags("volume", key, value),
        ),
    ]
    before = lab.world
    for call in calls:
        assert code_of(call) == "InvalidParameterValue"
    assert lab.world == before
    assert lab.ec2.describe_tags()["Tags"] == []


@pytest.mark.parametrize(("key", "value"), ACCEPTED)
def test_tags_that_are_unusual(lab: LabUnderTest, key: str, value: str) -> None:
    vpc = lab.vpc()
    lab.ec2.create_tags(Resources=[vpc], Tags=[{"Key": key, "Value": value}])
    (shown,) = lab.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert shown["Tags"] == [{"Key": key, "Value": value}]


def test_the_tags_of_aws_stay(lab: LabUnderTest) -> None:
    delete = partial(lab.ec2.delete_tags, Resources=[lab.vpc()], Tags=[{"Key": "aws:name"}])
    assert code_of(delete) == "InvalidParameterValue"


def test_no_text_breaks_a_listing(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    describe = partial(lab.ec2.create_network_interface, SubnetId=lab.subnet(vpc=vpc), Description="a\x00b")
    assert code_of(describe) == "InvalidParameterValue"
    range_: Json = {"CidrIp": "10.0.0.0/8", "Description": "\x1f"}
    authorize = partial(
        lab.ec2.authorize_security_group_ingress,
        GroupId=lab.group(vpc),
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [range_]}],
    )
    assert code_of(authorize) == "InvalidParameterValue"
    role = partial(
        client("iam").create_role, RoleName="r", AssumeRolePolicyDocument=TRUST, Description="\ufffe"
    )
    assert code_of(role) == "InvalidParameterValue"
    assert lab.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
