"""`python -m ops drill`."""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from lab.errors import LabError
from ops.drill.catalogue import SCENARIOS
from ops.drill.faults import RefusedError, faults_of
from ops.drill.report import one_line, print_summaries, write_json
from ops.drill.result import Bounds, RunResult, Summary, summarise
from ops.drill.run import refusal, require_drillable, run_once
from ops.drill.scenario import Scenario, Step
from ops.errors import OpsError
from ops.stack import LabStack, Stack

Json = Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for. Without `pictures` none are drawn. `settings`: KEY=VALUE of a lab, besides its stack file."""

    scenarios: Sequence[Scenario]
    connections: int
    runs: int
    json: Path
    pictures: Path | None
    settings: Sequence[str] = ()


def chosen(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Scenarios by their names; none is all of them. OpsError for a name that is none."""
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in by_name:
            close = difflib.get_close_matches(name, by_name, 1)
            hint = f"did you mean {close[0]}?" if close else "`python -m ops drill --list` names all"
            raise OpsError(f"there is no scenario {name!r}", hint=hint)
    return tuple(by_name[name] for name in names) or SCENARIOS


@dataclass
class Outcome:
    """What there is so far."""

    runs: dict[str, list[RunResult]] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def summaries(self, scenarios: Sequence[Scenario]) -> list[Summary]:
        """Of those that ran."""
        return [summarise(s.name, self.runs[s.name], s.bounds) for s in scenarios if s.name in self.runs]


def run_drill(stack: Stack, request: Request, console: Console) -> bool:
    """Run, print, write and draw; whether every scenario that can be run here met its bounds.

    Figures are written after every run, and shown also where somebody ends it early.
    """
    require_drillable(stack)
    load = os.getloadavg()[0]
    busy = busyness(load, os.cpu_count() or 1)
    if busy and isinstance(stack, LabStack):
        console.print(f"[yellow]![/] {busy}")
    outcome = Outcome()
    told = conditions(stack, request, load)
    try:
        for scenario in request.scenarios:
            run_scenario(stack, request, scenario, outcome, console, told)
    finally:
        summaries = outcome.summaries(request.scenarios)
        console.print()
        print_summaries(summaries, outcome.not_run, outcome.failed, console)
        write(request, outcome, told)
        console.print(f"written to {request.json}")
    if request.pictures is not None:
        for summary in summaries:
            console.print(f"drawn: {picture(request, summary, outcome.runs[summary.scenario])}")
    return not outcome.failed and all(summary.met for summary in summaries)


def run_scenario(
    stack: Stack, request: Request, scenario: Scenario, outcome: Outcome, console: Console, told: Json
) -> None:
    """All runs of one. One that comes to nothing ends them."""
    reason = refusal(stack, scenario)
    if reason:
        outcome.not_run[scenario.name] = reason
        return
    faults = faults_of(stack, request.settings)
    try:
        for number in range(1, request.runs + 1):
            console.print(f"[bold]{scenario.name}[/] {number}/{request.runs}: {escape(scenario.what)}")
            result = run_once(stack, faults, scenario, request.connections, lambda text: say(console, text))
            outcome.runs.setdefault(scenario.name, []).append(result)
            say(console, one_line(result))
            write(request, outcome, told)
    except RefusedError as error:
        outcome.not_run[scenario.name] = error.message
    except LabError as error:
        outcome.failed[scenario.name] = str(error)


def write(request: Request, outcome: Outcome, told: Json) -> None:
    """As JSON."""
    summaries = outcome.summaries(request.scenarios)
    write_json(request.json, summaries, outcome.runs, outcome.not_run, outcome.failed, told)


def busyness(load: float, cores: int) -> str:
    """What to say of a lab's machine that has other things to do; empty: it has none."""
    if load <= cores * 0.75:
        return ""
    return f"this machine is busy (load {load:.1f} on {cores} cores): times will be more its than the stack's"


def say(console: Console, text: str) -> None:
    """A line of progress."""
    console.print(f"  [dim]{escape(text)}[/]")


def picture(request: Request, summary: Summary, runs: Sequence[RunResult]) -> Path:
    """Of the worst run."""
    from ops.drill.timeline import draw

    if request.pictures is None:
        raise ValueError("no pictures were asked for")
    scenario = next(one for one in request.scenarios if one.name == summary.scenario)
    file = request.pictures / f"{summary.scenario}.png"
    draw(worst(runs), summary, scenario.what, file)
    return file


def worst(runs: Sequence[RunResult]) -> RunResult:
    """The run that something was broken in, that lost most connections, that stalled longest."""

    def badness(run: RunResult) -> tuple[int, int, float]:
        lost = sum(not flow.kept for flow in run.load.flows)
        return len(run.broken), lost, max((flow.stall_s for flow in run.load.flows), default=0.0)

    return max(runs, key=badness)


def conditions(stack: Stack, request: Request, load_before: float) -> Json:
    """What figures depend on."""
    return {
        "stack": stack.label,
        "redundancy": stack.outputs.plan.redundancy,
        "instance_types": sorted({host.instance_type for host in stack.outputs.hosts.values()}),
        "connections": request.connections,
        "runs": request.runs,
        "guests_on": {"cores": os.cpu_count(), "load_before": load_before, "kernel": platform.release()}
        if isinstance(stack, LabStack)
        else None,
    }


def print_runbooks(scenarios: Sequence[Scenario], console: Console) -> None:
    """Every scenario with its steps, what undoes them, and what it promises."""
    for scenario in scenarios:
        idle = f" (silent for {scenario.idle_s:g} s before)" if scenario.idle_s > 10 else ""
        console.print(f"[bold]{scenario.name}[/] {escape(scenario.what)}{idle}")
        for step in scenario.before:
            console.print(f"    before: {described(step)}")
        for number, step in enumerate(scenario.steps, 1):
            console.print(f"    {number}. {described(step)}")
        console.print(f"    [dim]promised: {promised(scenario.bounds)}[/]")


def described(step: Step) -> str:
    """A step, and whether it is undone in the end."""
    return escape(step.text) + ("; undone in the end" if step.heal is not None else "")


def promised(bounds: Bounds) -> str:
    """Bounds in words."""
    moves = {None: "", 0: "HaVips do not move", 1: "HaVips move once", 2: "HaVips move twice"}[bounds.moves]
    parts = (
        moves,
        ""
        if bounds.lost is None
        else f"at most {bounds.lost} connections lost"
        if bounds.lost
        else "no connection lost",
        "" if bounds.resets is None else "no RST",
        "" if bounds.stall_p99_s is None else f"stall p99 ≤ {bounds.stall_p99_s:g} s",
        "" if bounds.stall_s is None else f"stall ≤ {bounds.stall_s:g} s",
        "" if bounds.whole_s is None else f"whole after ≤ {bounds.whole_s:g} s",
        "" if bounds.datagram_gap_s is None else f"UDP and ICMP away ≤ {bounds.datagram_gap_s:g} s",
        "" if bounds.half_moved_s is None else f"half moved ≤ {bounds.half_moved_s:g} s",
    )
    return ", ".join(part for part in parts if part) or "nothing; it tells what is lost"
