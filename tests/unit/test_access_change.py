"""Another user or key of the operator's: what the preview says."""

from __future__ import annotations

import pulumi
import pytest

from components import access_change
from tests.unit.program import LAB_SINGLE, graph_of, run_stack

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKKIHTFr5SGU0wIwYz1o7iPjMRyqVJFcZ1sx8wZ4cGTm"


KEY = graph_of(LAB_SINGLE).outputs["access"]["public_key"]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
    return warnings


@pytest.mark.parametrize(
    ("was", "notice"),
    [
        ({"user": "earlier"}, access_change.USER.format("earlier", "admin")),
        ({"public_key": OTHER}, access_change.KEY),
        ({"public_key": f"{' '.join(KEY.split()[:2])} somebody else's"}, None),
    ],
)
def test_a_preview_says_what_hosts_have_to_know_first(
    was: dict[str, str], notice: str | None, said: list[str]
) -> None:
    outputs = graph_of(LAB_SINGLE).outputs
    before = {**outputs, "access": {**outputs["access"], **was}}
    run_stack(LAB_SINGLE, previous=before, preview=True)
    assert said == ([] if notice is None else [notice])


def test_the_first_update_tells_every_host(said: list[str]) -> None:
    run_stack(LAB_SINGLE, preview=True)
    assert said == []
