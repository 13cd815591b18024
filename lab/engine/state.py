"""The stack's state, read from the engine's file without starting the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lab.engine.context import EngineContext
from lab.errors import LabError
from lab.providers.plugin.values import SECRET_SIGNATURE, SIGNATURE_KEY

Json = Any
STACK_TYPE = "pulumi:pulumi:Stack"
SHOWN_SECRET = "[secret]"  # noqa: S105 - what stands in its place


def read_state(context: EngineContext) -> Mapping[str, Json]:
    """The latest deployment: resources, pending operations …; empty for a stack that has none."""
    try:
        content = json.loads(context.state_file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LabError(
            f"{context.state_file} is damaged: {error}", hint="`lab down`, then `lab up` starts anew"
        ) from error
    latest: Mapping[str, Json] = content.get("checkpoint", {}).get("latest") or {}
    return latest


def known_ids(state: Mapping[str, Json]) -> set[str]:
    """Ids of every object that the state knows, those to be deleted after a replacement included."""
    return {resource["id"] for resource in state.get("resources") or [] if resource.get("id")}


def stack_outputs(state: Mapping[str, Json]) -> dict[str, Json]:
    """What the program exported; secrets are masked."""
    for resource in state.get("resources") or []:
        if resource["type"] == STACK_TYPE:
            return {key: _masked(value) for key, value in (resource.get("outputs") or {}).items()}
    return {}


def _masked(value: Json) -> Json:
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return SHOWN_SECRET
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
