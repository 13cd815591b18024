"""The one exception of the lab that is meant for a person."""

from __future__ import annotations


class LabError(Exception):
    """Something the operator can act on: what is wrong, and the way out.

    The command line prints both and exits with status 1; it shows a traceback for every other exception.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}"
