"""What happens ahead of a changed instance; `tests/lab/test_engine_replacement.py` has the real engine call it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pulumi
import pytest

from components import replacement
from components.access import OperatorAccess
from components.host import Host, Image
from components.plan import Role
from components.planning import make_plan
from components.previous import Login, Machine
from components.settings import load_settings
from components.way_in import Done, NoAnswerError, NoWayInError, RefusedError, WayIn
from tests.unit.program import COMMAND, LAB_PAIR, LAB_SINGLE, Configuration, become_pair, graph_of, run_stack
from tests.unit.program_rules_pair import ROLE
from tests.unit.pulumi_mocks import Hook
from tests.unit.settings_cases import base

SMALL, LARGE = ({"tags": {replacement.MARK: size}} for size in ("small", "large"))


def call(hook: Hook, before: object = SMALL, after: object = LARGE) -> None:
    """As the engine does ahead of an update; of a creation where there is nothing before."""
    args = pulumi.ResourceHookArgs("urn", "id", "name", "type", old_inputs=before, new_inputs=after)  # type: ignore[arg-type]
    result = hook(args)
    if result is not None:
        asyncio.run(_awaited(result))


async def _awaited(result: Awaitable[None]) -> None:
    await result


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Hook:
    """proxy-0's hook. Outputs of a graph that is done belong to a loop that is no more."""

    async def way_in(_self: object, _host: Host, login: Login | None = None) -> WayIn:
        login = login or Login(host="198.19.0.2", user="admin", via=None)
        return WayIn(host=login.host, user=login.user, via=login.via, private_key="key")

    monkeypatch.setattr(OperatorAccess, "way_in", way_in)
    return graph_of(LAB_PAIR).hooks["proxy-0-makes-way"]


