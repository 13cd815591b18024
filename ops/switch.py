"""A planned switch: the other proxy takes over, and this one forwards until it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ops.answer import one_line
from ops.errors import OpsError
from ops.stack import Stack
from ops.status.compare import Report, compare
from ops.status.gather import look
from ops.status.wait import wait_until_well

SWITCH_LINE = "sudo -n /opt/causeway/pair switch"
SWITCH_DEADLINE_S = 60.0
WELL_DEADLINE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Switched:
    """What was done. `took_s`: from the question to the old one's word that it has nothing any more."""

    before: str
    after: str
    took_s: float
    said: str


def switch(stack: Stack, say: Callable[[str], None]) -> Switched:
    """Switch, if the pair is well; OpsError says why not."""
    say("looking at both proxies")
    report = compare(stack.outputs, look(stack, stack.outputs.proxies))
    before, after = ready_to_switch(report)
    say(f"{before} is active; {after} can take over")
    began = time.monotonic()
    said = switch_now(stack, before)
    took = time.monotonic() - began
    say(f"{before} has handed over: {said}")
    try:
        holder = wait_until_well(stack, WELL_DEADLINE_S).active
    except OpsError as error:
        raise OpsError(
            f"{before} has handed over, but the pair is {error.message}", hint=error.hint
        ) from error
    if holder != after:
        raise OpsError(
            f"{holder} is active, not {after}",
            hint="the switch was taken back: `python -m ops status` says why",
        )
    return Switched(before=before, after=after, took_s=took, said=said)


def ready_to_switch(report: Report) -> tuple[str, str]:
    """The active one and the one that can take over. OpsError with every reason why that cannot be done. Pure."""
    if not report.outputs.is_pair:
        raise OpsError(
            "there is one proxy, and nobody to switch to", hint="`redundancy: pair` has a second one"
        )
    reasons = [str(problem) for problem in report.of_proxies]
    if report.active is None or report.standby is None:
        reasons = reasons or ["pair: nobody is active"]
    if reasons or report.active is None or report.standby is None:
        raise OpsError("no switch: " + "; ".join(reasons), hint="mend that first: `python -m ops status`")
    return report.active, report.standby


def switch_now(stack: Stack, active: str) -> str:
    """Ask the active one itself, which refuses if the other one is not ready."""
    done = stack.hosts.run(active, SWITCH_LINE, deadline_s=SWITCH_DEADLINE_S)
    said = (done.err if done.status else done.out).strip().splitlines()
    last = one_line(said[-1]).removeprefix("causeway: pair: ").removeprefix("error: ") if said else ""
    if done.status:
        raise OpsError(
            f"{active}: {last or f'exit status {done.status}'}",
            hint="nothing was moved, or it was moved back",
        )
    return last
