"""Standard output whose errors can be told from those of files: both may be full."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

NAME = "standard output"


class Named(io.FileIO):
    """A stream without a path, which its errors name all the same."""

    def write(self, data: Any, /) -> int:
        """As FileIO does."""
        try:
            return super().write(data)
        except OSError as error:
            error.filename = NAME
            raise


def name_standard_output() -> None:
    """From now on its errors have `filename` NAME. Nothing must have been written yet."""
    old = sys.stdout
    if not isinstance(old, io.TextIOWrapper):
        return  # closed by the caller, or not a file at all
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(Named(old.fileno(), "w", closefd=False)),
        encoding=old.encoding,
        errors=old.errors,
        line_buffering=old.line_buffering or old.write_through,
        write_through=old.write_through,
    )


def flush() -> None:
    """Now, while somebody can still be told: Python itself would do it when nobody is left."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up() -> None:
    """What could not be written is not tried again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
