"""A customer's own network comes to a pair and goes from it, while another tenant's connections run."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.lab.conftest import PAIR, LabUnderTest, ec2_of
from tests.lab.kept_connections import kept_connections
from tests.lab.pair_lab import PROXIES, status_without_problems, well

pytestmark = pytest.mark.lab

Json = Any
# 60 are stated, and an idle pair of emulated guests takes 58, most of it in twenty commands of 1 to 3 s, and in having
# both step aside. Connections take their time from the same two cores: with four of them it is 76.
REMOVED_WITHIN_S = 90
CONNECTIONS_MEANWHILE = 4
UNNOTICED_S = 2.0  # both proxies step aside, one after the other; a connection waits 0.2 s for each


def customer_network(ec2: Any) -> tuple[str, str]:
    """A VPC and a subnet of it, by their ids, with something of the customer's in it."""
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.40.1.0/24", AvailabilityZone=zone)["Subnet"][
        "SubnetId"
    ]
    ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress="10.40.1.9")
    return vpc, subnet


def all_there_is(ec2: Any, vpc: str, subnet: str) -> Json:
    """Of a VPC, by AWS's word."""
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    return {
        "VPC": ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"],
        "subnets": ec2.describe_subnets(Filters=of_vpc)["Subnets"],
        "interfaces": ec2.describe_network_interfaces(Filters=of_vpc)["NetworkInterfaces"],
        "groups": ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"],
        "route tables": ec2.describe_route_tables(Filters=of_vpc)["RouteTables"],
        "reservations": ec2.get_subnet_cidr_reservations(SubnetId=subnet)["SubnetIpv4CidrReservations"],
    }


def refusals(lab: LabUnderTest, since: str) -> str:
    """Claims that the API has refused: then a pair changes sides unasked."""
    told = f"journalctl --no-pager -u causeway-pair --since @{since} | grep UnauthorizedOperation || true"
    return "".join(lab.succeed(proxy, told) for proxy in PROXIES)


def test_a_customers_network_is_left_as_it_was_found(pair: LabUnderTest) -> None:
    ec2 = ec2_of(pair)
    vpc, subnet = customer_network(ec2)
    before = all_there_is(ec2, vpc, subnet)
    tenant = {
        "name": "customer", "index": 2, "vpc_id": vpc, "subnet_id": subnet, "cidrs": ["10.40.0.0/16"],
        "havip": "10.40.1.100", "container_cidr": "10.88.1.0/24",
        "overlay": {"cidr": "10.0.1.0/24", "proxy": "10.0.1.4", "first_func": "10.0.1.3"},
    }  # fmt: skip
    well(pair)
    with kept_connections(pair, longest_s=UNNOTICED_S):
        pair.up(*PAIR, "--config", f"tenants[1]={json.dumps(tenant)}")
    well(pair)
    with_it = all_there_is(ec2, vpc, subnet)
    assert with_it["route tables"] == before["route tables"], "the customer's are never changed"
    assert len(with_it["interfaces"]) == len(before["interfaces"]) + 2
    status_without_problems(pair)
    since = pair.succeed(PROXIES[0], "date +%s").strip()
    with kept_connections(pair, CONNECTIONS_MEANWHILE, longest_s=UNNOTICED_S):
        began = time.monotonic()
        pair.up(*PAIR)
        took = time.monotonic() - began
    print(f"removed in {took:.0f} s")
    assert took <= REMOVED_WITHIN_S
    assert refusals(pair, since) == ""
    assert all_there_is(ec2, vpc, subnet) == before
    well(pair)
    status_without_problems(pair)
