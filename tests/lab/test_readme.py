"""Each command that the README shows for the lab works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import threading

import pytest

from lab.paths import PROJECT
from tests.lab.conftest import LabUnderTest
from tests.lab.test_path import FUNC, HTTP

pytestmark = pytest.mark.lab

README = (PROJECT / "README.md").read_text()


def block(heading: str) -> list[str]:
    """The lines of the first code block below a heading."""
    below = README.split(f"\n{heading}\n", 1)[1]
    found = re.search(r"^```\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1].splitlines()


def run(script: str, **environment: str) -> str:
    """Run as somebody would who pastes it."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def talk(lab: LabUnderTest, ended: threading.Event) -> None:
    """Packets for who captures."""
    while not ended.wait(0.3):
        lab.exec(FUNC, [HTTP])


def test_the_labs_commands(lab: LabUnderTest) -> None:
    lines = block("## The lab")
    assert lines[-1].endswith("lab down")
    for line in lines[:-1]:  # the others need the lab
        ended = threading.Event()
        talking = threading.Thread(target=talk, args=(lab, ended))
        if " capture " in line:
            talking.start()
        try:
            run(line, CAUSEWAY_LAB_NAME=lab.name)
        finally:
            ended.set()
            if talking.ident is not None:
                talking.join()
    lab.succeed(FUNC, HTTP)


def test_the_empty_clouds_commands() -> None:
    name = f"readme-{os.getpid()}"
    script = "\n".join(block("### An EC2 for any client")).replace("--name cloud", f"--name {name}")
    try:
        said = run(script, PATH=f"{PROJECT / '.venv' / 'bin'}:{os.environ['PATH']}")
    finally:
        LabUnderTest(name).command("down")
    assert "debian-13-amd64" in said
    assert '"InstanceId"' in said
