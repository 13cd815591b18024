"""One host that cannot apply hides nothing of the others."""

from __future__ import annotations

from typing import Any

import pytest

from ops.apply import apply
from ops.errors import OpsError
from ops.ssh import Done


class Hosts:
    """`answers`: by host."""

    def __init__(self, **answers: Done | OpsError) -> None:
        self.answers = {name.replace("_", "-"): answer for name, answer in answers.items()}

    def run(self, name: str, _line: str, *, deadline_s: float) -> Done:
        assert deadline_s > 0
        answer = self.answers[name]
        if isinstance(answer, OpsError):
            raise answer
        return answer


def applied(**answers: Done | OpsError) -> tuple[list[tuple[str, str]], OpsError | None]:
    """What is told of each, and how it ends."""
    hosts = Hosts(**answers)
    stack: Any = type("Stack", (), {"hosts": hosts, "at_once": 2})
    told = []
    try:
        for one in apply(stack, sorted(hosts.answers)):
            told.append(one)
    except OpsError as error:
        return told, error
    return told, None


WELL = Done(0, "causeway: tunnel: unchanged\n", "")


def test_every_host_is_told_of_whichever_fails() -> None:
    told, error = applied(
        func_0=OpsError("func-0: timed out", hint="does the host still run?"),
        proxy_0=WELL,
        proxy_1=Done(1, "", "no\ncauseway: apply: error: not applied: nat\n"),
        proxy_2=WELL,
    )
    assert [name for name, _ in told] == ["func-0", "proxy-0", "proxy-1", "proxy-2"]
    assert told[0][1] == "✗ timed out"
    assert told[1][1] == told[3][1] == "causeway: tunnel: unchanged"
    assert told[2][1] == "✗ causeway: apply: error: not applied: nat"
    assert error is not None
    assert error.message == "not applied on func-0, proxy-1, as said above"
    assert "does the host still run?; read all of it there" in error.hint


def test_where_all_is_well_nothing_is_raised() -> None:
    assert applied(proxy_0=WELL) == ([("proxy-0", "causeway: tunnel: unchanged")], None)


def test_a_defect_is_no_hosts() -> None:
    with pytest.raises(KeyError):
        list(apply(type("Stack", (), {"hosts": Hosts(), "at_once": 2}), ["proxy-0"]))  # type: ignore[arg-type]
