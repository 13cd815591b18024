"""A pair becomes a single proxy: who goes leaves first. See also `tests/lab/test_engine_redundancy.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pulumi
import pytest

from components import departure
from components.access import OperatorAccess
from components.host import Host
from components.previous import Login
from components.replacement import ANYWAY
from components.way_in import Done, NoAnswerError, NoWayInError, WayIn
from tests.unit.program import COMMAND, LAB_PAIR, LAB_SINGLE, graph_of, run_stack
from tests.unit.pulumi_mocks import Graph, Hook, Json

CARRIER = f"{COMMAND}::proxy-0-stays-alone"
PROXY_0, PROXY_1 = (graph_of(LAB_PAIR).outputs["hosts"][f"proxy-{i}"]["ssh"]["host"] for i in range(2))
LEFT = [(PROXY_1, "makes_way"), (PROXY_1, "apply_concern"), (PROXY_0, "stays_alone")]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    return said


def single(previous: Json = None) -> Graph:
    return run_stack(LAB_SINGLE, previous=previous)


def departure_hook_of(graph: Graph) -> Hook | None:
    return graph.hooks.get("proxy-0-stays-alone")


def test_outputs_that_cannot_be_read_keep_nothing_from_running(
    monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    invoke = pulumi.runtime.invoke

    def fail(token: str, *args: Any, **more: Any) -> Any:
        if token == "pulumi:pulumi:readStackOutputs":
            raise RuntimeError("no such organization")
        return invoke(token, *args, **more)

    monkeypatch.setattr(pulumi.runtime, "invoke", fail)
    assert departure_hook_of(single(graph_of(LAB_PAIR).outputs)) is None
    assert "no such organization" in warned[0]


@pytest.mark.parametrize("before", [None, LAB_SINGLE])
def test_nobody_leaves_where_there_was_no_pair(before: str | None) -> None:
    graph = single(None if before is None else graph_of(before).outputs)
    assert departure_hook_of(graph) is None
    assert "hooks" not in graph.resources[CARRIER]


def test_the_other_one_leaves_before_anything_changes() -> None:
    """The func hosts' tunnels too: they lead to another address then."""
    graph = single(graph_of(LAB_PAIR).outputs)
    leave_first = {"before_create": ["proxy-0-stays-alone"], "before_update": ["proxy-0-stays-alone"]}
    assert graph.resources[CARRIER]["hooks"] == leave_first
    assert CARRIER in graph.resources[f"{COMMAND}::proxy-0-packages"]["dependsOn"]


def test_whatever_the_one_that_stays_is_told_first_has_the_other_leave() -> None:
    """Where a single proxy did not quite become a pair, the step ahead of all else has not changed since."""
    graph = single(graph_of(LAB_PAIR).outputs)
    for concern in ("packages", "tunnel", "pair"):
        assert graph.resources[f"{COMMAND}::proxy-0-{concern}"]["hooks"]["before_update"] == [
            "proxy-0-stays-alone"
        ]


