"""What the last line of a failed run promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi import automation
from pulumi.automation.events import EngineEvent

from lab.engine.context import EngineContext
from lab.engine.events import Recorder
from lab.engine.failure import failure

AGAIN = "correct it and run the same command again; "
URN = "urn:pulumi:lab::causeway::aws:ec2/vpc:Vpc::platform"


def begun(op: str, *, planning: bool, custom: bool = True) -> EngineEvent:
    """The engine starts with a resource, or a component."""
    kind = "aws:ec2/vpc:Vpc"
    state = {"type": kind, "urn": URN, "custom": custom, "id": "", "parent": "", "inputs": {}, "outputs": {}}
    metadata = {"op": op, "urn": URN, "type": kind, "provider": "", "new": state}
    return EngineEvent.from_json({"resourcePreEvent": {"metadata": metadata, "planning": planning}})


def said() -> EngineEvent:
    """What the program says of a wrong configuration."""
    text = "an unhandled error occurred: The configuration has 1 problem:"
    return EngineEvent.from_json(
        {"diagnosticEvent": {"message": text, "color": "never", "severity": "error"}}
    )


@pytest.mark.parametrize(
    ("events", "rest"),
    [
        pytest.param([], "nothing was changed", id="a wrong configuration"),
        pytest.param([begun("create", planning=True)], "nothing was changed", id="a preview"),
        pytest.param(
            [begun("same", planning=False), begun("refresh", planning=False)],
            "nothing was changed",
            id="a look",
        ),
        pytest.param(
            [begun("create", planning=False, custom=False)], "nothing was changed", id="a component alone"
        ),
        pytest.param([begun("create", planning=False)], "what succeeded is kept", id="a resource"),
    ],
)
def test_only_what_was_begun_is_kept(events: list[EngineEvent], rest: str) -> None:
    recorder = Recorder(lambda _: None)
    for event in (*events, said()):
        recorder.take(event)
    context = EngineContext(
        directory=Path(), pulumi=Path(), ec2_endpoint="", access_key="", secret_key="", project="causeway"
    )
    error = automation.CommandError(automation.CommandResult(stdout="", stderr="", code=255))
    found = failure(context, recorder, error, cancelled=False)
    assert found.message == "stack lab: The configuration has 1 problem:"
    assert found.hint == AGAIN + rest
