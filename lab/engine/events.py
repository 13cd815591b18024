"""What the engine says while it works, as plain data."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pulumi.automation.events import EngineEvent, StepEventMetadata

Json = Any
COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
QUIET = ("same", "read", "discard", "remove-pending-replace", "refresh", "discard-replaced", "read-discard")


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """Something happened.

    - phase: started, done, failed (of an operation on a resource), or message (of a resource if `urn` is set)
    - op: create, update, replace, create-replacement, delete-replaced, delete, read, refresh, same
    - seconds: how long it took, where it is done or failed
    - severity: of a message: info, warning, error …
    """

    phase: str
    urn: str = ""
    type: str = ""
    name: str = ""
    op: str = ""
    seconds: float | None = None
    severity: str = ""
    message: str = ""

    def as_json(self) -> dict[str, Json]:
        """For a line of JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class PropertyChange:
    """One input at `path`. `kind`: add, update, delete, each perhaps with -replace. Secrets are masked."""

    path: str
    kind: str
    before: Json = None
    after: Json = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One resource that is (or would be) changed. `op`: create, update, replace, delete."""

    op: str
    urn: str
    type: str
    name: str
    changes: tuple[PropertyChange, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """For `--json`."""
        return asdict(self)


OnEvent = Callable[[ProgressEvent], None]


@dataclass
class Recorder:
    """Turns the engine's events into progress, and remembers what a result needs."""

    on_event: OnEvent
    steps: dict[str, Step] = field(default_factory=dict)
    drift: dict[str, Step] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    unchanged: int = 0
    touched: bool = False  # whether an operation that changes something was begun, and not only planned
    _began: dict[tuple[str, str], float] = field(default_factory=dict)

    def take(self, event: EngineEvent) -> None:
        """One event of the engine."""
        if event.resource_pre_event is not None:
            self._before(event.resource_pre_event.metadata, planning=bool(event.resource_pre_event.planning))
        elif event.res_outputs_event is not None:
            self._after(event.res_outputs_event.metadata, planning=bool(event.res_outputs_event.planning))
        elif event.res_op_failed_event is not None:
            self._tell(event.res_op_failed_event.metadata, "failed")
        elif event.diagnostic_event is not None and event.diagnostic_event.severity != "debug":
            self._diagnose(event)

    def _before(self, metadata: StepEventMetadata, *, planning: bool) -> None:
        op = metadata.op.value
        self._began[metadata.urn, op] = time.monotonic()
        if _is_programs(metadata) and op not in QUIET:
            self.steps[metadata.urn] = _together(self.steps.get(metadata.urn), _step(metadata, op))
            self.touched = self.touched or not planning
        if not planning:
            self._tell(metadata, "started")

    def _after(self, metadata: StepEventMetadata, *, planning: bool) -> None:
        op = metadata.op.value
        if op == "same" and _is_programs(metadata):
            self.unchanged += 1
        if (metadata.urn, "refresh") in self._began and (metadata.urn, op) not in self._began:
            # The engine names the outcome of a refresh by what it found.
            del self._began[metadata.urn, "refresh"]
            if _is_programs(metadata) and op in ("update", "delete"):
                self.drift[metadata.urn] = _step(metadata, op)
        if not planning:
            self._tell(metadata, "done")

    def _tell(self, metadata: StepEventMetadata, phase: str) -> None:
        op = metadata.op.value
        began = self._began.get((metadata.urn, op)) if phase != "started" else None
        self.on_event(
            ProgressEvent(
                phase=phase,
                urn=metadata.urn,
                type=metadata.type,
                name=name_of(metadata.urn),
                op=op,
                seconds=time.monotonic() - began if began is not None else None,
            )
        )

    def _diagnose(self, event: EngineEvent) -> None:
        diagnostic = event.diagnostic_event
        if diagnostic is None:
            return
        text = COLOUR.sub("", diagnostic.message).strip()
        name = name_of(diagnostic.urn) if diagnostic.urn else ""
        if diagnostic.severity == "error" and text:
            is_resource = diagnostic.urn and "pulumi:pulumi:Stack" not in diagnostic.urn
            self.errors.append(f"{name}: {text}" if is_resource else text)
        if text:
            self.on_event(
                ProgressEvent(
                    phase="message",
                    urn=diagnostic.urn or "",
                    type=type_of(diagnostic.urn or ""),
                    name=name,
                    severity=diagnostic.severity,
                    message=text,
                )
            )


def _together(known: Step | None, step: Step) -> Step:
    """One step out of those that a replacement consists of, in whatever order they come."""
    op = {"create-replacement": "replace", "delete-replaced": "delete"}.get(step.op, step.op)
    if known is None:
        return replace(step, op=op)
    changes = max(known.changes, step.changes, key=len)
    return replace(known, op="replace" if "replace" in (known.op, op) else op, changes=changes)


def name_of(urn: str) -> str:
    """The name in the program."""
    return urn.split("::", 3)[-1]


def type_of(urn: str) -> str:
    """The type token, without its parents'."""
    return urn.split("::")[2].rpartition("$")[2] if urn.count("::") >= 3 else ""


def _is_programs(metadata: StepEventMetadata) -> bool:
    """Whether it is something that really is somewhere: no stack, component or provider."""
    state = metadata.new or metadata.old
    return state is not None and bool(state.custom) and not metadata.type.startswith("pulumi:providers:")


def _step(metadata: StepEventMetadata, op: str) -> Step:
    return Step(
        op=op,
        urn=metadata.urn,
        type=metadata.type,
        name=name_of(metadata.urn),
        changes=tuple(_changes(metadata)),
    )


def _changes(metadata: StepEventMetadata) -> Iterator[PropertyChange]:
    before = (metadata.old.inputs if metadata.old else None) or {}
    after = (metadata.new.inputs if metadata.new else None) or {}
    for path, difference in sorted((metadata.detailed_diff or {}).items()):
        yield PropertyChange(
            path=path,
            kind=difference.diff_kind.value,
            before=_at(before, path),
            after=_at(after, path),
        )


PART = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')


def _at(inputs: Mapping[str, Json], path: str) -> Json:
    """What stands at a property path, or None."""
    value: Json = inputs
    for name, index, quoted in PART.findall(path):
        if isinstance(value, list) and index:
            value = value[int(index)] if int(index) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(name or quoted.replace('\\"', '"'))
        else:
            # The whole is masked, or not there: then so is the part.
            return value if isinstance(value, str) and value == "[secret]" else None
    return value
