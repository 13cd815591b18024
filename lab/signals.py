"""What ends a command from outside."""

from __future__ import annotations

import signal
from types import FrameType


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_in_order_when_told() -> None:
    """SIGTERM is as Ctrl-C: what ends us ends what we started, and heals what we broke."""
    signal.signal(signal.SIGTERM, _interrupt)