@pytest.fixture
def preview(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hooks are called in a preview."""
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the proxy."""
    return answer(monkeypatch, Done(status=0, said="switched in 80 ms"))


def answer(monkeypatch: pytest.MonkeyPatch, done: Done | Exception) -> list[str]:
    sent: list[str] = []

    def run(_way: WayIn, script: str, *, within_s: float) -> Done:
        assert within_s > 0
        sent.append(script)
        if isinstance(done, Exception):
            raise done
        return done

    monkeypatch.setattr(replacement, "run_script", run)
    return sent


def test_it_makes_way(first: Hook, scripts: list[str]) -> None:
    call(first)
    assert len(scripts) == 1
    assert scripts[0].endswith("main() {\nmakes_way now --staying tenant-alpha\n}\nmain </dev/null\n")


def test_another_tag_is_no_reason_to(first: Hook, scripts: list[str]) -> None:
    call(first, SMALL, {"tags": {**SMALL["tags"], "Team": "edge"}})
    assert scripts == []


def test_the_active_one_stays_while_the_other_cannot_serve(
    first: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, Done(status=1, said="no switch: 192.168.4.5 does not answer"))
    with pytest.raises(
        RuntimeError, match=r"does not answer\nmend the other proxy first; or, .*CAUSEWAY_CUT"
    ) as refusal:
        call(first)
    assert "proxy-0 is left as it is" in str(refusal.value)


def test_one_that_does_not_come_to_an_end_stays(first: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be active, and nobody knows whether the other could serve."""
    answer(monkeypatch, NoAnswerError("198.19.0.2: not done within 90 s; it said: nothing"))
    with pytest.raises(
        RuntimeError, match=r"left as it is: .*not done within 90 s.*\nmend it, or power it off.*CAUSEWAY_CUT"
    ):
        call(first)


def test_the_operator_may_cut_connections(first: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = answer(monkeypatch, Done(status=1, said="no"))
    monkeypatch.setenv(replacement.ANYWAY, "yes")
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    call(first)
    assert sent == []
    assert replacement.ANYWAY in warned[0]


def test_one_that_is_lost_can_be_replaced(first: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, NoWayInError("198.19.0.2: timed out"))
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    call(first)
    assert "timed out" in warned[0]


def test_one_that_refuses_the_login_lives_and_stays(first: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, RefusedError("ubuntu@198.19.0.2: Authentication failed."))
    with pytest.raises(RuntimeError, match=r"proxy-0 is left as it is: ubuntu@.*\nlet that user in"):
        call(first)


@pytest.mark.usefixtures("first")
def test_it_is_asked_the_way_that_it_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user or way in comes with the very instance that is to make way."""
    asked: list[WayIn] = []
    outputs = graph_of(LAB_PAIR).outputs
    was = {"host": "192.0.2.4", "port": 22, "user": "earlier", "via": "192.0.2.9"}
    outputs = {
        **outputs,
        "hosts": {**outputs["hosts"], "proxy-0": {**outputs["hosts"]["proxy-0"], "ssh": was}},
    }
    hooks = run_stack(LAB_SINGLE, change=become_pair, previous=outputs).hooks

    def run(way: WayIn, _script: str, *, within_s: float) -> Done:
        assert within_s > 0
        asked.append(way)
        return Done(status=0, said="")

    monkeypatch.setattr(replacement, "run_script", run)
    call(hooks["proxy-0-makes-way"])
    assert [(way.host, way.user, way.via) for way in asked] == [("192.0.2.4", "earlier", "192.0.2.9")]


def once_more() -> dict[str, Hook]:
    """The hooks of a pair that was there before."""
    return run_stack(LAB_SINGLE, change=become_pair, previous=graph_of(LAB_PAIR).outputs).hooks


@pytest.mark.usefixtures("first")
def test_one_whose_role_is_replaced_makes_way(scripts: list[str]) -> None:
    call(once_more()["proxy-0-makes-way"], None)
    assert len(scripts) == 1


def test_the_first_role_makes_no_way(first: Hook, scripts: list[str]) -> None:
    call(first, None)
    assert scripts == []


@pytest.mark.usefixtures("preview", "first")
def test_a_preview_asks_nobody(scripts: list[str]) -> None:
    call(once_more()["proxy-0-makes-way"])
    assert scripts == []


@pytest.mark.parametrize(
    ("before", "after", "planned"), [(SMALL, SMALL, False), (SMALL, LARGE, True), (None, LARGE, True)]
)
@pytest.mark.usefixtures("preview")
def test_a_preview_tells_of_an_instance_that_makes_no_way(
    before: object, after: object, planned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    hooks = once_more()
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    call(hooks["proxy-1-makes-way"], before, after)
    call(hooks["proxy-1-is-planned"], None)
    assert warned == ([] if planned else [replacement.UNPLANNED.format(proxy="proxy-1")])


def test_the_first_instance_is_no_surprise(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    call(graph_of(LAB_PAIR).hooks["proxy-0-is-planned"], None)
    assert warned == []


def instance_type(configuration: Configuration) -> None:
    become_pair(configuration)
    configuration["causeway:proxy"]["instance_type"] = "c6in.xlarge"


def pinned(configuration: Configuration) -> None:
    become_pair(configuration)
    configuration["causeway:ami"] = "ami-0123456789abcdef0"


@pytest.mark.parametrize("change", [instance_type, pinned])
def test_what_changes_an_instance_changes_the_mark_of_its_role(change: object) -> None:
    before, after = graph_of(LAB_PAIR), run_stack(LAB_SINGLE, change=change)  # type: ignore[arg-type]
    for proxy in ("proxy-0", "proxy-1"):
        key, instance = f"{ROLE}::{proxy}-role", f"aws:ec2/instance:Instance::{proxy}-instance"
        marks = [graph.resources[key]["inputs"]["tags"][replacement.MARK] for graph in (before, after)]
        assert marks[0] != marks[1]
        makes_way = [f"{proxy}-makes-way"]
        assert after.resources[key]["hooks"] == {"before_create": makes_way, "before_update": makes_way}
        profile = f"aws:iam/instanceProfile:InstanceProfile::{proxy}-profile"
        assert profile in after.resources[instance]["dependsOn"]
        assert key in after.resources[profile]["dependsOn"]


def test_the_engine_waits_for_the_turn_before_and_not_a_worker_of_it() -> None:
    """Of a pair that is there: hooks that wait keep a worker each, and there are as many as the machine's cores say."""
    key, ready = f"{ROLE}::proxy-1-role", f"{COMMAND}::proxy-0-ready"
    assert ready not in graph_of(LAB_PAIR).resources[key].get("dependsOn", ()), (
        "the first two are made side by side"
    )
    again = run_stack(LAB_SINGLE, change=become_pair, previous=graph_of(LAB_PAIR).outputs)
    assert ready in again.resources[key]["dependsOn"]


def test_no_hook_stands_in_the_way_of_destroying_a_stack() -> None:
    """Delete hooks would: the engine refuses to delete what has them, unless it runs the program."""
    for entry in graph_of(LAB_PAIR).resources.values():
        assert entry.get("hooks", {}).keys() <= {"before_create", "before_update"}


def test_a_single_proxy_makes_way_for_nobody() -> None:
    assert graph_of(LAB_SINGLE).hooks == {}


def test_an_image_that_is_named_again_after_another_one_came_is_a_change() -> None:
    """As where the operator had the instance be made anew while none was named."""
    (proxy, *_) = make_plan(load_settings(base("pair")), "test").pairs[0].proxies
    was = Machine(
        role=Role.PROXY,
        address=proxy.address,
        instance_type=proxy.instance_type,
        image="ami-b",
        made_from=f"{proxy.instance_type} ami-a",
    )
    named = replacement.made_from(proxy, Image(ami="ami-a", pinned=True), was)
    assert named != was.made_from
    now = replace(was, image="ami-a", made_from=named)
    assert replacement.made_from(proxy, Image(ami="ami-a", pinned=True), now) == named
    assert replacement.made_from(proxy, Image(ami="ami-c", pinned=False), now) == named
    assert replacement.made_from(proxy, Image(ami="ami-b", pinned=True), now) != named
