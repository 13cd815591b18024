"""The commands that people and CI rely on do what the README says of them."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from lab.paths import PROJECT


def would_run(target: str) -> str:
    """What `make TARGET` would do, be it that another make has started these tests."""
    argv, environment = ["make", "--dry-run", target], {"PATH": os.environ["PATH"]}
    return subprocess.run(
        argv, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("target", "does"),
    [
        ("lab", ["tools/setup.sh", ".venv/bin/python -m lab up"]),
        ("down", [".venv/bin/python -m lab down"]),
        ("check", ["tools/setup.sh", "tools/check.sh"]),
        ("bench", ["tools/setup.sh", ".venv/bin/python -m ops bench"]),
    ],
)
def test_a_target_sets_up_and_does_what_it_is_for(target: str, does: list[str]) -> None:
    assert would_run(target).splitlines() == does


def test_make_test_runs_every_test_there_is_after_the_checks() -> None:
    everything = would_run("test")
    assert everything.splitlines() == ["tools/setup.sh", "tools/check.sh", "tools/e2e.sh"]
    scripts = "".join((PROJECT / script).read_text() for script in everything.splitlines())
    run = set(re.findall(r"tests/\w+\b", scripts))
    assert {f"tests/{file.parent.name}" for file in PROJECT.glob("tests/**/test_*.py")} <= run


def test_ci_runs_make_test() -> None:
    assert (PROJECT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_the_checks_are_all_there() -> None:
    steps = re.findall(r'^step "([^"]+)"', (PROJECT / "tools" / "check.sh").read_text(), re.MULTILINE)
    assert {"ruff format", "ruff check", "shellcheck", "shfmt", "mypy", "unit tests"} <= set(steps)
