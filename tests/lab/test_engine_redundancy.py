"""The real engine: what a stack was before is known in a preview, and who goes leaves before anything changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import departure
from components.departure import Departure
from components.plan import Redundancy, Role, TunnelKind
from components.previous import Login, Machine, Previous, known_as, previous_stack
from components.way_in import Done, WayIn
from lab.engine.context import EngineContext
from lab.engine.events import ProgressEvent
from lab.engine.operations import destroy, preview, up
from lab.errors import LabError
from tests.lab.engine_testing import context, exported_host
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab
PROXIES = ("proxy-0", "proxy-1")
ROLES = {**dict.fromkeys(PROXIES, Role.PROXY), "func-0": Role.FUNC}
PAIR = Previous(
    redundancy=Redundancy.PAIR,
    tunnel=TunnelKind.GRE,  # of a stack that says nothing of it
    hears_both=False,
    proxies={name: Login(host=f"ssh-of-{name}", user="admin", via=None) for name in PROXIES},
    machines={
        name: Machine(role=role, address=IPv4Address("10.1.1.10"), instance_type="t3.small", image="ami-1")
        for name, role in ROLES.items()
    },
)


class Stack:
    """As many proxies as its redundancy says, an address each, and a first step that the rest waits for."""

    def __init__(self, base: EngineContext) -> None:
        self._base = base
        self.seen: list[str] = []
        self.known: list[Previous] = []
        self.refuses = False

    def up(self, redundancy: Redundancy, *, broken: bool = False) -> dict[str, list[str]]:
        """Run the program; `seen`: who was asked, and ends of changes, in order; `known`: what it was before.

        `broken`: fails at the end, when all proxies are there and the engine has been told the outputs.
        """
        self._forget()
        made = replace(self._base, program=self._program(redundancy, broken))
        return up(made, on_event=self._note).summary

    def preview(self, redundancy: Redundancy) -> None:
        """Likewise."""
        self._forget()
        preview(replace(self._base, program=self._program(redundancy)), on_event=self._note)

    def destroy(self) -> None:
        """Without the program."""
        destroy(self._base)

    def run_script(self, way: WayIn, script: str, *, within_s: float) -> Done:
        """In place of SSH."""
        assert within_s > 0
        said = {
            "\nmakes_way now": "makes way",
            "\napply_concern pair\n": "leaves",
            "\nstays_alone now\n": "is asked",
        }
        self.seen.extend(f"{verb} {way.host}" for text, verb in said.items() if text in script)
        return Done(status=int(self.refuses), said="no switch" if self.refuses else "")

    def _forget(self) -> None:
        self.seen.clear()
        self.known.clear()

    def _note(self, event: ProgressEvent) -> None:
        if event.phase == "done" and event.op in ("create", "update", "delete"):
            self.seen.append(f"{event.op} {event.name}")

    def _program(self, redundancy: Redundancy, broken: bool = False) -> Callable[[], None]:
        def program() -> None:
            previous = previous_stack()
            self.known.append(previous)
            names = PROXIES[: redundancy.proxies]
            known = previous.proxies
            leaving = {name: login for name, login in known.items() if name not in names}
            first: list[pulumi.Resource] = []
            hooks = None
            if redundancy is Redundancy.SINGLE:
                hooks = Departure(_Access(), _Host(), known, leaving, ()).hooks()  # type: ignore[arg-type]
                first = [aws.ec2.Eip("stays-alone", domain="vpc", opts=pulumi.ResourceOptions(hooks=hooks))]
            proxies = [self._proxy(name, redundancy, first, hooks) for name in names]
            if broken:
                opts = pulumi.ResourceOptions(depends_on=proxies)
                aws.ec2.Eip("broken", domain=_once_outputs_are_told("nowhere"), opts=opts)
            changed = first[0] if first else proxies[0]
            pulumi.export("plan", {"redundancy": known_as(previous.redundancy, redundancy, [changed])})
            hosts = {name: exported_host("proxy", f"ssh-of-{name}") for name in names}
            pulumi.export("hosts", {**hosts, "func-0": exported_host("func", "elsewhere")})

        return program

    def _proxy(
        self,
        name: str,
        redundancy: Redundancy,
        first: list[pulumi.Resource],
        hooks: pulumi.ResourceHookBinding | None,
    ) -> pulumi.Resource:
        opts = pulumi.ResourceOptions(depends_on=first, hooks=hooks)
        made: pulumi.Resource = aws.ec2.Eip(name, domain="vpc", tags={"of": redundancy}, opts=opts)
        return made


def _once_outputs_are_told(value: str) -> pulumi.Output[str]:
    """An output that is there once the engine has taken the stack's."""
    monitor: Any = pulumi.runtime.settings.get_monitor()
    loop, told, tell = asyncio.get_running_loop(), asyncio.Event(), monitor.RegisterResourceOutputs

    def tells(request: Any) -> Any:
        answer = tell(request)
        loop.call_soon_threadsafe(told.set)
        return answer

    async def waits() -> str:
        async with asyncio.timeout(60):
            await told.wait()
        return value

    monitor.RegisterResourceOutputs = tells
    return pulumi.Output.from_input(waits())


