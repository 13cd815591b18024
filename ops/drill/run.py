"""One run of a scenario: a well stack, load, steps, healing, and a look whether it is well again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lab.errors import LabError
from ops.drill.faults import NO_PULUMI, Faults, RefusedError
from ops.drill.load import Load, LoadOptions
from ops.drill.result import LoadResult, RunResult, Sample, whole_after
from ops.drill.scenario import Scenario, Scene, Who
from ops.drill.watch import Watch
from ops.errors import OpsError
from ops.stack import LabStack, Stack
from ops.status.compare import Report
from ops.status.wait import wait_until_well

WELL_BEFORE_S = 60.0


def refusal(stack: Stack, scenario: Scenario) -> str:
    """Why a scenario cannot be run on a stack at all; empty: it can. Says nothing of single faults."""
    if scenario.needs_pair and not stack.outputs.is_pair:
        return "there is one proxy, and nobody to take over"
    if scenario.needs_lab and not isinstance(stack, LabStack):
        return NO_PULUMI
    return ""


def require_drillable(stack: Stack) -> None:
    """OpsError where nobody said that things may be broken."""
    if not stack.outputs.plan.drillable:
        raise OpsError(
            f"{stack.label} is not drillable: a drill kills machines, and customers' connections with them",
            hint="if nobody depends on it, set `causeway:drillable: true` in its stack file, and `up`",
        )


def run_once(
    stack: Stack, faults: Faults, scenario: Scenario, connections: int, say: Callable[[str], None]
) -> RunResult:
    """Measure. Raises OpsError where there is nothing to measure: not well before, no load, a refused fault."""
    say("waiting until the stack is well")
    report = wait_until_well(stack, WELL_BEFORE_S)
    options = LoadOptions(connections=scenario.connections or connections, bulk=scenario.bulk)
    with Watch(stack) as watch:
        scene = Scene(stack=stack, faults=faults, watch=watch, who=roles(report), say=say)
        with scene.healed():
            prepare(scene, scenario)
            say(f"{options.connections} connections, a byte each every {options.interval_ms} ms")
            with Load(stack, options) as load:
                time.sleep(scenario.idle_s)
                steady = load.steady()
                do(scene, scenario)
                time.sleep(scenario.settle_s)
                result = load.stop()
            holder = holder_of(scene)
        broken = [*scene.broken, *looked_at_afterwards(stack, scenario, holder, say)]
    samples = during(watch.samples, result)  # what healing moves is none of the failover's figures
    return RunResult(
        scenario=scenario.name,
        load=result,
        events=tuple(scene.events),
        samples=samples,
        whole_s=whole_after(scene.events, samples),
        broken=tuple(broken),
        steady=steady,
    )


def roles(report: Report) -> dict[Who, str]:
    """Who is what now."""
    if not report.outputs.is_pair:
        return {Who.ACTIVE: report.outputs.proxies[0]}
    if report.active is None or report.standby is None:
        raise ValueError("a pair that is well has an active proxy and a standby")
    return {Who.ACTIVE: report.active, Who.STANDBY: report.standby}


def prepare(scene: Scene, scenario: Scenario) -> None:
    """What is done before. OpsError where that does not come out as expected: something else would be measured."""
    for step in scenario.before:
        scene.do(step)


def do(scene: Scene, scenario: Scenario) -> None:
    """The steps, until one does not come out as expected."""
    for step in scenario.steps:
        try:
            scene.do(step)
        except RefusedError:
            raise
        except LabError as error:
            scene.broken.append(f"{scene.named(step.text)}: {error.message}")
            scene.mark("wait", f"✗ {error.message}")
            return


def holder_of(scene: Scene) -> str | None:
    """Who has all HaVips when the load ends."""
    samples = scene.watch.samples
    return samples[-1].whole_on if samples else None


def looked_at_afterwards(
    stack: Stack, scenario: Scenario, holder: str | None, say: Callable[[str], None]
) -> list[str]:
    """What is not so: exactly one proxy holds every HaVip by API, metadata and kernel, the pair can fail again at once,
    and healing moved nothing.
    """
    say("waiting until the pair can fail again" if stack.outputs.is_pair else "waiting until it is well")
    try:
        report = wait_until_well(stack, scenario.whole_afterwards_s)
    except LabError as error:
        return [f"afterwards: {error.message}"]
    if holder is not None and report.active != holder:
        return [f"afterwards: who came back took over: {holder} had every HaVip, now {report.active} has"]
    return []


def during(samples: Sequence[Sample], load: LoadResult) -> tuple[Sample, ...]:
    """Those of the time in which there was load."""
    ended = load.bins[-1].at if load.bins else load.began
    return tuple(sample for sample in samples if load.began <= sample.at <= ended)
