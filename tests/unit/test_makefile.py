"""The commands that people and CI rely on do what the README says of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.paths import PROJECT
from ops.drill import command


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
        ("drill-figures", ["tools/setup.sh", "tools/drill_figures.sh"]),
        ("pair", ["tools/setup.sh", "tools/pair.sh"]),
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
    assert '-m "not lab and not slow" tests/unit tests/hostscripts\n' in scripts
    assert '"${pytest[@]}" tests/hostscripts -m slow ' in scripts
    slow = [file for file in PROJECT.glob("tests/**/test_*.py") if "mark.slow" in file.read_text()]
    assert {file.parent.name for file in slow} - {"unit"} == {"hostscripts"}


def test_what_is_left_out_of_the_lanes_runs_at_their_end_or_with_make_pair() -> None:
    """A file that is named in one place alone would be run by nobody."""

    def expanded(words: str) -> set[str]:
        line = f"shopt -s nullglob; printf '%s\\n' {words}"
        told = subprocess.run(["bash", "-c", line], cwd=PROJECT, capture_output=True, text=True, check=True)
        return set(told.stdout.split())

    e2e, pair = ((PROJECT / "tools" / name).read_text() for name in ("e2e.sh", "pair.sh"))
    (left_out,) = re.findall(r'^others=\("\$\{forking\[@\]\}" (\S+)\)$', e2e, re.MULTILINE)
    (at_the_end,) = re.findall(r'^ran "\$\{pytest\[@\]\}" (tests/lab/\S+) -m', e2e, re.MULTILINE)
    (by_pair,) = re.findall(r"^for file in (.+); do$", pair, re.MULTILINE)
    assert expanded(left_out) == expanded(at_the_end) | expanded(by_pair)
    assert all((PROJECT / file).is_file() for file in expanded(left_out))


def test_make_test_runs_some_drills_when_nothing_else_runs_any_more() -> None:
    e2e = (PROJECT / "tools" / "e2e.sh").read_text()
    drills = e2e.index('tests/lab/test_{drill,pair_isolation,pair_tenant,tunnels}.py -m "not every_scenario"')
    assert drills > e2e.index('wait "$lane"')
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/lab/test_drill.py", "-m", "not every_scenario"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert set(re.findall(r"\[([a-z-]+)\]", collected)) == {"kill", "switch", "split"}
    assert "test_a_keepalived_that_starts_again" in collected
    assert "4/" in collected, "and nothing else"


@pytest.mark.parametrize("fails", [False, True])
def test_drill_figures_are_of_twenty_runs_in_a_lab_that_goes_in_the_end(tmp_path: Path, fails: bool) -> None:
    """By a stand-in for Python that writes down what it should run."""
    script, python = tmp_path / "tools" / "drill_figures.sh", tmp_path / ".venv" / "bin" / "python"
    for file in (script, python):
        file.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "tools" / script.name, script)
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/ran\ncase "$2" in ops) exit {int(fails)};; esac\n')
    python.chmod(0o755)
    done = subprocess.run([script, "--connections", "200"], check=False)
    assert done.returncode == int(fails)
    up, drill, down = (tmp_path / "ran").read_text().splitlines()
    assert up == "-m lab up --name drill-figures --config redundancy=pair"
    assert down == "-m lab down --name drill-figures"
    scenarios, options = drill.removeprefix("-m ops drill ").split(" --lab drill-figures --runs 20 ")
    assert command.chosen(scenarios.split())
    assert {"kill", "hang", "unplug-platform", "unplug-user", "switch", "api-slow"} == set(scenarios.split())
    assert options.startswith("--json build/drill-figures.json ")
    assert options.endswith(" --connections 200")


def test_the_list_of_commands_shows_the_longest_whole() -> None:
    done = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert "  make drill-figures Twenty runs" in done
    assert "  make test          " in done


def test_ci_runs_make_test() -> None:
    assert (PROJECT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_the_checks_are_all_there() -> None:
    steps = re.findall(r'^step "([^"]+)"', (PROJECT / "tools" / "check.sh").read_text(), re.MULTILINE)
    assert {"ruff format", "ruff check", "shellcheck", "shfmt", "mypy", "unit tests"} <= set(steps)
