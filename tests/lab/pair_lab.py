"""The reference network with two proxies, for tests, and what ops says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.paths import PROJECT
from ops.stack import LabStack
from ops.status.wait import wait_until_well
from tests.lab.conftest import LabUnderTest

Json = Any
PROXIES = ("proxy-0", "proxy-1")
WELL_S = 180.0  # a boot among it
COMMAND_S = 900.0


def twin(position: int, name: str, index: int) -> str:
    """A setting: one more tenant with all the addresses of alpha, and containers."""
    return (
        f"tenants[{position}]={{name: {name}, index: {index}, cidrs: [172.16.101.0/24], "
        "create: {vpc_cidr: 172.16.0.0/16, subnet_cidr: 172.16.101.0/24, instance_address: 172.16.101.4, "
        "instance_type: t3.small}, user_eni_address: 172.16.101.10, havip: 172.16.101.100, "
        f"container_cidr: 10.88.{index - 1}.0/24, "
        f"overlay: {{cidr: 10.0.{index - 1}.0/24, proxy: 10.0.{index - 1}.4, first_func: 10.0.{index - 1}.3}}}}"
    )


def drill(lab: LabUnderTest, files: Path, name: str, *words: str) -> None:
    """A scenario by the real command; exit status 0 is every bound kept. Figures and pictures stay in `files`."""
    where = ("--json", str(files / f"{name}.json"), "--pictures", str(files))
    done = ops(lab, "drill", name, *where, *words)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def ops(lab: LabUnderTest, *command: str) -> subprocess.CompletedProcess[str]:
    """`python -m ops COMMAND` on a lab."""
    argv = [sys.executable, "-m", "ops", command[0], "--lab", lab.name, *command[1:]]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=COMMAND_S)


def ops_status(lab: LabUnderTest) -> Json:
    """`ops status --json`, whatever it thinks of the stack."""
    done = ops(lab, "status", "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def status_without_problems(lab: LabUnderTest) -> Json:
    """`ops status --json` of a stack that nothing is wrong with.

    A host that did not answer in time is asked again: the lab's share this machine's cores, with other tests too.
    """
    deadline = time.monotonic() + WELL_S
    while True:
        status = ops_status(lab)
        problems = status["problems"]
        slow = bool(problems) and all(problem["text"].startswith("no answer in") for problem in problems)
        if not slow or time.monotonic() > deadline:
            assert problems == [], problems  # no test module: pytest would not say which
            return status


def well(lab: LabUnderTest) -> tuple[str, str]:
    """The active proxy and the standby, once one has every HaVip by every witness and the other could take over."""
    stack = LabStack(lab.name)
    try:
        report = wait_until_well(stack, WELL_S)
    finally:
        stack.close()
    assert report.active is not None
    assert report.standby is not None
    return report.active, report.standby
