"""Wrong configuration ends with one message that names every problem: golden files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from components.schema import stack_schema
from components.settings import ConfigurationError, load_settings
from tests.unit.settings_cases import Case, all_cases, base

Json = Any
BY_PULUMI = {"private_key.secure"}  # it is Pulumi that writes it


@pytest.mark.parametrize("name", ["created", "pair", "existing"])
def test_bases_are_valid(name: str) -> None:
    load_settings(base(name))


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_message(case: Case) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(case.config())
    if os.environ.get("UPDATE_GOLDEN"):
        case.write_message(str(caught.value))
    assert str(caught.value) == case.message()


def keys(node: Json, path: str) -> Iterator[str]:
    """Of a schema, down to what has no keys of its own; `*` stands for a key of any name, `[]` for an index."""
    if "$ref" in node:
        node = stack_schema()["definitions"][node["$ref"].rpartition("/")[2]]
    for key, value in node.get("properties", {}).items():
        yield from keys(value, f"{path}.{key}")
    for value in node.get("patternProperties", {}).values():
        yield from keys(value, f"{path}.*")
    if "items" in node:
        yield from keys(node["items"], f"{path}[]")
    if not node.keys() & {"properties", "patternProperties", "items"}:
        yield path


def test_every_key_has_a_message() -> None:
    messages = "\n".join(case.message() for case in all_cases())
    config = stack_schema()["properties"]["config"]["properties"]
    everything = {key for name, node in config.items() for key in keys(node, name.removeprefix("causeway:"))}
    assert len(everything) > 50
    assert {key for key in everything if not re.search(rf"(?m)^{said(key)}: ", messages)} == BY_PULUMI


def said(key: str) -> str:
    """A pattern for a key as messages name it."""
    return re.escape(key).replace(r"\[\]", r"(\[\d+\])?").replace(r"\.\*", r"[.\[][^:]+?")
