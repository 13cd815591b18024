"""`lab exec` and what becomes of the command."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import LabPaths
from lab.patience import problem_of, told_of_problems


def test_who_waits_is_told_once_what_a_host_is_at(capsys: pytest.CaptureFixture[str]) -> None:
    looks: Iterator[str] = iter(["", "hangs", "hangs", "", "hangs", "is not running"])
    seen = threading.Event()

    def problem() -> str:
        found = next(looks, None)
        if found is None:
            seen.set()
        return found or ""

    with told_of_problems(problem, poll_s=0.001):
        assert seen.wait(10)
    assert capsys.readouterr().err.splitlines() == ["lab: hangs", "lab: hangs", "lab: is not running"]


def test_a_problem_comes_with_the_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(LabPaths("none"))
    machine = {"problem": "hangs: `lab fault resume func-0` wakes it"}
    monkeypatch.setattr(client, "call", lambda _op, **_more: {"name": "func-0", "machine": machine})
    assert problem_of(client, "10.0.0.3") == "func-0 hangs: `lab fault resume func-0` wakes it"
    machine["problem"] = ""
    assert problem_of(client, "10.0.0.3") == ""


def test_a_lab_that_ended_meanwhile_is_a_problem_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path))
    client = Client(LabPaths("gone"))
    with pytest.raises(LabError) as caught:
        client.call("host", host="func-0")
    assert problem_of(client, "func-0") == str(caught.value)
