"""up, preview, refresh and destroy: one engine run each."""

from __future__ import annotations

import importlib
import logging
import runpy
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi.log
from pulumi import automation
from pulumi.runtime._callbacks import _CallbackServicer

from lab.engine import recover
from lab.engine.context import EngineContext
from lab.engine.events import OnEvent, ProgressEvent, Recorder, Step
from lab.engine.failure import failure
from lab.engine.lock import locked
from lab.engine.pulumi_cli import pinned_version
from lab.engine.runner import Stack, open_stack
from lab.engine.state import read_state, stack_outputs
from lab.engine.work_dir import prepare
from lab.environment import in_the_environment
from lab.errors import LabError
from lab.paths import PROJECT

log = logging.getLogger(__name__)
Json = Any
# Events say all that we show; what the CLI prints beside them nobody reads.
QUIETLY: dict[str, Any] = {"color": "never", "suppress_outputs": True, "suppress_progress": True}
SLOW_IMPORTS = ("pulumi_aws", "pulumi_command", "pydantic")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a run.

    - steps: resources that were (in a preview: would be) changed; components and providers are none
    - drift: what a refresh found to be different from the state
    - recovered: ids of objects that a run before had left behind, and that were removed
    """

    outputs: Mapping[str, Json] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    drift: tuple[Step, ...] = ()
    unchanged: int = 0
    recovered: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def summary(self) -> dict[str, list[str]]:
        """Names of the changed resources by operation; empty when nothing changed."""
        names: dict[str, list[str]] = {}
        for step in self.steps:
            names.setdefault(step.op, []).append(step.name)
        return {op: sorted(of) for op, of in sorted(names.items())}

    def as_json(self) -> dict[str, Json]:
        """For `--json` and for a line to another process."""
        return {
            "outputs": self.outputs,
            "steps": [step.as_json() for step in self.steps],
            "drift": [step.as_json() for step in self.drift],
            "summary": self.summary,
            "unchanged": self.unchanged,
            "recovered": list(self.recovered),
            "seconds": self.seconds,
        }


def ignore(_event: ProgressEvent) -> None:
    """For a caller who does not watch."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a run of the program takes in. `replace` and `target` are URNs, `**` stands for any characters.

    - refresh: read first what really is
    - replace: make these anew, although nothing of them changed
    - target: these alone; none is all
    """

    refresh: bool = False
    replace: Sequence[str] = ()
    target: Sequence[str] = ()

    def arguments(self) -> dict[str, Any]:
        """For the Automation API, which takes None for what is not asked for."""
        return {
            "refresh": self.refresh or None,
            "replace": list(self.replace) or None,
            "target": list(self.target) or None,
            **QUIETLY,
        }


ALL = Scope()


def up(
    context: EngineContext,
    scope: Scope = ALL,
    *,
    on_event: OnEvent = ignore,
    cancelled: threading.Event | None = None,
) -> Result:
    """Make everything as the program says.

    Raises LabError with the engine's own words. KeyboardInterrupt, or setting `cancelled`, ends it in order.
    """
    with _run(context, on_event, cancelled, changes=True, program=True) as run:
        run.stack.up(on_event=run.recorder.take, **scope.arguments())
    return run.result()


def preview(
    context: EngineContext,
    scope: Scope = ALL,
    *,
    on_event: OnEvent = ignore,
    cancelled: threading.Event | None = None,
) -> Result:
    """What `up` would do. Connects to no host, and changes nothing in cloud or state."""
    with _run(context, on_event, cancelled, changes=False, program=True) as run:
        run.stack.preview(on_event=run.recorder.take, **scope.arguments())
    return run.result()


def refresh(
    context: EngineContext, *, on_event: OnEvent = ignore, cancelled: threading.Event | None = None
) -> Result:
    """Read what really is into the state; `Result.drift` says what was different."""
    with _run(context, on_event, cancelled, changes=True, program=False) as run:
        run.stack.refresh(on_event=run.recorder.take, **QUIETLY)
    return run.result()


def destroy(
    context: EngineContext, *, on_event: OnEvent = ignore, cancelled: threading.Event | None = None
) -> Result:
    """Delete everything that the state knows. The stack itself stays, empty."""
    with _run(context, on_event, cancelled, changes=True, program=False) as run:
        run.stack.destroy(on_event=run.recorder.take, **QUIETLY)
    return run.result()


def outputs(context: EngineContext) -> dict[str, Json]:
    """What the program exported at the last `up`; starts nothing. Secrets are masked."""
    return stack_outputs(read_state(context))


def reset(context: EngineContext) -> None:
    """Forget everything, for a cloud that is gone: the next `up` is the first."""
    with locked(context):
        for entry in context.directory.iterdir():
            if entry.name == "engine.lock":
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@dataclass
class _Run:
    """One run under way."""

    context: EngineContext
    stack: Stack
    recorder: Recorder
    began: float
    recovered: tuple[str, ...] = ()

    def result(self) -> Result:
        return Result(
            outputs=outputs(self.context),
            steps=tuple(self.recorder.steps.values()),
            drift=tuple(self.recorder.drift.values()),
            unchanged=self.recorder.unchanged,
            recovered=self.recovered,
            seconds=time.monotonic() - self.began,
        )


@contextmanager
def _run(
    context: EngineContext,
    on_event: OnEvent,
    cancelled: threading.Event | None,
    *,
    changes: bool,
    program: bool,
) -> Iterator[_Run]:
    """Lock, prepare, mend what the last run left, and turn failures into LabErrors."""
    began = time.monotonic()
    cancelled = cancelled or threading.Event()
    if program:
        # While the engine starts, which takes about as long.
        threading.Thread(target=_import_early, daemon=True).start()
    region = prepare(context).get("aws:region") or context.region
    with locked(context) as lock:
        recorder = Recorder(on_event)
        recovering = recover.is_needed(context)
        extra = recover.RECOVERING if recovering else {}
        run_program = _program(context) if program else None
        _forget_callbacks()
        stack = open_stack(context, pinned_version(), run_program, lock, cancelled, extra)
        run = _Run(context, stack, recorder, began)
        try:
            if changes:
                if recovering:
                    recover.clear_pending_operations(context, stack)
                    run.recovered = recover.remove_orphans(context, region, _teller(on_event))
                recover.marker(context).touch()
            yield run
        except automation.CommandError as error:
            raise failure(context, recorder, error, cancelled=cancelled.is_set()) from error
        if changes:
            recover.marker(context).unlink(missing_ok=True)


def _teller(on_event: OnEvent) -> Callable[[str], None]:
    return lambda line: on_event(ProgressEvent(phase="message", severity="info", message=line))


def _forget_callbacks() -> None:
    """A run that failed leaves its server of hooks behind, in a loop that is no more; the SDK stumbles over it."""
    _CallbackServicer._servicers.clear()


def _program(context: EngineContext) -> Callable[[], None]:
    program = context.program
    if not isinstance(program, Path):
        return program
    return lambda: _run_file(program, context.ec2_endpoint)


def _run_file(program: Path, endpoint: str) -> None:
    """Run the project's program as `pulumi up` would, which hands on its environment."""
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    # The SDK makes a call to the engine for each of its debug messages, a third of what it does in a run without
    # changes; the engine drops them.
    vars(pulumi.log)["debug"] = lambda *_words, **_where: None
    with in_the_environment("AWS_ENDPOINT_URL", endpoint):
        runpy.run_path(str(program), run_name="__main__")


def _import_early() -> None:
    for module in SLOW_IMPORTS:
        try:
            importlib.import_module(module)
        except ImportError as error:
            log.debug("%s cannot be imported ahead of the program: %s", module, error)


__all__ = ["LabError", "Result", "Scope", "destroy", "outputs", "preview", "refresh", "reset", "up"]
