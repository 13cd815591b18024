"""Every scenario of the catalogue, by the real command, in a pair of real guests: it keeps its bounds, and one owner.

`make test` runs those of ALWAYS after everything else, `make pair` all. For a machine that has nothing else to do:
a bound that is missed is said with what the machine was like.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.paths import PROJECT
from ops.drill.catalogue import SCENARIOS
from tests.lab.conftest import PAIR, LabUnderTest
from tests.lab.pair_lab import drill, status_without_problems, well

pytestmark = pytest.mark.lab

FILES = PROJECT / "build" / "drill"  # stay, to look at
ALWAYS = ("kill", "switch", "split")
NEEDS_MORE_HAVIPS = "refused"  # one of three
BETA = (
    "tenants[1]={name: beta, index: 2, cidrs: [172.17.101.0/24], havip: 172.17.101.100, "
    "create: {vpc_cidr: 172.17.0.0/16, subnet_cidr: 172.17.101.0/24, instance_address: 172.17.101.4, "
    "instance_type: t3.small}, overlay: {cidr: 10.0.1.0/24, proxy: 10.0.1.4, first_func: 10.0.1.3}}"
)


@pytest.fixture
def second_tenant(pair: LabUnderTest) -> Iterator[tuple[str, ...]]:
    """For as long as a test runs; yields the settings of the lab."""
    settings = (*PAIR, "--config", BETA)
    try:
        pair.up(*settings)
        yield settings
    finally:
        pair.up(*PAIR)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(scenario.name, marks=() if scenario.name in ALWAYS else pytest.mark.every_scenario)
        for scenario in SCENARIOS
        if scenario.name != NEEDS_MORE_HAVIPS
    ],
)
def test_what_a_scenario_promises_holds(pair: LabUnderTest, name: str) -> None:
    drill(pair, FILES, name, *PAIR)
    assert_one_owner(pair, 2)


@pytest.mark.every_scenario
def test_one_havip_of_three_is_refused(pair: LabUnderTest, second_tenant: tuple[str, ...]) -> None:
    drill(pair, FILES, NEEDS_MORE_HAVIPS, *second_tenant)
    assert_one_owner(pair, 3)


def assert_one_owner(pair: LabUnderTest, havips: int) -> None:
    """By API, metadata and kernel; nothing disagrees, and the other one could take over."""
    status = status_without_problems(pair)
    active, standby = status["pair"]["active"], status["pair"]["standby"]
    assert {active, standby} == {"proxy-0", "proxy-1"}
    assert [havip["holder"] for havip in status["pair"]["havips"]] == [active] * havips


def test_a_keepalived_that_starts_again_leaves_the_active_one_alone(pair: LabUnderTest) -> None:
    """It hears nothing until it is through its start, for longer than it waits for adverts."""
    _, standby = well(pair)
    since = pair.succeed(standby, "date +%s").strip()
    pair.succeed(standby, "systemctl restart causeway-keepalived")
    well(pair)
    said = pair.succeed(standby, f"journalctl --since=@{since} --unit=causeway-keepalived --output=cat")
    assert "Entering BACKUP STATE" in said
    assert "Entering MASTER STATE" not in said
