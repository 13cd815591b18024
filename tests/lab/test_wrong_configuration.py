"""Wrong configuration ends before anything is touched, with all that is wrong in one message."""

from __future__ import annotations

import json
import os

import pytest

from tests.lab.conftest import PAIR, Json, LabUnderTest

pytestmark = pytest.mark.lab

WRONG = {
    "proxy.first_address": "192.168.4.3",
    "func_hosts.count": "0",
    "func_hosts.cuont": "1",
    "tenants[0].overlay.cidr": "172.16.0.0/16",
}


def touched(lab: LabUnderTest) -> Json:
    """What an `up` could have changed: hosts, and resources with the time of their last change."""
    (state,) = (lab.paths.pulumi / "state").rglob("lab.json")
    resources = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
    hosts = [(host["instance_id"], host["addresses"]) for host in lab.status()["hosts"]]
    return hosts, {each["urn"]: (each.get("id"), each.get("modified")) for each in resources}


def test_all_errors_are_said_at_once_and_nothing_is_touched(lab: LabUnderTest) -> None:
    before = touched(lab)
    overrides = [word for key, value in WRONG.items() for word in ("--config", f"{key}={value}")]
    done = lab.command("up", *overrides, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for key in WRONG:
        assert any(line.strip().startswith(key) for line in done.stderr.splitlines()), f"{key}\n{done.stderr}"
    assert touched(lab) == before


def test_the_labs_own_api_in_clear_is_not_doubted() -> None:
    """What is right in the lab alone is no warning there."""
    said = LabUnderTest(f"undoubted-{os.getpid()}").command("preview", *PAIR).stderr
    assert "api.scheme" not in said
