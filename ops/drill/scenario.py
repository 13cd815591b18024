"""What a scenario is: steps that are said before they are done, each with what undoes it.

Undoing is armed before doing: whatever a step left behind when it failed, or when somebody pressed Ctrl-C, is undone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from lab.errors import LabError
from ops.drill.faults import Faults, RefusedError
from ops.drill.result import Bounds, Event
from ops.drill.watch import Watch
from ops.outputs import Tenant
from ops.stack import Stack


class Who(StrEnum):
    """A proxy by what it was when the run began; ACTIVE is the only one of a single proxy."""

    ACTIVE = "the active proxy"
    STANDBY = "the standby"


@dataclass
class Scene:
    """One run under way."""

    stack: Stack
    faults: Faults
    watch: Watch
    who: dict[Who, str]
    say: Callable[[str], None]
    events: list[Event] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    heals: dict[str, Callable[[], None]] = field(default_factory=dict)

    def host(self, who: Who) -> str:
        """Its name."""
        return self.who[who]

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """By their names."""
        return tuple(tenant for _, tenant in sorted(self.stack.outputs.tenants.items()))

    @property
    def hurt(self) -> str:
        """The namespace of the tenant that is hurt: the last, so that who looks at the first alone is found out."""
        return self.tenants[-1].namespace

    def mark(self, kind: str, text: str) -> None:
        """On the timeline, now."""
        self.events.append(Event(time.monotonic(), kind, text))
        self.say(text)

    def named(self, text: str) -> str:
        """A step's text with the names of who is meant."""
        for who, name in self.who.items():
            text = text.replace(str(who), name)
        return text

    def do(self, step: Step) -> None:
        """A step that does not come out as expected breaks the run's promise, and ends the steps."""
        if step.heal is not None:
            heal = step.heal
            self.heals[step.key] = lambda: heal(self)
        first = step.kind in ("fault", "mend")
        if first:
            self.mark(step.kind, self.named(step.text))
        step.act(self)
        if not first:
            self.mark(step.kind, self.named(step.text))
        self.heals.pop(step.mends, None)

    @contextmanager
    def healed(self) -> Iterator[None]:
        """In the end every heal that is still armed is done, the last one first, whatever happened before."""
        try:
            yield
        finally:
            while self.heals:
                key, heal = self.heals.popitem()
                self.say(f"healing: {self.named(key)}")
                try:
                    heal()
                except RefusedError:
                    continue  # what cannot be done was not done
                except LabError as error:
                    self.broken.append(f"healing {self.named(key)}: {error.message}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """`kind`: fault, mend, seen (waits until something is so), wait. `mends`: the key of the fault that this undoes."""

    text: str
    kind: str
    act: Callable[[Scene], None]
    heal: Callable[[Scene], None] | None = None
    mends: str = ""

    @property
    def key(self) -> str:
        """Names its heal."""
        return self.text


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A runbook. `before` is done before there is any load; `settle_s`: the load goes on after the last step.

    `idle_s`: so long the load runs before the first step, which is how long its silent connections say nothing.
    """

    name: str
    what: str
    steps: tuple[Step, ...]
    bounds: Bounds
    before: tuple[Step, ...] = ()
    needs_pair: bool = True
    needs_lab: bool = False  # a later step that is refused elsewhere must not leave a fault for nothing
    idle_s: float = 3.0
    settle_s: float = 3.0
    connections: int | None = None  # instead of what was asked for
    bulk: int = 0
    whole_afterwards_s: float = 180.0  # guests that boot anew take their time