class _Host:
    def __init__(self) -> None:
        self.plan = self
        self.name = "proxy-0"


class _Access:
    async def way_in(self, _: _Host, login: Login) -> WayIn:
        return WayIn(host=login.host, user=login.user, via=login.via, private_key="key")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with running_cloud() as cloud:
        made = Stack(context(tmp_path / "pulumi", cloud.aws.config, {}))
        monkeypatch.setattr(departure, "run_script", made.run_script)
        yield made


def test_what_a_stack_was_is_known_from_its_second_run_on(stack: Stack) -> None:
    stack.preview(Redundancy.PAIR)
    assert stack.known == [Previous()]
    stack.up(Redundancy.PAIR)
    assert stack.known == [Previous()]
    stack.preview(Redundancy.SINGLE)
    assert stack.known == [PAIR]
    assert stack.seen == []


def test_who_goes_leaves_first_and_nothing_keeps_the_stack_from_being_destroyed(stack: Stack) -> None:
    stack.up(Redundancy.PAIR)
    stack.up(Redundancy.SINGLE)
    assert stack.seen == [
        "makes way ssh-of-proxy-1",
        "leaves ssh-of-proxy-1",
        "is asked ssh-of-proxy-0",
        "create stays-alone",
        "update proxy-0",
        "delete proxy-1",
    ]
    stack.destroy()


def test_who_cannot_leave_stays_and_nothing_changes(stack: Stack) -> None:
    stack.up(Redundancy.PAIR)
    stack.refuses = True
    with pytest.raises(LabError, match="the pair stays as it is, because of proxy-1: no switch"):
        stack.up(Redundancy.SINGLE)
    assert stack.seen == ["makes way ssh-of-proxy-1"]
    stack.refuses = False
    assert stack.up(Redundancy.SINGLE)["delete"] == ["proxy-1"]
    assert stack.known == [PAIR], "a run that failed has not become what the stack was"
    assert stack.up(Redundancy.SINGLE) == {}
    assert stack.up(Redundancy.PAIR)["create"] == ["proxy-1"]


def test_who_has_not_quite_become_a_pair_is_left_too(stack: Stack) -> None:
    """What is done first where a pair ends is done already, and of no change."""
    stack.up(Redundancy.SINGLE)
    with pytest.raises(LabError, match="broken"):
        stack.up(Redundancy.PAIR, broken=True)
    assert stack.seen == ["update proxy-0", "create proxy-1"] or stack.seen == [
        "create proxy-1",
        "update proxy-0",
    ]
    stack.up(Redundancy.SINGLE)
    assert stack.seen == [
        "makes way ssh-of-proxy-1",
        "leaves ssh-of-proxy-1",
        "is asked ssh-of-proxy-0",
        "update proxy-0",
        "delete proxy-1",
    ]
