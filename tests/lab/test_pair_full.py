"""A pair that is full: as many tenants as its type has ENIs for, most of them customers' own subnets. All HaVips move.

For `make pair`: nothing else should run on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.paths import PROJECT
from tests.lab.conftest import PAIR, LabUnderTest, brought_up, ec2_of
from tests.lab.pair_lab import drill, status_without_problems, well

pytestmark = [pytest.mark.lab, pytest.mark.every_scenario]

FILES = PROJECT / "build" / "drill-full"  # stay, to look at
AS_LARGE, SPARE_ENIS = ("--config", "proxy.instance_type=c6i.4xlarge"), 7
CUSTOMERS = tuple(f"t{index}" for index in range(2, SPARE_ENIS + 1))


def settings(ec2: Any) -> tuple[str, ...]:
    """Alpha, and the customers, each with a subnet of a VPC that no stack has made."""
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    words = [*PAIR, *AS_LARGE]
    for position, name in enumerate(CUSTOMERS, 1):
        block = f"10.40.{position}"
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{block}.0/24", AvailabilityZone=zone)
        tenant = {
            "name": name, "index": position + 1, "vpc_id": vpc, "subnet_id": made["Subnet"]["SubnetId"],
            "cidrs": [f"{block}.0/24"], "havip": f"{block}.100",
            "overlay": {
                "cidr": f"10.0.{position}.0/24", "proxy": f"10.0.{position}.4", "first_func": f"10.0.{position}.3",
            },
        }  # fmt: skip
        words += ["--config", f"tenants[{position}]={json.dumps(tenant)}"]
    return tuple(words)


@pytest.fixture(scope="module")
def full() -> Iterator[tuple[LabUnderTest, tuple[str, ...]]]:
    """Up, and the settings that make it so."""
    with brought_up("pair-full", None, *PAIR, *AS_LARGE) as lab:
        words = settings(ec2_of(lab))
        lab.up(*words)
        yield lab, words


@pytest.mark.parametrize("name", ["kill", "unplug-user", "switch"])
def test_every_havip_of_a_full_pair_moves(full: tuple[LabUnderTest, tuple[str, ...]], name: str) -> None:
    lab, words = full
    well(lab)
    drill(lab, FILES, name, *words)
    status = status_without_problems(lab)
    (pair,) = status["pairs"]
    assert [(havip["name"], havip["holder"]) for havip in pair["havips"]] == [
        (havip, pair["active"]) for havip in ("platform", "alpha", *CUSTOMERS)
    ]
