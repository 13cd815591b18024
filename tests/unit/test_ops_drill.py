"""Drills: figures and bounds, the runbooks, and that whatever was broken is mended."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from lab.paths import PROJECT
from ops.drill import command
from ops.drill import steps as do
from ops.drill.catalogue import SCENARIOS
from ops.drill.faults import HostFaults, LabFaults, RefusedError
from ops.drill.load import Load, LoadOptions, Offset, parse, require_whole
from ops.drill.report import one_line, print_summaries, write_json
from ops.drill.result import (
    Attempt,
    Bin,
    Bounds,
    Datagrams,
    Event,
    Flow,
    LoadResult,
    RunResult,
    Sample,
    Steady,
    quantile,
    summarise,
    whole_after,
)
from ops.drill.run import during, prepare, refusal, require_drillable
from ops.drill.scenario import Scene, Step, Who
from ops.errors import OpsError
from ops.outputs import parse_outputs
from ops.status.compare import compare
from ops.switch import ready_to_switch
from tests.unit import ops_pair as pair

Json = Any


def on(at: float, *holders: str) -> Sample:
    """HaVips `a` and `b`, each with one proxy."""
    return Sample(at, dict(zip("ab", ((name,) if name else () for name in holders), strict=True)))


MOVED_ONCE = (on(0, "x", "x"), on(1, "y", "y"))


def flow(stall_s: float = 0.05, state: str = "kept") -> Flow:
    return Flow(state=state, received=100, stall_s=stall_s, stalled_at=1.0, ended_at=9.0)


def load(*flows: Flow, **changes: Any) -> LoadResult:
    plain = LoadResult(
        flows=flows,
        silent=(flow(),),
        bulk=(),
        attempts=(Attempt(outcome="answered", began=1.0, took_s=0.2),),
        datagrams={"udp": Datagrams(sent=100, lost=3, errors=0, gap_s=0.4)},
        bins=tuple(Bin(at=at, echoes=1, tcp=None, udp=None, icmp=None, bulk_bytes=0) for at in (0.0, 9.0)),
        late_s=0.01,
        began=0.0,
        clock_error_s=0.001,
    )
    return replace(plain, **changes)


def run(*flows: Flow, **changes: Any) -> RunResult:
    plain = RunResult(
        scenario="kill",
        load=load(*flows),
        events=(),
        samples=MOVED_ONCE,
        whole_s=0.3,
        broken=(),
        steady=steady(0.02),
    )
    return replace(plain, **changes)


def steady(p99_s: float, load_average: float = 0.5) -> Steady:
    return Steady(echoes=900, median_s=0.01, p99_s=p99_s, longest_s=0.1, load_average=load_average)


# ── figures and bounds ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)) == (50, 99, 100)
    assert quantile([7.0], 0.99) == 7
    assert quantile([], 0.99) == 0


def test_runs_are_pooled() -> None:
    summary = summarise("kill", [run(flow(0.1), flow(0.2)), run(flow(0.9), whole_s=0.7)], Bounds())
    assert (summary.connections, summary.kept, summary.stall_s, summary.whole_s) == (3, 3, 0.9, 0.7)
    assert (summary.udp_lost, summary.udp_gap_s) == (6, 0.4)
    assert summary.met


def test_the_median_of_when_all_is_whole_stands_beside_the_worst() -> None:
    runs = [run(flow(), whole_s=whole) for whole in (0.9, 0.4, 0.5, None)]
    summary = summarise("kill", runs, Bounds())
    assert (summary.whole_median_s, summary.whole_s) == (0.5, 0.9)
    assert summarise("kill", [run(flow(), whole_s=None)], Bounds()).whole_median_s is None


def test_what_the_machine_was_like_is_told_by_the_worst_run() -> None:
    runs = [run(flow(1.5), steady=steady(0.3, 2.0)), run(flow(), steady=steady(0.1, 7.5))]
    summary = summarise("kill", runs, Bounds(stall_s=1.0))
    assert (summary.steady_p99_s, summary.load_average) == (0.3, 7.5)
    said = io.StringIO()
    print_summaries([summary], {}, {}, Console(file=said, width=250))
    assert "longest stall 1.50 s, at most 1 s" in said.getvalue()
    assert "round trips took up to 0.30 s (p99), at a load of 7.5" in said.getvalue()


def test_a_new_connection_that_was_refused_is_told_from_one_that_waited_in_vain() -> None:
    outcomes = ("answered", "answered", "ECONNREFUSED", "timeout", "timeout", "EHOSTUNREACH")
    attempts = tuple(Attempt(outcome=outcome, began=1.0, took_s=0.2) for outcome in outcomes)
    summary = summarise("kill", [run(flow(), load=load(flow(), attempts=attempts))], Bounds())
    said = io.StringIO()
    print_summaries([summary], {}, {}, Console(file=said, width=250))
    assert "1, 3 of 6" in said.getvalue()


def test_a_run_is_told_in_a_line_when_it_is_over() -> None:
    assert one_line(run(flow(0.1), flow(8.0, "silent"))) == (
        "1/2 connections kept, longest stall 0.10 s, every HaVip moved after 0.30 s; before: p99 0.02 s, load 0.5"
    )


def test_what_is_written_can_be_read_and_names_every_run(tmp_path: Path) -> None:
    runs = {"kill": [run(flow(0.1)), run(flow(0.4), whole_s=None)]}
    summaries = [summarise("kill", runs["kill"], Bounds())]
    file = tmp_path / "deep" / "drill.json"
    write_json(file, summaries, runs, {"hang": "no such call"}, {"both": "not well"}, {"runs": 2})
    told = json.loads(file.read_text())
    (kill,) = told["scenarios"]
    assert (kill["scenario"], kill["met"], kill["whole_median_s"]) == ("kill", True, 0.3)
    assert [one["stalls_s"] for one in kill["each"]] == [[0.1], [0.4]]
    assert kill["each"][0]["datagram_gaps_s"] == {"udp": 0.4}
    assert kill["each"][0]["steady"]["p99_s"] == 0.02
    assert (told["not_run"], told["failed"]) == ({"hang": "no such call"}, {"both": "not well"})


def test_a_connection_that_was_lost_is_no_stall() -> None:
    """Or the longer a drill runs, the worse its p99."""
    summary = summarise("kill", [run(flow(0.1), flow(8.0, "silent"))], Bounds(stall_s=1.0))
    assert summary.stall_s == 0.1
    assert summary.ends == {"silent": 1}
    assert summary.missed == ("1 connections lost, at most 0",)


@pytest.mark.parametrize(
    ("one", "bounds", "said"),
    [
        (run(flow(state="ECONNRESET")), Bounds(lost=None), "1 RSTs, at most 0"),
        (run(flow(1.2)), Bounds(stall_p99_s=1.0), "stall p99 1.20 s, at most 1 s"),
        (run(flow(0.3)), Bounds(stall_s=0.2), "longest stall 0.30 s, at most 0.2 s"),
        (run(flow(), whole_s=3.5), Bounds(whole_s=3.0), "time until whole 3.50 s, at most 3 s"),
        (
            run(flow(), load=load(flow(), silent=(flow(state="ETIMEDOUT"),))),
            Bounds(),
            "1 silent connections lost, at most 0",
        ),
        (run(flow()), Bounds(datagram_gap_s=0.1), "gap of UDP 0.40 s, at most 0.1 s"),
        (
            run(flow(), samples=(on(0, "x", "x"), on(1, "x", "y"), on(7, "x", "y"))),
            Bounds(moves=0),
            "time half moved 6.00 s, at most 5 s",
        ),
    ],
)
def test_a_bound_that_is_missed_is_said_with_its_figure(one: RunResult, bounds: Bounds, said: str) -> None:
    summary = summarise("kill", [one], bounds)
    assert summary.missed == (said,)
    assert not summary.met


def test_what_was_broken_is_no_success_whatever_the_figures() -> None:
    assert not summarise("kill", [run(flow(), broken=("afterwards: …",))], Bounds()).met


def test_resets_of_bulk_transfers_count() -> None:
    one = run(flow(), load=load(flow(), bulk=(flow(state="ECONNRESET"),)))
    assert summarise("switch-busy", [one], Bounds()).resets == 1


def test_half_moved_counts_only_while_it_lasts() -> None:
    samples = (
        on(0, "x", "x"),
        on(1, "y", "x"),
        on(2, "y", "y"),
        on(8, "y", "y"),
        on(9, "", "y"),
        on(9.5, "y", "y"),
    )
    assert run(flow(), samples=samples).half_moved_s == 0.0
    assert run(flow(), samples=(*samples[:2], on(1.4, "y", "x"), *samples[2:])).half_moved_s == pytest.approx(
        0.4
    )


def test_who_takes_everything_back_misses_the_bound_however_late() -> None:
    """Seen on a real pair: 7.8 s after a proxy had woken, when no step was looking any more."""
    back = (*MOVED_ONCE, on(2, "y", "y"), on(9, "x", "x"))
    summary = summarise("hang", [run(flow()), run(flow(), samples=back)], Bounds())
    assert summary.moves == (1, 2)
    assert summary.missed == ("run 2: HaVips moved 2 times, expected 1",)


def test_a_failover_that_never_came_misses_the_bound() -> None:
    summary = summarise("kill", [run(flow(), samples=(on(0, "x", "x"), on(1, "x", "y")))], Bounds())
    assert summary.missed == ("run 1: HaVips moved 0 times, expected 1",)


KILLED = Event(10.0, "fault", "kill")


def test_whole_is_counted_from_the_fault() -> None:
    samples = (on(9, "x", "x"), on(10.2, "x", "x"), on(10.4, "y", "x"), on(10.6, "y", "y"), on(11, "y", "y"))
    assert whole_after([KILLED], samples) == pytest.approx(0.6)


def test_whole_is_counted_from_the_mend_that_it_waited_for() -> None:
    events = [
        KILLED,
        Event(13.0, "mend", "the API is back"),
        Event(13.5, "seen", "whole"),
        Event(15, "mend", "later"),
    ]
    assert whole_after(events, (on(9, "x", "x"), on(13.5, "y", "y"), on(16, "y", "y"))) == pytest.approx(0.5)


def test_whole_is_the_last_of_several_changes() -> None:
    """Who takes something back makes it whole later, not sooner."""
    samples = (on(9, "x", "x"), on(10.5, "y", "y"), on(12, "x", "x"))
    assert whole_after([KILLED], samples) == pytest.approx(2)


@pytest.mark.parametrize(
    "samples", [(), (on(9, "x", "x"), on(12, "x", "x")), (on(9, "x", "x"), on(12, "y", "x"))]
)
def test_what_did_not_move_is_not_whole_after_any_time(samples: tuple[Sample, ...]) -> None:
    assert whole_after([KILLED], samples) is None


def test_what_healing_moves_is_no_figure_of_the_failover() -> None:
    """It goes on being watched while a killed machine boots."""
    samples = (on(-1, "x", "x"), on(1, "x", "x"), on(5, "y", "y"), on(60, "x", "x"))
    assert during(samples, load(flow())) == samples[1:3]


@pytest.mark.parametrize("end", [OpsError("not well after 60 s", hint=""), KeyboardInterrupt()])
def test_runs_that_were_done_are_told_whatever_ends_the_next(
    end: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: Iterator[RunResult | BaseException] = iter([run(flow(0.1)), run(flow(0.2)), end])

    def run_once(*_: Any) -> RunResult:
        result = next(results)
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(command, "run_once", run_once)
    monkeypatch.setattr(command, "faults_of", lambda *_: None)
    said = io.StringIO()
    request = command.Request(
        scenarios=command.chosen(["kill"]), connections=1, runs=5, json=tmp_path / "drill.json", pictures=None
    )
    stack: Any = Scenery()
    drilled = partial(command.run_drill, stack, request, Console(file=said, width=250))
    if isinstance(end, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            drilled()
    else:
        assert not drilled()
        assert "kill came to nothing: not well after 60 s" in said.getvalue()
    told = json.loads((tmp_path / "drill.json").read_text())
    assert [one["stalls_s"] for one in told["scenarios"][0]["each"]] == [[0.1], [0.2]]
    assert "kill 3/5: " in said.getvalue()
    assert "2/2" in said.getvalue()


# ── the load's report ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_loads_report_is_read_in_this_machines_time() -> None:
    records = [
        "flow kept 10 0.5 100.0 105.0",
        "silent ECONNRESET 1 0.0 100.0 101.0",
        "new answered 101.0 0.25",
        "new ECONNREFUSED 102.0 0.01",
        "udp 50 2 0 0.3 101.0",
        "bin 100.0 20 0.001 0.002 0.003 - - - 0.004 0.004 0.004 0",
        "late 0.02",
    ]
    result = parse((line.split() for line in records), Offset(-90.0, 0.002))
    assert result.flows == (Flow(state="kept", received=10, stall_s=0.5, stalled_at=10.0, ended_at=15.0),)
    assert result.silent[0].state == "ECONNRESET"
    assert [attempt.outcome for attempt in result.attempts] == ["answered", "ECONNREFUSED"]
    assert result.datagrams["udp"].lost == 2
    assert result.bins[0].at == 10.0
    assert result.bins[0].tcp == (0.001, 0.002, 0.003)
    assert result.bins[0].udp is None
    assert (result.late_s, result.clock_error_s) == (0.02, 0.002)


HOSTILE_RECORDS = {
    "surprise": "surprise",
    "nothing": "",
    "of no number": "flow kept 10 nan 100.0 105.0",
    "of no end": "late inf",
    "beyond all numbers": "late 1e999",
    "of half a byte": "flow kept 1.5 0.1 100.0 105.0",
    "too short": "flow kept",
    "too long": "late 1 2 3",
    "below nothing": "udp -1 2 0 0.3 101.0",
    "a state that steers": "flow \x1b[2Jkept 10 0.5 100.0 105.0",
    "a very long number": f"udp {'9' * 900} 2 0 0.3 101.0",
}


@pytest.mark.parametrize("record", HOSTILE_RECORDS.values(), ids=HOSTILE_RECORDS.keys())
def test_what_the_load_should_not_say_makes_no_sense(record: str) -> None:
    with pytest.raises(OpsError, match="its answer makes no sense") as told:
        parse([record.split()], Offset(0, 0))
    assert told.value.message.isprintable()


def whole(**changes: Any) -> LoadResult:
    """As asked for by LoadOptions(connections=2, silent=1)."""
    told = load(flow(), flow())
    both = dict.fromkeys(("udp", "icmp"), told.datagrams["udp"])
    return replace(told, **{"datagrams": both, **changes})


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (whole(flows=(flow(),)), r"of \(2, 1, 0, 2\) .* it tells of \(1, 1, 0, 2\)"),
        (whole(silent=()), "tells of"),
        (whole(datagrams={}), "tells of"),
        (whole(attempts=(Attempt(outcome="answered", began=1e9, took_s=0.2),)), "another time"),
        (whole(flows=(flow(), replace(flow(), ended_at=-500.0))), "another time"),
        (whole(bins=(Bin(at=1e9, echoes=1, tcp=None, udp=None, icmp=None, bulk_bytes=0),)), "another time"),
    ],
)
def test_a_load_tells_of_all_that_was_asked_for_and_of_its_own_time(result: LoadResult, said: str) -> None:
    options = LoadOptions(connections=2, silent=1)
    require_whole(whole(), options, 0.0, 10.0)
    with pytest.raises(OpsError, match=said):
        require_whole(result, options, 0.0, 10.0)


class Talking:
    """Stands for a stack with a func host whose load says this, and stands for the session and its channel as well."""

    outputs = parse_outputs(pair.outputs_json(), "a stack")

    def __init__(self, out: bytes, err: bytes = b"") -> None:
        self.hosts = SimpleNamespace(succeed=lambda *_, **__: "/tmp/load")
        self._out, self._err = io.BytesIO(out), io.BytesIO(err)

    def log_in(self, _host: str) -> Talking:
        return self

    def get_transport(self) -> Talking:
        return self

    def open_session(self, **_: Any) -> Talking:
        return self

    def exec_command(self, _line: str) -> None: ...

    def close(self) -> None:
        self.closed = True

    def sendall(self, _data: bytes) -> None: ...

    def makefile(self, _mode: str) -> io.BytesIO:
        return self._out

    def recv_stderr(self, size: int) -> bytes:
        return self._err.read(size)


@pytest.mark.parametrize(
    ("out", "err", "said"),
    [
        (b"x" * 2000, b"", "func-0: its answer makes no sense: it has no end"),
        (b"spam\n" * 40_000, b"", "func-0: its answer makes no sense: it has no end"),
        (b"ready 1\nclock inf\n", b"", "func-0: its answer makes no sense"),
        (b"ready 1\nclock\n", b"", "func-0: its answer makes no sense"),
        (b"\xff\xfe\n", b"\x1b[2J\x9bwell\n", "func-0: the load ended: [2J\ufffdwell"),
        (b"", b"x" * 1_000_000, f"func-0: the load ended: …{'x' * 500}"),
        (
            b"",
            b"172.16.101.4: connection 513 of 1002: timed out\n",
            "func-0: the load ended: 172.16.101.4: connection 513 of 1002: timed out",
        ),
    ],
)
def test_a_load_that_is_somebody_elses_ends_in_an_error(
    monkeypatch: pytest.MonkeyPatch, out: bytes, err: bytes, said: str
) -> None:
    monkeypatch.setattr("ops.drill.load.MAX_REPORT_BYTES", 100_000)
    stack: Any = Talking(out, err)
    with pytest.raises(OpsError) as told, Load(stack, LoadOptions()):
        pass
    assert told.value.message.startswith(said)
    assert told.value.message.isprintable()
    assert stack.closed


@pytest.mark.parametrize(("connections", "interval_ms"), [(1, 20), (10, 20), (100, 200), (1000, 2000)])
def test_many_connections_say_less_often(connections: int, interval_ms: int) -> None:
    assert LoadOptions(connections=connections).interval_ms == interval_ms


# ── runbooks ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_scenarios_are_there() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    assert set(names) >= {
        "kill", "hang", "unplug-platform", "unplug-user", "keepalived", "conntrackd", "forwarding", "switch",
        "switch-busy", "api-down", "api-slow", "refused", "split", "reboot", "both", "kill-up", "rolling", "idle",
        "again", "watcher", "sync-link", "keepalived-hangs",
    }  # fmt: skip


# A gap that the bound must let pass, and one that it must not. Measured on a quiet machine: kill, hang, unplug, switch
# and split; on a busy one: rolling and refused. The others are what the scenario itself takes, or like these.
GAPS = {
    "steady": (0.05, 0.5), "pause": (0.3, 2), "kill": (0.49, 2), "hang": (0.49, 2), "unplug-platform": (0.49, 2),
    "unplug-user": (0.49, 2), "keepalived": (0, 2), "conntrackd": (0.49, 2), "forwarding": (0, 4),
    "switch": (0.12, 0.5), "switch-busy": (0.12, 2), "api-down": (6, 9), "api-slow": (4, 6),
    "refused": (7.6, 11), "split": (0.18, 2), "reboot": (0, 2), "both": (60, None),
    "kill-up": (0.49, 2), "rolling": (0.27, 0.5), "idle": (0.49, 2), "again": (0.49, 2),
    "watcher": (0.12, 2), "sync-link": (0.49, 2), "keepalived-hangs": (0.49, 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["udp", "icmp"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_path_that_was_away_for_too_long_is_said_by_every_scenario(scenario: Any, kind: str) -> None:
    def said(gap_s: float) -> list[str]:
        told = {kind: Datagrams(sent=100, lost=3, errors=0, gap_s=gap_s)}
        summary = summarise(scenario.name, [run(flow(), load=load(flow(), datagrams=told))], scenario.bounds)
        return [text for text in summary.missed if text.startswith(f"gap of {kind.upper()}")]

    measured, outage = GAPS[scenario.name]
    assert said(measured) == []
    assert outage is None or len(said(outage)) == 1
    assert outage is None or "UDP and ICMP away ≤ " in command.promised(scenario.bounds)


UNDOES_ITSELF = ("reboot", "planned switch")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_fault_is_undone(scenario: Any) -> None:
    for step in (*scenario.before, *scenario.steps):
        if step.kind == "fault" and not step.text.startswith(UNDOES_ITSELF):
            assert step.heal is not None, step.text


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_mend_undoes_a_fault_of_its_scenario(scenario: Any) -> None:
    faults = {step.key for step in (*scenario.before, *scenario.steps) if step.heal is not None}
    for step in scenario.steps:
        assert (step.kind == "mend") == bool(step.mends)
        assert not step.mends or step.mends in faults


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    with pytest.raises(OpsError, match="did you mean forwarding"):
        command.chosen(["forwardin"])
    assert [scenario.name for scenario in command.chosen(["hang", "kill"])] == ["hang", "kill"]
    assert command.chosen([]) == SCENARIOS


@pytest.mark.parametrize("document", ["README.md", "docs/high-availability.md"])
def test_documents_name_scenarios_that_there_are(document: str) -> None:
    shown = re.findall(r"-m ops drill ((?:[a-z][a-z-]* )+)", (PROJECT / document).read_text())
    assert shown
    for words in shown:
        command.chosen(words.split())


class Scenery:
    """Stands for a stack of which only the outputs matter."""

    label = "a stack"

    def __init__(self, **plan: Any) -> None:
        self.outputs = parse_outputs(pair.outputs_json(**plan), self.label)


def test_a_stack_that_is_not_marked_is_not_broken() -> None:
    require_drillable(Scenery(drillable=True))  # type: ignore[arg-type]
    with pytest.raises(OpsError, match="not drillable"):
        require_drillable(Scenery(drillable=False))  # type: ignore[arg-type]


def test_a_stack_that_says_nothing_is_not_drillable() -> None:
    data = pair.outputs_json()
    del data["plan"]["drillable"]
    assert parse_outputs(data, "a stack").plan.drillable is False


def test_without_a_second_proxy_only_some_can_be_run() -> None:
    single = Scenery(pair=False)
    possible = [s.name for s in SCENARIOS if not refusal(single, s)]  # type: ignore[arg-type]
    assert possible == ["steady", "pause"]


def test_a_busy_machine_is_said() -> None:
    assert command.busyness(1.0, 2) == ""
    assert "load 13.0 on 2 cores" in command.busyness(13.0, 2)


@pytest.mark.parametrize(
    "fault",
    [
        lambda faults: faults.hang("proxy-0"),
        lambda faults: faults.unplug("proxy-0", ""),
        lambda faults: faults.plug("proxy-0", ""),
        lambda faults: faults.claims(down=True),
        lambda faults: faults.up(),
        lambda faults: faults.preview(),
    ],
    ids=["hang", "unplug", "plug", "claims", "up", "preview"],
)
def test_what_a_real_stack_does_not_let_break_is_refused(fault: Callable[[HostFaults], None]) -> None:
    with pytest.raises(RefusedError):
        fault(HostFaults(Scenery()))  # type: ignore[arg-type]


def test_outside_a_lab_nothing_is_killed_for_a_later_step_that_is_refused() -> None:
    (kill_up,) = command.chosen(["kill-up"])
    assert "by hand" in refusal(Scenery(), kill_up)  # type: ignore[arg-type]


# ── healing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def scene(done: list[str]) -> Scene:
    return Scene(
        stack=Scenery(),  # type: ignore[arg-type]
        faults=HostFaults(Scenery()),  # type: ignore[arg-type]
        watch=None,  # type: ignore[arg-type]
        who={Who.ACTIVE: "proxy-0", Who.STANDBY: "proxy-1"},
        say=done.append,
    )


def step(text: str, done: list[str], *, fails: BaseException | None = None, mends: str = "") -> Step:
    def act(_scene: Scene) -> None:
        done.append(f"do {text}")
        if fails is not None:
            raise fails

    def heal(_scene: Scene) -> None:
        done.append(f"heal {text}")

    kind = "mend" if mends else "fault"
    return Step(text=text, kind=kind, act=act, heal=None if mends else heal, mends=mends)


def acts(done: list[str]) -> list[str]:
    return [text for text in done if text.startswith(("do ", "heal "))]


def test_faults_are_undone_in_reverse() -> None:
    done: list[str] = []
    stage = scene(done)
    with stage.healed():
        stage.do(step("a", done))
        stage.do(step("b", done))
    assert acts(done) == ["do a", "do b", "heal b", "heal a"]


@pytest.mark.parametrize("failure", [OpsError("no", hint=""), KeyboardInterrupt()])
def test_a_fault_that_fails_half_way_is_undone(failure: BaseException) -> None:
    done: list[str] = []
    stage = scene(done)
    with pytest.raises(type(failure)), stage.healed():
        stage.do(step("a", done, fails=failure))
    assert acts(done) == ["do a", "heal a"]


def test_what_a_step_has_mended_is_not_undone_again() -> None:
    done: list[str] = []
    stage = scene(done)
    with stage.healed():
        stage.do(step("a", done))
        stage.do(step("end of a", done, mends="a"))
    assert acts(done) == ["do a", "do end of a"]


def test_a_heal_that_fails_keeps_no_other_from_healing_and_is_told() -> None:
    done: list[str] = []
    stage = scene(done)

    def cannot(_scene: Scene) -> None:
        raise OpsError("the host is gone", hint="")

    with stage.healed():
        stage.do(step("a", done))
        stage.do(Step(text="stop the active proxy", kind="fault", act=lambda _scene: None, heal=cannot))
    assert acts(done) == ["do a", "heal a"]
    assert stage.broken == ["healing stop proxy-0: the host is gone"]


def test_steps_name_who_is_meant() -> None:
    assert (
        scene([]).named("the standby takes over from the active proxy") == "proxy-1 takes over from proxy-0"
    )


def test_a_fault_is_marked_before_it_happens_and_what_is_seen_after() -> None:
    done: list[str] = []
    stage = scene(done)
    with stage.healed():
        stage.do(step("a", done))
        stage.do(Step(text="b", kind="seen", act=lambda _scene: done.append("do b")))
    assert done[:4] == ["a", "do a", "do b", "b"]
    assert [event.kind for event in stage.events] == ["fault", "seen"]


def test_what_was_to_be_so_before_and_is_not_ends_the_run() -> None:
    done: list[str] = []
    stage = scene(done)
    before = (step("a", done), step("b", done, fails=OpsError("no", hint="")))
    with pytest.raises(OpsError), stage.healed():
        prepare(stage, replace(SCENARIOS[0], before=before))
    assert acts(done) == ["do a", "do b", "heal b", "heal a"]


# ── changing ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Engine(HostFaults):
    """Whose `up` does what it is told."""

    def __init__(self, *steps: str) -> None:
        super().__init__(Scenery())  # type: ignore[arg-type]
        self._steps = steps

    def up(self, *, refresh: bool = False, changed: Sequence[str] = ()) -> list[str]:
        del refresh, changed
        return [*self._steps]

    def preview(self) -> list[str]:
        return [*self._steps]


def test_a_labs_up_is_told_what_the_lab_was_brought_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        told.append(argv[argv.index("lab") + 1 :])
        steps = {"steps": [{"op": "update", "name": "proxy-0-pair"}], "drift": []}
        return subprocess.CompletedProcess(argv, 0, json.dumps(steps), "")

    monkeypatch.setattr(subprocess, "run", run)
    stack: Any = Scenery()
    stack.client = SimpleNamespace(paths=SimpleNamespace(name="mine"))
    faults = LabFaults(stack, ["func_hosts.count=2"])
    assert faults.up(changed=["install_packages=true"]) == ["update proxy-0-pair"]
    faults.preview()
    known = ["--name", "mine", "--json", "--config", "redundancy=pair", "--config", "func_hosts.count=2"]
    assert told == [["up", *known, "--config", "install_packages=true"], ["preview", *known]]


def changing(*steps: str) -> Scene:
    return replace(scene([]), faults=Engine(*steps))


def test_a_change_rolls_where_every_proxy_had_its_turn() -> None:
    do.roll().act(changing("update proxy-0-ready", "update proxy-0-packages", "update proxy-1-ready"))
    with pytest.raises(OpsError, match="left out proxy-1"):
        do.roll().act(changing("update proxy-0-ready", "update proxy-1-packages"))


def test_a_lab_that_was_brought_up_with_other_settings_is_told_from_a_change() -> None:
    do.up_has_nothing_to_do().act(changing())
    with pytest.raises(OpsError, match="`up` would delete func-1") as told:
        do.up_has_nothing_to_do().act(changing("delete func-1"))
    assert "--config" in told.value.hint


# ── switching ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pair_that_is_well_can_switch() -> None:
    assert ready_to_switch(compare(pair.outputs(), pair.healthy())) == ("proxy-0", "proxy-1")


def test_a_func_host_in_trouble_does_not_forbid_it() -> None:
    seen = pair.without_host(pair.healthy(), "func-0", "hangs")
    assert ready_to_switch(compare(pair.outputs(), seen)) == ("proxy-0", "proxy-1")


def test_a_standby_that_is_not_ready_forbids_it_with_every_reason() -> None:
    seen = pair.with_pair(
        pair.healthy(), "proxy-1", state="fault", reason="alpha: user1 is down", alarms=("sync",)
    )
    with pytest.raises(OpsError, match=r"no switch: proxy-1: cannot take over.*user1 is down; proxy-1: sync"):
        ready_to_switch(compare(pair.outputs(), seen))


def test_one_proxy_cannot_switch() -> None:
    single = replace(pair.healthy(), hosts={"proxy-0": pair.proxy("proxy-0", active=True, pair=False)})
    with pytest.raises(OpsError, match="nobody to switch to"):
        ready_to_switch(compare(pair.outputs(pair=False), single))


def test_a_drill_that_is_told_to_end_heals_what_it_broke() -> None:
    script = (
        "import os, signal, time, ops.cli\n"
        "def app():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)\n"
        "    finally:\n"
        "        print('healed', flush=True)\n"
        "ops.cli.app = app\n"
        "ops.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.stdout == "healed\n"
    assert done.returncode != 0


def test_how_connections_ended_is_written() -> None:
    summary = summarise("both", [run(flow(0.1, "reset"))], Bounds())
    assert json.loads(json.dumps(asdict(summary)))["ends"] == {"reset": 1}
