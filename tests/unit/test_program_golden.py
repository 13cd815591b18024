"""Every stack's resource graph is the golden one, in `up` and in a first preview.

UPDATE_GOLDEN=1 .venv/bin/pytest tests/unit/test_program_golden.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.unit.program import ALL_STACKS, COMMAND, Configuration, graph_of, readable, run_stack
from tests.unit.program_schema import unknown_inputs
from tests.unit.pulumi_mocks import UNKNOWN, Json

OPEN = ("input", "user-eni")
GOLDEN = Path(__file__).parent / "golden"


def test_the_stacks_are_the_known_ones() -> None:
    assert ALL_STACKS == ["dev", "lab", "prod", "lab-single", "lab-pairs"]


@pytest.mark.parametrize("stack", ALL_STACKS)
def test_graph_is_the_golden_one(stack: str) -> None:
    file = GOLDEN / f"program-{stack}.json"
    text = json.dumps(readable(graph_of(stack)), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert json.loads(text) == json.loads(file.read_text()), f"UPDATE_GOLDEN=1 rewrites {file.name}"


@pytest.mark.parametrize("stack", ALL_STACKS)
def test_first_preview_has_the_same_resources(stack: str) -> None:
    """What differs is only that AWS has not said its part yet; nothing is absent for that reason."""
    preview, up = readable(graph_of(stack, preview=True)), readable(graph_of(stack))
    assert list(differences(up["resources"], preview["resources"])) == []


@pytest.mark.parametrize("stack", ALL_STACKS)
def test_first_preview_shows_what_hosts_will_be_told(stack: str) -> None:
    """Only what needs the MACs or ids of ENIs that are not made yet stays open."""
    resources = graph_of(stack, preview=True).resources
    stdin = {key.split("::")[1]: entry["inputs"].get("stdin") for key, entry in resources.items()}
    plan = graph_of(stack).outputs["plan"]
    still_open = ("steps-aside", *OPEN, "pair", "ready") if plan["redundancy"] == "pair" else OPEN
    assert {name for name, text in stdin.items() if text == UNKNOWN} == {
        f"{proxy}-{of}" for proxy in plan["proxies"] for of in still_open
    }


@pytest.mark.parametrize("stack", ["lab-single", "prod"])
def test_a_preview_without_the_private_key_differs_in_nothing_that_is_compared(stack: str) -> None:
    def no_key_here(configuration: Configuration) -> None:
        del configuration["causeway:private_key"]
        configuration["causeway:private_key_file"] = "/nowhere/key"

    without = run_stack(stack, preview=True, change=no_key_here).resources
    commands = [entry for key, entry in without.items() if key.startswith(COMMAND)]
    assert commands
    for entry in commands:
        assert entry.pop("ignoreChanges") == ["connection"]
        entry["inputs"]["connection"] = UNKNOWN
    assert list(differences(graph_of(stack, preview=True).resources, without)) == []


@pytest.mark.parametrize("stack", ALL_STACKS)
def test_every_input_is_one_of_the_resource(stack: str) -> None:
    wrong = {
        key: unknown
        for key, entry in graph_of(stack).resources.items()
        if (unknown := unknown_inputs(key.split("::")[0], entry["inputs"]))
    }
    assert wrong == {}


def test_a_misspelt_nested_input_is_noticed() -> None:
    inputs = {"ami": "ami-1", "metadataOptions": {"httpToken": "required"}, "rootBlockDevices": {}}
    assert unknown_inputs("aws:ec2/instance:Instance", inputs) == [
        "rootBlockDevices",
        "metadataOptions.httpToken",
    ]


def differences(known: Json, preview: Json, path: str = "") -> list[str]:
    """Where a preview says something else than the run; an unknown value is no difference."""
    if preview == UNKNOWN or known == preview:
        return []
    if isinstance(known, dict) and isinstance(preview, dict):
        return [
            found
            for name in sorted({*known, *preview})
            for found in differences(known.get(name), preview.get(name), f"{path}/{name}")
        ]
    if isinstance(known, list) and isinstance(preview, list) and len(known) == len(preview):
        pairs = enumerate(zip(known, preview, strict=True))
        return [found for at, (one, other) in pairs for found in differences(one, other, f"{path}/{at}")]
    return [f"{path}: {known!r} is {preview!r} in the preview"]
