"""A stack's configuration: its file in stacks/, with the lab's overrides."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError

Json = Any
PATH_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def stack_config(file: Path, project: str, overrides: Mapping[str, Json]) -> dict[str, Json]:
    """The merged `config` of a stack file, keys with their namespace. An override by None removes a whole key.

    Raises LabError for a file that is missing or no YAML, for an override that does not fit, and for encrypted
    values that no override replaces: their key is not here.
    """
    config = {_with_namespace(key, project): value for key, value in _read(file).items()}
    for key, value in overrides.items():
        if value is None and PATH_PART.sub("", key.rpartition(":")[2]) == "":
            config.pop(_with_namespace(key, project), None)
        else:
            _override(config, _with_namespace(key, project), value)
    encrypted = sorted(path for key, value in config.items() for path in _encrypted(key, value))
    if encrypted:
        raise LabError(
            f"{file.name}: {', '.join(encrypted)} is encrypted for the stack's own secrets provider",
            hint="override it, as in --config private_key_file=FILE",
        )
    return config


def _read(file: Path) -> dict[str, Json]:
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError as error:
        known = sorted(
            f.name.removeprefix("Pulumi.").removesuffix(".yaml") for f in file.parent.glob("Pulumi.*.yaml")
        )
        raise LabError(
            f"there is no stack file {file}", hint=f"stacks that have one: {', '.join(known) or 'none'}"
        ) from error
    except yaml.YAMLError as error:
        raise LabError(f"{file} is no YAML: {error}", hint="correct it there") from error
    config: dict[str, Json] = (content or {}).get("config") or {}
    return config


def _with_namespace(key: str, project: str) -> str:
    return key if ":" in key.partition(".")[0] else f"{project}:{key}"


def setting(text: str) -> tuple[str, Json]:
    """KEY=VALUE, where the value is YAML: numbers, lists and maps as in a stack file."""
    key, equals, value = text.partition("=")
    if not (equals and key):
        raise LabError(f"{text!r} is no setting", hint="like this: func_hosts.count=3")
    try:
        read = yaml.safe_load(value)
        json.dumps(read)
    except yaml.YAMLError as error:
        raise LabError(f"{key}: {value!r} is no YAML: {error}", hint="put quotes around a text") from error
    except (TypeError, ValueError) as error:  # a date, an integer of thousands of digits
        raise LabError(
            f"{key}: {value[:80]!r} is no value that a setting can have", hint="put quotes around it"
        ) from error
    return key.removeprefix("causeway:"), read


def _override(config: dict[str, Json], key: str, value: Json) -> None:
    """Set what a path names, making objects on the way; an index is one of an existing list, or the next."""
    namespace, _, path = key.partition(":")
    parts: list[str | int] = [name if name else int(index) for name, index in PATH_PART.findall(path)]
    if not parts or "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts) != f".{path}":
        raise LabError(f"{key}: not a path of a setting", hint="like func_hosts.count or tenants[0].name")
    top = f"{namespace}:{parts[0]}"
    where: Json = config
    at: str | int = top
    config[top] = copy.deepcopy(config.get(top))
    for part in parts[1:]:
        if _get(where, at) is None:
            _set(where, at, [] if isinstance(part, int) else {}, key)
        where, at = _get(where, at), part
    _set(where, at, value, key)


def _get(where: Json, at: str | int) -> Json:
    if isinstance(where, list) and isinstance(at, int):
        return where[at] if at < len(where) else None
    return where.get(at) if isinstance(where, dict) else None


def _set(where: Json, at: str | int, value: Json, key: str) -> None:
    if isinstance(where, dict) and isinstance(at, str):
        where[at] = value
    elif isinstance(where, list) and isinstance(at, int) and at <= len(where):
        where[at : at + 1] = [value]
    else:
        raise LabError(
            f"{key}: {at!r} does not fit what the stack file has there",
            hint="compare with stacks/Pulumi.*.yaml",
        )


def _encrypted(path: str, value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            yield path
        for key, item in value.items():
            yield from _encrypted(f"{path}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _encrypted(f"{path}[{index}]", item)
