"""Several tenants in a drill: which one is hurt, and that all are looked after."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ops.drill import steps as do
from ops.drill.faults import HostFaults
from ops.drill.scenario import Scene, Step, Who
from ops.errors import OpsError
from ops.outputs import Outputs, parse_outputs
from ops.ssh import Done
from tests.unit import ops_pair as pair
from tests.unit.test_ops_known import entry

ACTIVE, STANDBY = Who.ACTIVE, Who.STANDBY
Tables = dict[tuple[str, str], str]  # what a host lists in a namespace


def two_tenants(*, beta_has_a_user_instance: bool = True) -> Outputs:
    """Alpha, and beta with the same addresses."""
    told = pair.outputs_json()
    beta = {**told["tenants"]["alpha"], "namespace": "tenant-beta", "tunnel_device": "mgre2"}
    told["tenants"]["beta"] = beta if beta_has_a_user_instance else {**beta, "user_instance": None}
    return parse_outputs(told, "a stack")


class Recorded:
    """Faults, and the hosts that are asked; what was done, by its words."""

    def __init__(self, tables: Tables) -> None:
        self.done: list[tuple[str, ...]] = []
        self.refused: list[str] = []
        self._tables = tables

    def __getattr__(self, name: str) -> Any:
        return lambda *words: self.done.append((name, *words))

    def claims(self, *, refused: str) -> None:
        self.refused.append(refused)

    def succeed(self, host: str, line: str) -> str:
        return next(
            (
                said
                for (at, namespace), said in self._tables.items()
                if at == host and f"exec {namespace} " in line
            ),
            "",
        )


def scene(outputs: Outputs, tables: Tables | None = None) -> tuple[Scene, Recorded]:
    recorded = Recorded(tables or {})
    stack: Any = SimpleNamespace(outputs=outputs, hosts=recorded)
    faults: Any = recorded
    watch: Any = None
    who = {ACTIVE: "proxy-0", STANDBY: "proxy-1"}
    return Scene(stack=stack, faults=faults, watch=watch, who=who, say=lambda _: None), recorded


@pytest.mark.parametrize(
    ("step", "done"),
    [
        (do.unplug_user(ACTIVE), ("unplug", "proxy-0", "tenant-beta")),
        (do.forwarding_off(ACTIVE), ("forwarding_off", "proxy-0", "tenant-beta")),
        (do.stop_sync(STANDBY), ("stop_service", "proxy-1", "causeway-sync@tenant-beta.service")),
    ],
    ids=lambda given: given.text if isinstance(given, Step) else given[0],
)
def test_the_last_tenant_is_hurt(step: Step, done: tuple[str, ...]) -> None:
    stage, recorded = scene(two_tenants())
    step.act(stage)
    assert recorded.done == [done]


def test_one_claim_is_refused_whatever_addresses_the_others_have() -> None:
    """Other tenants may have the same one, so it is the interface that is named: the standby's of the last tenant."""
    stage, recorded = scene(two_tenants())
    do.claim_refused().act(stage)
    assert recorded.refused == [stage.tenants[-1].user_enis["proxy-1"].id]


@pytest.mark.parametrize(
    ("printed", "rings"),
    [
        ('["gamma: not known yet", "beta is not here yet"]', True),
        ("[]", False),
        ("", False),
        ('{"beta is not here yet": 1}', False),
    ],
)
def test_an_alarm_is_what_the_watcher_says(
    monkeypatch: pytest.MonkeyPatch, printed: str, rings: bool
) -> None:
    stage, recorded = scene(two_tenants())
    monkeypatch.setattr(recorded, "succeed", lambda _host, _line: printed)
    step = do.alarm(STANDBY, "is not here yet", deadline_s=0.0)
    if rings:
        step.act(stage)
    else:
        with pytest.raises(OpsError, match="waited 0 s in vain for proxy-1 raises an alarm"):
            step.act(stage)


@pytest.mark.parametrize(
    ("done", "is_anew"),
    [
        (Done(0, "S\n", ""), True),
        (Done(0, "T\n", ""), False),
        (Done(1, "", "error: process ID list syntax error"), False),
    ],
    ids=["runs", "still stopped by a signal", "between the two"],
)
def test_one_that_hangs_was_started_anew_when_its_process_is_no_longer_stopped(
    monkeypatch: pytest.MonkeyPatch, done: Done, is_anew: bool
) -> None:
    stage, recorded = scene(two_tenants())
    monkeypatch.setattr(recorded, "run", lambda _host, _line: done, raising=False)
    monkeypatch.setattr(do, "RESTART_DEADLINE_S", 0.0)
    step = do.started_anew(STANDBY)
    if is_anew:
        step.act(stage)
    else:
        with pytest.raises(OpsError, match="in vain for keepalived of proxy-1 was started anew"):
            step.act(stage)


@pytest.mark.parametrize(
    "heal",
    [
        lambda faults: faults.unblock_sync(("proxy-0", "proxy-1"), "tenant-beta"),
        lambda faults: faults.unblock("proxy-0", "proxy-1"),
    ],
    ids=["sync", "adverts"],
)
def test_a_host_that_does_not_answer_keeps_no_other_from_being_healed(
    heal: Callable[[HostFaults], None],
) -> None:
    asked: list[str] = []

    def succeed(host: str, _line: str, stdin: bytes) -> str:
        asked.append(f"{host} {stdin.decode()}")
        if host == "proxy-0":
            raise OpsError("proxy-0: no answer", hint="")
        return ""

    stack: Any = SimpleNamespace(hosts=SimpleNamespace(succeed=succeed))
    with pytest.raises(OpsError, match="proxy-0: no answer"):
        heal(HostFaults(stack))
    deleted = "add table inet drill; delete table inet drill"
    assert asked == [f"proxy-0 {deleted}", f"proxy-1 {deleted}"]


def tables(**standby: str) -> Tables:
    """Two connections of each tenant on the active proxy; the standby lists those, or what is given."""
    both = entry(1) + entry(2)
    return {
        (host, f"tenant-{name}"): standby.get(name, both) if host == "proxy-1" else both
        for host in ("proxy-0", "proxy-1")
        for name in ("alpha", "beta")
    }


def test_a_standby_that_knows_every_tenants_connections() -> None:
    do.knows_all(STANDBY).act(scene(two_tenants(), tables())[0])


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_one_that_lacks_a_connection_of_any_tenant_does_not_know_all(name: str) -> None:
    with pytest.raises(OpsError, match=f"proxy-1 does not know 1 of 2 in tenant-{name}"):
        do.knows_all(STANDBY).act(scene(two_tenants(), tables(**{name: entry(1)}))[0])


def test_no_connections_show_nothing_where_there_is_load() -> None:
    nothing = {key: "" if key[1] == "tenant-beta" else said for key, said in tables().items()}
    with pytest.raises(OpsError, match="proxy-0 has no connections in tenant-beta"):
        do.knows_all(STANDBY).act(scene(two_tenants(), nothing)[0])
    do.knows_all(STANDBY).act(scene(two_tenants(beta_has_a_user_instance=False), nothing)[0])
