"""Listings in pages, of every call that has them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any
COUNT = 12
LISTINGS = {
    "describe_network_interfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "describe_security_group_rules": ("SecurityGroupRules", "SecurityGroupRuleId"),
    "describe_vpcs": ("Vpcs", "VpcId"),
    "describe_subnets": ("Subnets", "SubnetId"),
    "describe_route_tables": ("RouteTables", "RouteTableId"),
    "describe_security_groups": ("SecurityGroups", "GroupId"),
    "describe_internet_gateways": ("InternetGateways", "InternetGatewayId"),
    "describe_tags": ("Tags", "Value"),
    "describe_instances": ("Reservations", "ReservationId"),
}


def fill(lab: LabUnderTest) -> None:
    """A dozen and more of everything."""
    vpcs = [lab.vpc(f"10.{i}.0.0/16") for i in range(COUNT)]
    subnets = [lab.subnet(f"10.{i}.1.0/24", vpc=vpc) for i, vpc in enumerate(vpcs)]
    for i, subnet in enumerate(subnets):
        lab.eni(subnet)
        lab.instance(subnet)
        lab.ec2.create_internet_gateway()
        lab.ec2.create_tags(Resources=[subnet], Tags=[{"Key": "Name", "Value": f"subnet {i}"}])


def test_every_listing_has_pages(lab: LabUnderTest) -> None:
    fill(lab)
    for call, (listed, key) in LISTINGS.items():
        describe: Json = getattr(lab.ec2, call)
        everything = [item[key] for item in describe()[listed]]
        assert len(everything) >= COUNT, call
        pages = list(lab.ec2.get_paginator(call).paginate(PaginationConfig={"PageSize": 5}))  # type: ignore[call-overload]
        assert [item[key] for page in pages for item in page[listed]] == everything, call
        assert all(len(page[listed]) == 5 for page in pages[:-1]), call
        assert "NextToken" not in describe(MaxResults=1000)


def test_filters_come_before_pages(lab: LabUnderTest) -> None:
    fill(lab)
    wanted: Json = [{"Name": "status", "Values": ["available"]}]
    found = lab.ec2.describe_network_interfaces(Filters=wanted, MaxResults=10)
    rest = lab.ec2.describe_network_interfaces(Filters=wanted, NextToken=found["NextToken"])
    assert (len(found["NetworkInterfaces"]), len(rest["NetworkInterfaces"])) == (10, COUNT - 10)
    assert "NextToken" not in rest


@pytest.mark.parametrize("token", ["5", "eA==", "§", "YWZ0ZXI6LTE=", "YWZ0ZXI6eA=="])
def test_tokens_that_nobody_gave(lab: LabUnderTest, token: str) -> None:
    assert code_of(partial(lab.ec2.describe_vpcs, NextToken=token)) == "InvalidNextToken"


def test_limits_that_cannot_be(lab: LabUnderTest) -> None:
    instance = lab.instance(lab.subnet())
    named = partial(lab.ec2.describe_instances, InstanceIds=[instance], MaxResults=5)
    assert code_of(named) == "InvalidParameterCombination"
    assert code_of(partial(lab.ec2.describe_instances, MaxResults=0)) == "InvalidParameterValue"
