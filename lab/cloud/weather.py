"""Trouble of the API itself: the one place that decides whether, when and how a call is let through.

Later effects of this kind (claims that take their time, refusals by identity) belong here too.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

EVERY_ACTION = "*"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What befalls a call before it reaches the cloud."""

    unavailable: bool = False  # answered with HTTP 503; nothing happens
    delay_s: float = 0.0  # waits first, holding up no other call


FAIR = Condition()


@dataclass
class Weather:
    """Conditions by action (`AssignPrivateIpAddresses`, or `*`), changed at any time by any thread."""

    _conditions: dict[str, Condition] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, action: str = EVERY_ACTION, *, unavailable: bool = False, delay_s: float = 0.0) -> None:
        """From the next call on."""
        with self._lock:
            self._conditions[action] = Condition(unavailable=unavailable, delay_s=delay_s)

    def clear(self, action: str | None = None) -> None:
        """Fair weather again, for one action or for all."""
        with self._lock:
            if action is None:
                self._conditions.clear()
            else:
                self._conditions.pop(action, None)

    def at(self, action: str) -> Condition:
        """The condition of an action; its own before that of all."""
        with self._lock:
            return self._conditions.get(action) or self._conditions.get(EVERY_ACTION) or FAIR
