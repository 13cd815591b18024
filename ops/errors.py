"""The exception of ops that is meant for a person."""

from __future__ import annotations


class OpsError(Exception):
    """What is wrong, and the way out; shown without a traceback."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}"
