"""One measured number."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Samples in `unit`; the median is what counts against `goal`, an upper bound, or with `at_least` a lower one."""

    what: str
    unit: str
    samples: tuple[float, ...]
    goal: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        """The sample in the middle."""
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None: there is none."""
        if self.goal is None:
            return None
        return self.median >= self.goal if self.at_least else self.median <= self.goal

    @property
    def shown(self) -> str:
        """Median and spread."""
        text = f"{self.median:.3g} {self.unit}"
        if len(self.samples) == 1:
            return text
        return f"{text} ({min(self.samples):.3g} … {max(self.samples):.3g}, n={len(self.samples)})"

    @property
    def goal_shown(self) -> str:
        """The goal with its unit."""
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal:g} {self.unit}"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "median": self.median, "met": self.met}


def seconds(action: Callable[[], object]) -> float:
    """How long it takes, on the monotonic clock."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
