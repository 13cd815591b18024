"""What a drill came to: a table for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.drill.result import RunResult, Summary
from ops.status.show import plain_table

Json = Any


def print_summaries(
    summaries: Sequence[Summary], not_run: Mapping[str, str], failed: Mapping[str, str], console: Console
) -> None:
    """A row per scenario, and below it what was missed."""
    if summaries:
        console.print(summary_table(summaries))
    for summary in summaries:
        for text in (*summary.missed, *summary.broken):
            console.print(f"[red]✗[/] [bold]{summary.scenario}[/] {escape(text)}")
        if summary.missed:
            console.print(f"  [dim]{escape(circumstances(summary))}[/]")
    for name, reason in failed.items():
        console.print(f"[red]✗[/] [bold]{name}[/] came to nothing: {escape(reason)}")
    for name, reason in not_run.items():
        console.print(f"[dim]–[/] [bold]{name}[/] not run: {escape(reason)}")


def circumstances(summary: Summary) -> str:
    """By which a starved machine can be told from a defect."""
    return (
        f"before anything happened, round trips took up to {seconds(summary.steady_p99_s)} (p99), at a load of "
        f"{summary.load_average:.1f}; the client itself was kept from running for up to {seconds(summary.late_s)}"
    )


def one_line(run: RunResult) -> str:
    """What came of a run, as soon as it is over."""
    kept = [flow.stall_s for flow in run.load.flows if flow.kept]
    worst = seconds(max(kept, default=0.0))
    whole = "nothing moved" if run.whole_s is None else f"every HaVip moved after {seconds(run.whole_s)}"
    return (
        f"{len(kept)}/{len(run.load.flows)} connections kept, longest stall {worst}, {whole}; "
        f"before: p99 {seconds(run.steady.p99_s)}, load {run.steady.load_average:.1f}"
    )


def summary_table(summaries: Sequence[Summary]) -> Table:
    """Figures of all runs of each scenario."""
    table = plain_table(
        "scenario", "runs", "kept", "stall median", "p99", "longest", "RST", "silent", "new refused, lost",
        "new longest", "UDP lost (gap)", "ICMP lost (gap)", "whole (worst)", "p99 before", "load", "",
    )  # fmt: skip
    for one in summaries:
        table.add_row(
            one.scenario,
            str(one.runs),
            f"{one.kept}/{one.connections}",
            seconds(one.stall_median_s),
            seconds(one.stall_p99_s),
            seconds(one.stall_s),
            str(one.resets),
            f"{one.silent_kept}/{one.silent}",
            f"{one.attempts_refused}, {one.attempts - one.attempts_answered - one.attempts_refused} of {one.attempts}",
            seconds(one.attempt_s),
            f"{one.udp_lost} ({seconds(one.udp_gap_s)})",
            f"{one.icmp_lost} ({seconds(one.icmp_gap_s)})",
            "-"
            if one.whole_s is None or one.whole_median_s is None
            else f"{seconds(one.whole_median_s)} ({seconds(one.whole_s)})",
            seconds(one.steady_p99_s),
            f"{one.load_average:.1f}",
            "[green]met[/]" if one.met else "[red]missed[/]",
        )
    return table


def seconds(value: float) -> str:
    """Two digits are what 20 ms of sending allow."""
    return f"{value:.2f} s"


def write_json(
    file: Path,
    summaries: Sequence[Summary],
    runs: Mapping[str, Sequence[RunResult]],
    not_run: Mapping[str, str],
    failed: Mapping[str, str],
    conditions: Json,
) -> None:
    """Everything: `conditions` of the measurement, per scenario the summary and each run with its events and stalls."""
    told = {
        "conditions": conditions,
        "scenarios": [
            {**asdict(one), "met": one.met, "each": [run_json(run) for run in runs[one.scenario]]}
            for one in summaries
        ],
        "not_run": dict(not_run),
        "failed": dict(failed),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(told, indent=2) + "\n")


def run_json(run: RunResult) -> Json:
    """One run; times count from its first byte."""
    began = run.load.began
    return {
        "whole_s": run.whole_s,
        "moves": run.moves,
        "half_moved_s": run.half_moved_s,
        "datagram_gaps_s": {kind: one.gap_s for kind, one in run.load.datagrams.items()},
        "late_s": run.load.late_s,
        "clock_error_s": run.load.clock_error_s,
        "steady": asdict(run.steady),
        "broken": list(run.broken),
        "events": [{"at": round(e.at - began, 3), "kind": e.kind, "text": e.text} for e in run.events],
        "stalls_s": sorted(round(flow.stall_s, 4) for flow in run.load.flows),
        "states": sorted(flow.state for flow in run.load.flows),
        "bulk": [{"state": flow.state, "stall_s": round(flow.stall_s, 4)} for flow in run.load.bulk],
    }
