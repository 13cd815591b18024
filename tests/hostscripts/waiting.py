"""Waits that say what they waited for."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(what: str, predicate: Callable[[], object], deadline_s: float = 10) -> None:
    """Poll until it holds, or fail at the deadline."""
    deadline = time.monotonic() + deadline_s
    while not predicate():
        assert time.monotonic() < deadline, f"waited {deadline_s:g} s in vain until {what}"
        time.sleep(0.05)
