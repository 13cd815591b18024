"""One change at a time: made in moto, followed by the world (at once, or late where it is told so), or undone in both.

Reading calls wait only while another call is inside moto (milliseconds), never for the world to follow.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import moto.ec2.models as moto_models
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from lab.cloud.backend import LabBackend
from lab.cloud.late import Late, moved
from lab.cloud.lifecycle import forget_terminated, settle
from lab.cloud.memento import Memento
from lab.cloud.snapshot import snapshot
from lab.errors import LabError
from lab.world import World

log = logging.getLogger(__name__)
T = TypeVar("T")


class Gate:
    """`on_change` gets each new World, in order, from one thread at a time."""

    def __init__(
        self, account_id: str, region: str, on_change: Callable[[World], None], *, settles: bool
    ) -> None:
        self._account_id = account_id
        self._region = region
        self._on_change = on_change
        self._settles = settles
        self._changing = threading.Lock()
        self._inside = threading.RLock()
        self._world = World(account_id=account_id, region=region)
        self._told = self._world  # what the API says, which networks may be late to follow
        self._late = Late()
        self._timers: set[threading.Timer] = set()
        self._followed: World | None = self._world  # what on_change last succeeded with

    @property
    def world(self) -> World:
        """As of the last call that was answered; addresses are where networks see them."""
        return self._world

    def close(self) -> None:
        """Nothing follows late any more."""
        with self._changing:
            for timer in list(self._timers):
                timer.cancel()

    def read(self, call: Callable[[], T]) -> T:
        """Run a call that changes nothing."""
        with self._inside:
            return call()

    def change(
        self,
        call: Callable[[], T],
        succeeded: Callable[[T], bool] = lambda _answer: True,
        *,
        effect_s: float = 0.0,
    ) -> T:
        """Run a call that may change something, and let the world follow; addresses so many seconds later.

        Whatever goes wrong, moto is as it was before. Raises the LabError that `on_change` raised.
        """
        with self._changing:
            with self._inside:
                self._forget()
                memento = Memento(self._roots())
                try:
                    answer = call()
                except BaseException:
                    memento.restore()
                    raise
                if not succeeded(answer):
                    memento.restore()
                    return answer
                told = self._snapshot()
            self._follow(told, memento, effect_s)
            if self._settles:
                self._settle()
            return answer

    def _follow(self, told: World, memento: Memento, effect_s: float = 0.0) -> None:
        before, now = self._world, time.monotonic()
        moves, late = moved(self._told, told), self._late.at(now)
        late = late.add(moves, now + effect_s, before) if effect_s else late.forget(moves)
        world = late.over(told)
        if world != self._followed:
            try:
                self._on_change(world)
            except BaseException:
                with self._inside:
                    memento.restore()
                self._go_back(before)
                raise
            self._followed = world
        self._world, self._told, self._late = world, told, late
        if moves and effect_s:
            self._look_again(effect_s)

    def _look_again(self, after_s: float) -> None:
        """Then the effect of a call is there that was late."""

        def look() -> None:
            self._timers.discard(timer)
            try:
                self.change(lambda: None)
            except LabError:
                log.exception("networks cannot follow what the API said %g s ago", after_s)

        timer = threading.Timer(after_s, look)
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def _go_back(self, world: World) -> None:
        """Best effort: the next change brings the whole world again, whatever happens here."""
        self._followed = None
        try:
            self._on_change(world)
        except Exception:
            log.exception("the lab could not go back to what it was")
        else:
            self._followed = world

    def _settle(self) -> None:
        """Nobody reports what machines do: what was asked for has been reached."""
        with self._inside:
            memento = Memento(self._roots())
            for backend in self._backends():
                settle(backend)
            told = self._snapshot()
        self._follow(told, memento)

    def _forget(self) -> None:
        for backend in self._backends():
            forget_terminated(backend)

    def _roots(self) -> list[object]:
        iam = iam_backends[self._account_id][get_partition(self._region)]
        return [*self._backends(), LabBackend.public_addresses, iam]

    def _backends(self) -> list[LabBackend]:
        regions = moto_models.ec2_backends[self._account_id].values()
        return [backend for backend in regions if isinstance(backend, LabBackend)]

    def _snapshot(self) -> World:
        return snapshot(self._backends(), self._account_id, self._region)
