"""The reference network with two proxies, for tests, and what ops says of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from lab.paths import PROJECT
from ops.stack import LabStack
from ops.status.wait import wait_until_well
from tests.lab.conftest import LabUnderTest

Json = Any
PROXIES = ("proxy-0", "proxy-1")
WELL_S = 180.0  # a boot among it
COMMAND_S = 900.0


def ops(lab: LabUnderTest, *command: str) -> subprocess.CompletedProcess[str]:
    """`python -m ops COMMAND` on a lab."""
    argv = [sys.executable, "-m", "ops", command[0], "--lab", lab.name, *command[1:]]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=COMMAND_S)


def ops_status(lab: LabUnderTest) -> Json:
    """`ops status --json`, whatever it thinks of the stack."""
    done = ops(lab, "status", "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


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
