"""What waits in the watcher while it claims."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

import pair_watch
import pytest
from pair_watch import Watcher

DEADLINE_S = 10.0


class Claiming(Watcher):
    """With one claim under way; `order` is of what is done."""

    def __init__(self, claim: Awaitable[None]) -> None:
        self.order: list[str] = []
        self.done = asyncio.Event()
        self.claims = {asyncio.create_task(self.claimed(claim))}
        self.looks = [asyncio.Event()]
        self.look_now = asyncio.Event()
        self.links: Any = None
        self.conf: Any = type("Conf", (), {"havips": (), "tunnels": {}})
        self.metadata: Any = self
        self.at: set[str] = set()

    async def claimed(self, claim: Awaitable[None]) -> None:
        await claim
        self.order.append("claim")

    def path_looks(self, number: int) -> str:
        self.does(f"path {number}")
        raise asyncio.CancelledError

    async def local_ipv4s(self, macs: Iterable[str]) -> dict[str, set[str] | None]:
        self.does(f"metadata {' '.join(macs)}".strip())
        raise asyncio.CancelledError

    def write_switches(self) -> None:
        self.does("switches")

    def now(self) -> float:
        return 0.0

    def does(self, what: str) -> None:
        self.order.append(what)
        self.at.add(what)
        if len(self.at) == 4:
            self.done.set()


async def order_of(claim: Awaitable[None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    watcher = Claiming(claim)

    async def runs(*command: str, **_: float) -> tuple[int, str, str]:
        watcher.does(command[0])
        raise asyncio.CancelledError

    monkeypatch.setattr(pair_watch, "ran", runs)
    waiting = [
        asyncio.create_task(watcher.path_is_watched(0)),
        asyncio.create_task(watcher.metadata_is_watched()),
        asyncio.create_task(watcher.switches_are_written()),
        asyncio.create_task(watcher.came_in("tenant-alpha")),
    ]
    await asyncio.wait_for(watcher.done.wait(), DEADLINE_S)
    for task in (*waiting, *watcher.claims):
        task.cancel()
    return watcher.order


def test_claims_are_answered_before_anything_is_looked_at_or_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pair_watch, "CLAIMS_FIRST_S", DEADLINE_S)
    order = asyncio.run(order_of(asyncio.sleep(0.05), monkeypatch))
    assert (order[0], sorted(order[1:])) == ("claim", ["conntrackd", "metadata", "path 0", "switches"])


class Reaching(Watcher):
    """With an API that is reached, or not, look after look; then it ends."""

    def __init__(self, looks: list[str]) -> None:
        self.looks_left, self.told_of = looks, list[str]()
        self.claims = set()
        self.ec2: Any = self
        self.decider: Any = self

    async def is_reached(self) -> str:
        if not self.looks_left:
            raise asyncio.CancelledError
        return self.looks_left.pop(0)

    def api_is(self, *said: object) -> None:
        self.told_of.append(str(said[0]))

    def now(self) -> float:
        return 0.0

    def tell(self) -> None:
        """Nobody."""


def test_an_api_that_was_not_reached_once_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_watch, "API_EVERY_S", 0.0)
    monkeypatch.setattr(pair_watch, "API_AGAIN_S", 0.0)
    monkeypatch.setattr(pair_watch, "API_SOON_S", 0.0)
    watcher = Reaching(["", "no answer", "", "no answer", "refused", "refused", ""])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watcher.api_is_watched())
    assert watcher.told_of == ["", "", "refused", "refused", ""]


def test_before_it_was_looked_at_twice_an_api_is_not_known_to_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pair_watch, "API_SOON_S", 0.0)
    watcher = Reaching(["no answer"])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watcher.api_is_watched())
    assert watcher.told_of == []


def test_a_claim_that_is_not_answered_keeps_nothing_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    order = asyncio.run(order_of(asyncio.Event().wait(), monkeypatch))  # type: ignore[arg-type]
    assert sorted(order) == ["conntrackd", "metadata", "path 0", "switches"]
