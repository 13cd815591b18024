"""Commands given as words, and their exit status."""

from __future__ import annotations

import os
import sys

from lab.errors import LabError


def words_of(command: list[str]) -> list[str]:
    """A command without the `--` before it; what looks like an option there was meant for us."""
    if command[:1] == ["--"]:
        return command[1:]
    if command and command[0].startswith("-"):
        raise LabError(
            f"{command[0]} is not a command", hint="options go before the host, the command after `--`"
        )
    return command


def leave(status_code: int) -> None:
    """Exit with a command's own status, output flushed, and no thread that still reads stdin in the way."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status_code)
