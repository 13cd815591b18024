"""A tenant whose index asks for a second pair: it is made with the tenant, serves it alone, and goes with it.

func-0 ══ key 1 ══▶ proxy-0 [tenant-alpha] ── user-alpha 172.16.101.4
       ══ key 3 ══▶ proxy-2 [tenant-beta] ─── user-beta  172.16.101.4
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import LabUnderTest, ec2_of
from tests.lab.pair_lab import status_without_problems, twin

pytestmark = pytest.mark.lab

Json = Any
WAY = "curl --silent --fail --max-time 5 --interface {} http://172.16.101.4:8080"


@pytest.fixture(scope="module")
def second(lab: LabUnderTest) -> Iterator[Json]:
    """Up with both; the outputs."""
    try:
        yield lab.up("--config", twin(1, "beta", 3))["outputs"]
    finally:
        lab.up()
        for host in ("proxy-2", "user-beta"):
            lab.forget(host)


def test_each_tenant_is_reached_by_its_own_pair(lab: LabUnderTest, second: Json) -> None:
    assert [pair["proxies"] for pair in second["plan"]["pairs"]] == [["proxy-0"], ["proxy-2"]]
    for name, source, proxy in (("alpha", "10.0.0.3", "proxy-0"), ("beta", "10.0.2.3", "proxy-2")):
        seen = json.loads(lab.succeed("func-0", WAY.format(source)))["client"]
        assert seen == second["tenants"][name]["user_enis"][proxy]["private_address"]
    assert lab.succeed("proxy-0", "ls /run/netns") == "tenant-alpha\n"
    assert lab.succeed("proxy-2", "ls /run/netns") == "tenant-beta\n"
    status_without_problems(lab)


def test_a_pair_that_is_lost_takes_no_other_along(lab: LabUnderTest, second: Json) -> None:
    assert second
    lab.command("fault", "hang", "proxy-2")
    try:
        lab.fail("func-0", WAY.format("10.0.2.3"))
        lab.succeed("func-0", WAY.format("10.0.0.3"))
    finally:
        lab.command("fault", "resume", "proxy-2")
    lab.succeed("func-0", WAY.format("10.0.2.3"))


def test_it_goes_with_its_last_tenant_and_leaves_nothing(lab: LabUnderTest, second: Json) -> None:
    ec2 = ec2_of(lab)
    eni = second["tenants"]["beta"]["user_enis"]["proxy-2"]["id"]
    (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    lab.up()
    assert [host["name"] for host in lab.status()["hosts"]] == ["func-0", "proxy-0", "user-alpha"]
    assert found["VpcId"] not in {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    lab.succeed("func-0", WAY.format("10.0.0.3"))
