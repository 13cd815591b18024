"""What is meant for a person."""

from __future__ import annotations

import errno


class LabError(Exception):
    """Something the operator can act on: what is wrong, and the way out.

    A command line prints both and exits with status 1; it shows a traceback for every other exception.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}"


def is_full_disk(error: OSError) -> bool:
    """Whether there was no room left, on the disk or in the user's quota: who runs the lab can make some."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
