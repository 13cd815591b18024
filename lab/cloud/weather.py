"""Trouble of the API itself: the one place that decides whether, when and how a call is let through.

A call may be slow, and its effect on networks and in IMDS may come still later, as on AWS; it may be refused, for
some addresses or network interfaces only.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import LabError

EVERY_ACTION = "*"
LATE_ACTIONS = ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
STATUS = {  # of HTTP, where AWS's is not 400
    "AuthFailure": 401,
    "InsufficientCapacity": 500,
    "InternalError": 500,
    "InternalFailure": 500,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
    "UnauthorizedOperation": 403,
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What befalls a call before it reaches the cloud, and its effect after that."""

    unavailable: bool = False  # answered with HTTP 503; nothing happens
    delay_s: float = 0.0  # waits first, holding up no other call
    effect_s: float = (
        0.0  # from the answer until networks and IMDS follow; the API says at once that it is done
    )
    refusal: str = ""  # answered with this error code; nothing happens

    def __and__(self, other: Condition) -> Condition:
        """Both."""
        return Condition(
            unavailable=self.unavailable or other.unavailable,
            delay_s=max(self.delay_s, other.delay_s),
            effect_s=max(self.effect_s, other.effect_s),
            refusal=other.refusal or self.refusal,
        )

    @property
    def status(self) -> int:
        """HTTP's, of a refusal."""
        return STATUS.get(self.refusal, 400)


FAIR = Condition()


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """Where there is weather: an action, or all; of it only calls that name an address (or an interface, by its id)."""

    action: str = EVERY_ACTION
    address: str = ""


@dataclass
class Weather:
    """Conditions by place, changed at any time by any thread.

    An action's own condition counts instead of that of all actions; one of an address comes on top.
    """

    _conditions: dict[Place, Condition] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, action: str = EVERY_ACTION, *, address: str = "", **condition: Any) -> None:
        """From the next call on; fields of Condition. Raises LabError for what no call can show."""
        made = Condition(**condition)
        if made.effect_s and action not in LATE_ACTIONS:
            raise LabError(
                f"the effect of {'every action' if action == EVERY_ACTION else action} cannot be late",
                hint=f"that of {' and '.join(LATE_ACTIONS)} can: name the action",
            )
        with self._lock:
            self._conditions[Place(action=action, address=address)] = made

    def clear(self, action: str | None = None, address: str = "") -> None:
        """Fair weather again: for all; for an action, its addresses included; for one address of it."""
        with self._lock:
            for place in list(self._conditions):
                if action in (None, place.action) and address in ("", place.address):
                    del self._conditions[place]

    def at(self, action: str, named: Collection[str] = ()) -> Condition:
        """The condition of a call that names these addresses and interfaces."""
        with self._lock:
            everywhere = self._conditions.get(Place(), FAIR)
            found = self._conditions.get(Place(action=action), everywhere)
            for place, condition in self._conditions.items():
                if place.address in named and place.action in (action, EVERY_ACTION):
                    found &= condition
            return found

    def report(self) -> list[Mapping[str, Any]]:
        """All conditions that are not fair, as plain data."""
        with self._lock:
            listed = sorted(self._conditions.items(), key=lambda item: item[0])
        return [{**vars(place), **vars(condition)} for place, condition in listed]
