"""Placement groups, and instances in them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from lab.cloud.images import IMAGE_ID
from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any


def create(lab: LabUnderTest, name: str = "pair", **more: Json) -> Json:
    made = partial(lab.ec2.create_placement_group, GroupName=name, Strategy="spread")
    return made(**more)["PlacementGroup"]


def launch(lab: LabUnderTest, **placement: str) -> Json:
    made: Json = lab.ec2.run_instances(
        ImageId=IMAGE_ID,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=lab.subnet(),
        Placement=placement,  # type: ignore[arg-type]
    )
    return made["Instances"][0]


def test_an_instance_in_a_spread_group(lab: LabUnderTest) -> None:
    tags: Json = [{"ResourceType": "placement-group", "Tags": [{"Key": "Name", "Value": "p"}]}]
    group = create(lab, TagSpecifications=tags)
    assert (group["Strategy"], group["SpreadLevel"], group["State"]) == ("spread", "rack", "available")
    assert group["Tags"] == [{"Key": "Name", "Value": "p"}]
    instances = [launch(lab, GroupName="pair"), launch(lab, GroupId=group["GroupId"])]
    for instance in instances:
        assert instance["Placement"]["GroupName"] == "pair"
        assert lab.world.instances[instance["InstanceId"]].placement_group == "pair"
        assert instance["Placement"]["GroupId"] == group["GroupId"]
    found = lab.ec2.describe_instances(Filters=[{"Name": "placement-group-name", "Values": ["pair"]}])
    assert len(found["Reservations"]) == 2
    delete = partial(lab.ec2.delete_placement_group, GroupName="pair")
    assert code_of(delete) == "InvalidPlacementGroup.InUse"
    lab.ec2.terminate_instances(InstanceIds=[i["InstanceId"] for i in instances])
    delete()
    assert code_of(delete) == "InvalidPlacementGroup.Unknown"
    assert lab.ec2.describe_tags()["Tags"] == []


def test_groups_that_cannot_be(lab: LabUnderTest) -> None:
    create(lab)
    assert code_of(lambda: create(lab)) == "InvalidPlacementGroup.Duplicate"
    assert code_of(lambda: create(lab, "x", SpreadLevel="host")) == "UnsupportedOperation"
    assert code_of(lambda: create(lab, "x", Strategy="far")) == "InvalidParameterValue"
    assert code_of(lambda: create(lab, "x", Strategy="partition", PartitionCount=8)) == (
        "InvalidParameterValue"
    )
    assert len(lab.ec2.describe_placement_groups()["PlacementGroups"]) == 1


@pytest.mark.parametrize(
    "wanted", [{"GroupNames": ["nobody"]}, {"GroupIds": ["pg-0"]}, {"GroupNames": ["pair", "nobody"]}]
)
def test_unknown_groups_are_told(lab: LabUnderTest, wanted: Json) -> None:
    create(lab)
    assert code_of(lambda: lab.ec2.describe_placement_groups(**wanted)) == "InvalidPlacementGroup.Unknown"


def test_filters(lab: LabUnderTest) -> None:
    create(lab)
    create(lab, "close", Strategy="cluster")
    for name, value in (("strategy", "cluster"), ("group-name", "close")):
        found = lab.ec2.describe_placement_groups(Filters=[{"Name": name, "Values": [value]}])
        assert [g["GroupName"] for g in found["PlacementGroups"]] == ["close"]
