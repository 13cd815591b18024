"""A single proxy becomes a pair, or a pair a single proxy: what the preview says of open connections."""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pytest

from components import redundancy_change
from tests.unit.program import LAB_PAIR, LAB_SINGLE, become_pair, graph_of, run_stack
from tests.unit.pulumi_mocks import Graph, Json

NOTICES = {redundancy_change.TO_PAIR, redundancy_change.TO_SINGLE}


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    return said


def single(previous: Json = None, *, preview: bool = False) -> Graph:
    return run_stack(LAB_SINGLE, previous=previous, preview=preview)


def pair(previous: Json = None, *, preview: bool = False) -> Graph:
    return run_stack(LAB_SINGLE, change=become_pair, previous=previous, preview=preview)


@pytest.mark.parametrize(
    ("run", "before", "notice"),
    [
        (pair, LAB_SINGLE, redundancy_change.TO_PAIR),
        (single, LAB_PAIR, redundancy_change.TO_SINGLE),
    ],
)
def test_a_preview_says_what_connections_will_notice(
    run: Callable[..., Graph], before: str, notice: str, warned: list[str]
) -> None:
    run(graph_of(before).outputs, preview=True)
    assert [said for said in warned if said in NOTICES] == [notice]


def test_a_pair_that_has_not_quite_become_one_is_a_pair(warned: list[str]) -> None:
    """Its update failed, and what the stack is said to be is what it was."""
    outputs = graph_of(LAB_PAIR).outputs
    run_stack(
        LAB_SINGLE, previous={**outputs, "plan": {**outputs["plan"], "redundancy": "single"}}, preview=True
    )
    assert redundancy_change.TO_SINGLE in warned


@pytest.mark.parametrize(
    ("run", "before"), [(pair, None), (single, None), (pair, LAB_PAIR), (single, LAB_SINGLE)]
)
def test_nothing_is_said_at_first_and_where_nothing_changes(
    run: Callable[..., Graph], before: str | None, warned: list[str]
) -> None:
    run(None if before is None else graph_of(before).outputs, preview=True)
    assert not set(warned) & NOTICES


def test_what_becomes_of_a_single_proxys_connections_is_not_promised() -> None:
    """A switch can leave them alive: the new proxy sends with their address, and the old one forwards for a while."""
    assert "a failover or switch of the pair may cut them" in redundancy_change.TO_PAIR
