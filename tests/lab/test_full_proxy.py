"""As many tenants as a proxy's type has ENIs for, all with the same addresses, behind the same func host.

func-0 ══ keys 1 to 7 ══▶ proxy-0 [tenant-alpha … tenant-t7] ── seven VPCs, each with 172.16.101.4
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import LabUnderTest, brought_up
from tests.lab.containers import probe
from tests.lab.pair_lab import status_without_problems, twin

pytestmark = pytest.mark.lab

Json = Any
TYPE, SPARE_ENIS = "c6i.4xlarge", 7
NAMES = ("alpha", *(f"t{index}" for index in range(2, SPARE_ENIS + 1)))
FULL = (
    "--config",
    f"proxy.instance_type={TYPE}",
    *(word for n, name in enumerate(NAMES) if n for word in ("--config", twin(n, name, n + 1))),
)
EIGHTH = ("--config", twin(SPARE_ENIS, "t8", SPARE_ENIS + 1))


@pytest.fixture(scope="module")
def full() -> Iterator[LabUnderTest]:
    """Up, with user instances that answer by their tenant's name."""
    with brought_up("full", os.environ.get("CAUSEWAY_TEST_FULL"), *FULL) as lab:
        for name in NAMES:
            lab.succeed(f"user-{name}", f"hostname {name}")
        yield lab


def test_each_is_answered_by_its_own_at_the_same_address(full: LabUnderTest) -> None:
    targets = {name: f"172.16.101.4:8080@10.0.{n}.3" for n, name in enumerate(NAMES)}
    answers = probe(full, "func-0", "", targets)
    assert set(answers) == set(NAMES)
    for name, answer in answers.items():
        assert answer is not None, name
        assert f'"host": "{name}"' in answer


def test_nothing_is_off_and_nothing_was_dropped(full: LabUnderTest) -> None:
    status = status_without_problems(full)
    dropped = {
        name: host["dropped"] for name, host in status["hosts"].items() if any(host["dropped"].values())
    }
    assert dropped == {}


def test_the_next_one_makes_a_further_pair_and_moves_nobody(full: LabUnderTest) -> None:
    steps = {step["name"]: step["op"] for step in full.preview(*FULL, *EIGHTH)["steps"]}
    created = {name for name, op in steps.items() if op == "create"}
    assert "proxy-2-instance" in created
    assert not {name for name in created if name.startswith("proxy-0")}
    assert not {name: op for name, op in steps.items() if name.startswith("proxy-0") and op != "same"}
