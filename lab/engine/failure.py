"""A failed run, as one LabError with the engine's own words."""

from __future__ import annotations

import logging

from pulumi import automation

from lab.engine.context import EngineContext
from lab.engine.events import Recorder
from lab.errors import LabError

log = logging.getLogger(__name__)
NOISE = (
    "update failed",
    "preview failed",
    "refresh failed",
    "destroy failed",
    "an unhandled error occurred",
    "resource registration failed",
)
PREFIXES = ("an unhandled error occurred: ", "python inline source runtime error: ")
LAST_LINES = 8


def failure(
    context: EngineContext, recorder: Recorder, error: automation.CommandError, *, cancelled: bool
) -> LabError:
    """What went wrong and the way on. Tracebacks of the program go to the log."""
    if cancelled:
        return LabError(
            "the run was cancelled; what was done is saved", hint="the same command goes on from here"
        )
    lines = list(dict.fromkeys(line for text in recorder.errors if (line := _short(text))))
    if not lines:
        log.error("the engine failed without a diagnostic:\n%s", error)
        lines = [line for line in str(error).splitlines() if line.strip()][-LAST_LINES:]
    if isinstance(error, automation.ConcurrentUpdateError):
        return LabError("another run of the engine holds the stack's lock", hint="wait until it has ended")
    rest = "what succeeded is kept" if recorder.touched else "nothing was changed"
    hint = f"correct it and run the same command again; {rest}"
    return LabError(f"stack {context.stack}: " + "\n".join(lines), hint=hint)


def _short(text: str) -> str:
    if text.strip().lower() in NOISE:
        return ""
    message, traceback, _ = text.partition("Traceback (most recent call last)")
    if traceback:
        log.error("%s", text)
    for prefix in PREFIXES:
        message = message.removeprefix(prefix)
    return message.strip()
