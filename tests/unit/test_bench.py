"""`make bench`: a table for people, JSON for scripts. What is measured is another matter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ops.bench
from ops.bench import first_packet, forwarding, growth
from ops.bench.figure import Figure
from ops.cli import app
from ops.errors import OpsError


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


def test_parts_are_named_by_help_and_by_the_error_for_another_one() -> None:
    told = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "300"}).stdout
    assert ", ".join(ops.bench.PARTS) in told
    done = CliRunner().invoke(app, ["bench", "--only", "speed"])
    assert isinstance(done.exception, OpsError)
    assert done.exception.message == "there is no part 'speed'"


def test_growth_is_measured_of_the_program_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """At a size that costs nothing: what it calls must go on existing."""
    growth.main(2)
    assert set(json.loads(capsys.readouterr().out)) == {"plan_s", "program_s", "peak_mib"}


def test_a_goal_of_a_ratio_is_a_lower_bound() -> None:
    figure = Figure(what="x", unit="of y's", samples=(0.7, 0.9, 0.8), goal=0.8, at_least=True)
    assert figure.met is True
    assert figure.goal_shown == "≥ 0.8 of y's"
    assert Figure(what="x", unit="", samples=(0.7,), goal=0.8, at_least=True).met is False


def test_ways_are_compared_with_the_median_of_plain_nat() -> None:
    sample = forwarding.Sample
    base = [sample(bulk=900, packets=10_000, cpu_us=100), sample(bulk=1100, packets=12_000, cpu_us=120)]
    ways = {
        "gre": [sample(bulk=500, packets=11_000, cpu_us=220)],
        "gre-fou": [sample(bulk=400, packets=11_000, cpu_us=220)],
        forwarding.BASE: base,
    }
    figures = list(forwarding.figures(ways))
    found = {figure.what: figure for figure in figures if figure.unit != "of gre's"}
    assert [(figure.samples, figure.met) for figure in figures if figure.unit == "of gre's"] == [
        ((0.8,), False),
        ((1.0,), True),
    ]
    assert found["plain NAT: bulk TCP"].samples == (900, 1100)
    assert found["gre: bulk TCP"].samples == (0.5,)
    assert found["gre: bulk TCP"].met is False
    assert found["gre: small packets"].met is True
    assert found["gre: proxy's CPU per packet"].samples == (2.0,)
    assert found["gre: proxy's CPU per packet"].goal is None


def test_a_first_packet_is_compared_with_plain_routings() -> None:
    by_routing, by_stack = [(10.0, 2.0), (8.0, 4.0), (30.0, 3.0)], [(15.0, 3.0), (12.0, 6.0)]
    plain, added, first, second = first_packet.figures(by_stack, by_routing)
    assert (plain.samples, added.samples) == ((10.0, 8.0, 30.0), (5.0, 2.0))
    assert (first.samples, second.samples) == ((1.5, 1.2), (1.0, 2.0))
