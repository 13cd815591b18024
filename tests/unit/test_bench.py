"""`make bench`: a table for people, JSON for scripts. What is measured is another matter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ops.bench
from ops.bench import growth
from ops.bench.figure import Figure
from ops.cli import app


def measured(runs: int) -> list[Figure]:
    """What a part might find."""
    return [
        Figure(what="quick thing", unit="s", samples=(1.0, 9.0, 2.0)[:runs], goal=2.5),
        Figure(what="slow thing", unit="s", samples=(30.5,), goal=4),
        Figure(what="large thing", unit="MiB", samples=(262.0,)),
    ]


def test_a_table_is_printed_and_json_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ops.bench.PARTS, "lab", measured)
    file = tmp_path / "deep" / "bench.json"
    done = CliRunner().invoke(app, ["bench", "--only", "lab", "--runs", "3", "--json", str(file)])
    assert done.exit_code == 0, "a missed goal is shown, and no failure"
    rows = [line.split() for line in done.stdout.splitlines() if "thing" in line]
    assert rows == [
        ["quick", "thing", "2", "s", "(1", "…", "9,", "n=3)", "≤", "2.5", "s", "met"],
        ["slow", "thing", "30.5", "s", "≤", "4", "s", "missed"],
        ["large", "thing", "262", "MiB"],
    ]
    written = json.loads(file.read_text())
    assert {"cores", "kernel", "python"} <= set(written["machine"])
    figures = {figure["what"]: figure for figure in written["figures"]}
    assert figures["quick thing"]["samples"] == [1.0, 9.0, 2.0]
    assert (figures["quick thing"]["median"], figures["quick thing"]["met"]) == (2.0, True)
    assert (figures["slow thing"]["goal"], figures["slow thing"]["met"]) == (4, False)
    assert figures["large thing"]["met"] is None


def test_growth_is_measured_of_the_program_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """At a size that costs nothing: what it calls must go on existing."""
    growth.main(2)
    assert set(json.loads(capsys.readouterr().out)) == {"plan_s", "program_s", "peak_mib"}
