"""Each command that the README shows for a lab works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading

import pytest

from lab.paths import PROJECT
from tests.lab.conftest import SINGLE, LabUnderTest
from tests.lab.test_path import FUNC, HTTP

pytestmark = pytest.mark.lab

README = (PROJECT / "README.md").read_text()


def block(heading: str, number: int = 0) -> list[str]:
    """The lines of a code block below a heading; the first one, if none is said."""
    below = README.split(f"\n{heading}\n", 1)[1]
    found = re.findall(r"^```\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    assert len(found) > number, heading
    return str(found[number]).splitlines()


def run(script: str, *, may_fail: bool = False, **environment: str) -> str:
    """Run as somebody would who pastes it. With `may_fail` an exit status of 1 is an answer too."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode in ((0, 1) if may_fail else (0,)), f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def talk(lab: LabUnderTest, ended: threading.Event) -> None:
    """Packets for who captures."""
    while not ended.wait(0.3):
        lab.exec(FUNC, [HTTP])


def test_the_labs_commands(lab: LabUnderTest) -> None:
    """With one proxy: a pair beside other tests is not left in peace."""
    lines = block("## The lab")
    assert lines[-1].endswith("lab down")
    for line in lines[:-1]:  # the others need the lab
        ended = threading.Event()
        talking = threading.Thread(target=talk, args=(lab, ended))
        if " capture " in line:
            talking.start()
        try:
            single = re.sub(r" lab (up|preview)\b", rf"\g<0> {' '.join(SINGLE)}", line)
            said = run(single, CAUSEWAY_LAB_NAME=lab.name)
        finally:
            ended.set()
            if talking.ident is not None:
                talking.join()
        if line.endswith(" lab up"):
            assert_shows_hosts_and_path(said)
    lab.succeed(FUNC, HTTP)


def assert_shows_hosts_and_path(said: str) -> None:
    """A table of hosts and a drawing, in the form that the README shows: other numbers, else the same."""

    def form(text: str) -> list[str]:
        return [
            re.sub(r"i-[0-9a-f]+|[\d.]+ ms|198\.19\.0\.\d+|[─ ]+|\d+$", " ", line)
            for line in text.splitlines()
        ]

    shown = block("## The two commands", 1)
    assert form(said) == form("\n".join(shown[2:]))  # what precedes it are the stages, on standard error


def test_the_commands_for_a_running_stack(lab: LabUnderTest) -> None:
    """A promise that a drill does not keep here is the machine's, which runs other tests too: see test_drill.py."""
    status, apply, cni, runbooks, drill = block("## A running stack")
    assert "one proxy" in run(status, CAUSEWAY_LAB_NAME=lab.name)
    assert "func-0: routes: unchanged" in run(apply, CAUSEWAY_LAB_NAME=lab.name)
    assert json.loads(run(cni, CAUSEWAY_LAB_NAME=lab.name))["plugins"][0]["bridge"] == "cw-alpha"
    assert "promised: HaVips do not move" in run(runbooks)
    said = run(drill, may_fail=True, CAUSEWAY_LAB_NAME=lab.name)
    assert "drawn: build/drill/pause.png" in said
    told = json.loads((PROJECT / "build" / "drill.json").read_text())
    assert [one["scenario"] for one in told["scenarios"]] == ["steady", "pause"]
    assert [(one["connections"], one["kept"]) for one in told["scenarios"]] == [(20, 20), (20, 20)]
    assert [one["broken"] for one in told["scenarios"]] == [[], []]


def test_the_empty_clouds_commands() -> None:
    name = f"readme-{os.getpid()}"
    script = "\n".join(block("### An EC2 for any client")).replace("--name cloud", f"--name {name}")
    try:
        said = run(script, PATH=f"{PROJECT / '.venv' / 'bin'}:{os.environ['PATH']}")
    finally:
        LabUnderTest(name).command("down")
    assert "debian-13-amd64" in said
    assert '"InstanceId"' in said
