"""Which resources `lab up --replace HOST` makes anew."""

from __future__ import annotations

from typing import Any

import pytest

from lab.daemon import engine_child
from lab.errors import LabError

URN = "urn:pulumi:lab::causeway::causeway:host:Host$"
INSTANCES = {name: f"{URN}aws:ec2/instance:Instance::{name}-instance" for name in ("func-0", "proxy-0")}
ROLE = f"{URN}aws:iam/role:Role::proxy-0-role"


def urns_of(wanted: str, monkeypatch: pytest.MonkeyPatch, hooks: dict[str, list[str]] | None = None) -> Any:
    role = {"urn": ROLE, **({"resourceHooks": hooks} if hooks else {})}
    state = {"resources": [*({"urn": urn} for urn in INSTANCES.values()), role]}
    monkeypatch.setattr(engine_child, "read_state", lambda _: state)
    return engine_child.urns_of(wanted, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", INSTANCES)
def test_a_hosts_instance(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert urns_of(host, monkeypatch) == [INSTANCES[host]]


def test_the_role_too_where_its_replacement_has_the_proxy_step_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = {"before_create": ["proxy-0-makes-way"]}
    assert urns_of("proxy-0", monkeypatch, hooks) == [INSTANCES["proxy-0"], ROLE]


def test_urns_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert urns_of("urn:pulumi:**::x", monkeypatch) == ["urn:pulumi:**::x"]


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="no host 'proxy-9'") as refusal:
        urns_of("proxy-9", monkeypatch)
    assert refusal.value.hint == "did you mean proxy-0?"