class Hosts:
    """What was sent to which host; `answers`: by host and the script's word."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], Done | Exception] = {}

    def run_script(self, way: WayIn, script: str, *, within_s: float) -> Done:
        assert within_s > 0
        words = (
            "makes_way now --staying tenant-alpha",
            "stays_alone now",
            "other_one_is_gone",
            "apply_concern pair",
        )
        (word,) = [w for w in words if f"{w}\n}}" in script]
        question = (way.host, word.split()[0])
        self.asked.append(question)
        answer = self.answers.get(question, Done(status=0, said="so it is"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts()

    async def way_in(_self: object, _host: Host, login: Login | None = None) -> WayIn:
        assert login is not None, "each as it was before"
        return WayIn(host=login.host, user=login.user, via=login.via, private_key="key")

    monkeypatch.setattr(OperatorAccess, "way_in", way_in)
    monkeypatch.setattr(departure, "run_script", made.run_script)
    return made


def leave() -> None:
    """As the engine does ahead of the creation."""
    hook = departure_hook_of(single(graph_of(LAB_PAIR).outputs))
    assert hook is not None
    result = hook(pulumi.ResourceHookArgs("urn", "", "name", "type"))
    assert isinstance(result, Awaitable)
    asyncio.run(_awaited(result))


async def _awaited(result: Awaitable[None]) -> None:
    await result


def test_it_steps_aside_and_then_is_no_pair_any_more(hosts: Hosts) -> None:
    leave()
    assert hosts.asked == LEFT


def test_it_leaves_once(hosts: Hosts) -> None:
    hook = departure_hook_of(single(graph_of(LAB_PAIR).outputs))
    assert hook is not None

    async def twice() -> None:
        for name in ("one", "two"):
            result = hook(pulumi.ResourceHookArgs("urn", "", name, "type"))
            assert isinstance(result, Awaitable)
            await result

    asyncio.run(twice())
    assert hosts.asked == LEFT


def test_it_stays_where_nobody_can_take_over(hosts: Hosts) -> None:
    hosts.answers[PROXY_1, "makes_way"] = Done(status=1, said="no switch: 192.168.4.4 does not answer")
    with pytest.raises(RuntimeError, match=r"because of proxy-1: no switch.*\nmend it first; or"):
        leave()
    assert hosts.asked == [(PROXY_1, "makes_way")]


def test_the_operator_may_cut_connections(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    hosts.answers[PROXY_1, "makes_way"] = Done(status=1, said="no switch")
    monkeypatch.setenv(ANYWAY, "yes")
    leave()
    assert hosts.asked == LEFT
    assert ANYWAY in warned[-1]


def test_one_that_does_not_come_to_an_end_keeps_the_pair(hosts: Hosts) -> None:
    hosts.answers[PROXY_1, "makes_way"] = NoAnswerError("198.19.0.3: not done within 90 s")
    with pytest.raises(
        RuntimeError,
        match=r"because of proxy-1: .*not done within 90 s\nmend it, or power it off.*CAUSEWAY_CUT",
    ):
        leave()
    assert hosts.asked == [(PROXY_1, "makes_way")]


def test_the_operator_may_go_on_without_its_answer(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_: told.append(text))
    for word in ("makes_way", "apply_concern"):
        hosts.answers[PROXY_1, word] = NoAnswerError("198.19.0.3: not done within 90 s")
    monkeypatch.setenv(ANYWAY, "yes")
    leave()
    assert hosts.asked == LEFT
    assert [ANYWAY in said and "not done" in said for said in warned[-2:]] == [True, True]
    assert not [said for said in told if "has left" in said], "nobody knows"


def test_the_one_that_stays_is_not_to_be_powered_off(hosts: Hosts) -> None:
    hosts.answers[PROXY_1, "makes_way"] = NoWayInError("timed out")
    hosts.answers[PROXY_0, "other_one_is_gone"] = NoAnswerError("198.19.0.2: not done within 90 s")
    with pytest.raises(RuntimeError, match=r"because of proxy-0: .*not done within 90 s\nmend it first; or"):
        leave()


@pytest.mark.parametrize("lives", [True, False])
def test_one_that_cannot_be_asked_has_to_be_dead(hosts: Hosts, lives: bool, warned: list[str]) -> None:
    hosts.answers[PROXY_1, "makes_way"] = NoWayInError("timed out")
    if lives:
        hosts.answers[PROXY_0, "other_one_is_gone"] = Done(status=1, said="power it off first")
        with pytest.raises(RuntimeError, match="because of proxy-0: power it off first"):
            leave()
    else:
        leave()
    asked = [(PROXY_1, "makes_way"), (PROXY_0, "other_one_is_gone")]
    assert hosts.asked == (asked if lives else [*asked, (PROXY_0, "stays_alone")])
    assert "timed out" in warned[-1]
