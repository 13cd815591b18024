"""The exception of ops that is meant for a person."""

from __future__ import annotations

from lab.errors import LabError


class OpsError(LabError):
    """Of a running stack, wherever it runs."""
