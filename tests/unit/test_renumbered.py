"""Which changes of tenants' indexes the lab refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.daemon import engine_child
from lab.engine.context import EngineContext
from lab.engine.renumbered import refuse_renumbered
from lab.errors import LabError
from lab.keys import ensure_key_pair
from lab.paths import LabPaths

EXPORTED = {"tenants": {"alpha": {"index": 1}, "beta": {"index": 2}}}
ALPHA, BETA = {"name": "alpha", "index": 1}, {"name": "beta", "index": 2}


def test_another_index_of_a_tenant_that_runs_is_refused() -> None:
    with pytest.raises(LabError) as caught:
        refuse_renumbered([ALPHA, {"name": "beta", "index": 3}], EXPORTED)
    assert caught.value.message.startswith("tenants[1].index: 3: the tenant 'beta' runs with index 2, and")
    assert caught.value.hint == "leave it at 2; or remove the tenant, run `up`, and add it again with 3"


def test_two_tenants_do_not_swap_their_indexes() -> None:
    with pytest.raises(LabError, match=r"tenants\[0\]\.index: 2: the tenant 'alpha' runs with index 1"):
        refuse_renumbered([{"name": "alpha", "index": 2}, {"name": "beta", "index": 1}], EXPORTED)


@pytest.mark.parametrize(
    "tenants",
    [
        pytest.param([ALPHA, BETA], id="as they are"),
        pytest.param([BETA, ALPHA], id="in another order"),
        pytest.param([BETA], id="one is removed"),
        pytest.param([ALPHA, {"name": "gamma", "index": 2}], id="a new one with the index of one that goes"),
        pytest.param([ALPHA, BETA, {"name": "gamma", "index": 3}], id="a new one"),
        pytest.param(None, id="none"),
        pytest.param("alpha", id="no list"),
        pytest.param(
            ["alpha", {"name": 3}, {"name": "alpha"}, {"name": "alpha", "index": []}], id="unreadable"
        ),
    ],
)
def test_all_else_passes(tenants: Any) -> None:
    refuse_renumbered(tenants, EXPORTED)


def test_a_stack_without_exports_has_no_tenants_yet() -> None:
    refuse_renumbered([ALPHA], {})


@pytest.mark.parametrize("action", ["up", "preview"])
def test_nothing_is_run_where_it_is_refused(
    action: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path))
    monkeypatch.setattr(engine_child, action, lambda *_, **__: pytest.fail("the engine was run"))
    paths = LabPaths("refusing")
    state_is(paths, {"tenants": {"alpha": {"index": 1}}})
    request = {
        "name": paths.name,
        "action": action,
        "stack": "lab",
        "pulumi": "/nowhere",
        "endpoint": "http://127.0.0.1:1",
        "region": "us-east-1",
        "credentials": {"access_key_id": "AKIA", "secret_access_key": ""},
        "config": ["tenants[0].index=2"],
        "replace": [],
        "refresh": False,
    }
    with pytest.raises(LabError, match="runs with index 1"):
        engine_child.run(request, None, None)  # type: ignore[arg-type] # neither is come to


def state_is(paths: LabPaths, outputs: dict[str, Any]) -> None:
    """The stack has exported this."""
    context = EngineContext(
        directory=paths.pulumi, pulumi=Path(), ec2_endpoint="", access_key="", secret_key=""
    )
    stack = {"type": "pulumi:pulumi:Stack", "outputs": outputs}
    context.state_file.parent.mkdir(parents=True)
    context.state_file.write_text(json.dumps({"checkpoint": {"latest": {"resources": [stack]}}}))
    ensure_key_pair(paths)
