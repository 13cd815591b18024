"""A pair with three tenants that have the same addresses, and a second pair beside it: whatever fails, all HaVips move.

For `make pair`: nothing else should run on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from components.tunnel_change import UNNOTICED_S
from lab.paths import PROJECT
from ops.drill.catalogue import SCENARIOS
from tests.lab.conftest import PAIR, LabUnderTest, brought_up
from tests.lab.kept_connections import kept_connections
from tests.lab.pair_lab import drill, status_without_problems, twin

pytestmark = [pytest.mark.lab, pytest.mark.every_scenario]

FILES = PROJECT / "build" / "drill-tenants"  # stay, to look at


def settings(*more: str) -> tuple[str, ...]:
    """As options."""
    all_of_them = ("proxy.instance_type=c6in.xlarge", twin(1, "beta", 2), twin(2, "gamma", 3), *more)
    return (*PAIR, *(word for setting in all_of_them for word in ("--config", setting)))


@pytest.fixture(scope="module")
def tenants() -> Iterator[LabUnderTest]:
    """Three on one pair; c6in.xlarge has three ENIs to spare."""
    with brought_up("tenants", os.environ.get("CAUSEWAY_TEST_TENANTS"), *settings()) as under_test:
        yield under_test


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_a_scenario_holds_with_three_tenants(tenants: LabUnderTest, name: str) -> None:
    drill(tenants, FILES, name, *settings())
    status = status_without_problems(tenants)
    (pair,) = status["pairs"]
    assert [(havip["name"], havip["holder"]) for havip in pair["havips"]] == [
        (name, pair["active"]) for name in ("platform", "alpha", "beta", "gamma")
    ]


def test_a_second_pair_fails_over_for_itself(tenants: LabUnderTest) -> None:
    """From here on it is another stack."""
    tenants.up(*settings(twin(3, "delta", 4)))
    before = status_without_problems(tenants)
    first, second = before["pairs"]
    drill(tenants, FILES, "kill", "--pair", "1", *settings(twin(3, "delta", 4)))
    after = status_without_problems(tenants)
    assert (after["pairs"][0]["active"], after["pairs"][1]["active"]) == (first["active"], second["standby"])


def test_the_kind_of_tunnel_changes_on_every_pair_and_func_host(tenants: LabUnderTest) -> None:
    """No connection notices, from either func host to the tenants of either pair."""
    stack = settings(twin(3, "delta", 4), "func_hosts.count=2")
    tenants.up(*stack)
    with (
        kept_connections(tenants, longest_s=UNNOTICED_S),
        kept_connections(tenants, longest_s=UNNOTICED_S, host="func-1"),
    ):
        for kind in ("gre-fou", "gre"):
            outputs = tenants.up(*stack, "--config", f"tunnel={kind}")["outputs"]
            assert outputs["plan"]["tunnel"] == kind
    status_without_problems(tenants)
