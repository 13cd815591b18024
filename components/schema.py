"""The JSON schema of a stack file, made of the settings.

`python -m components.schema` writes stacks/schema.json.
Editors complete and check with it; what it cannot say, such as that networks overlap, `load_settings` says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.settings import Settings
from components.validation.walk import NAMESPACE, SHARED

SCHEMA_FILE = Path(__file__).resolve().parent.parent / "stacks" / "schema.json"


def stack_schema() -> dict[str, Any]:
    """The schema of a whole `Pulumi.<stack>.yaml`."""
    settings = _tidied(Settings.model_json_schema(by_alias=True))
    del settings["properties"]["private_key"]["default"]  # of the flag that the settings make of it
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack of Causeway",
        "type": "object",
        "required": ["config"],
        "additionalProperties": False,
        "properties": {
            "config": {
                "type": "object",
                "description": settings["description"],
                "properties": {_full(key): value for key, value in settings["properties"].items()},
                "patternProperties": {f"^(?!{NAMESPACE})[^:]+:": {}},  # of providers, and of Pulumi itself
                "additionalProperties": False,
                "required": [_full(key) for key in settings["required"]],
            },
            "environment": {"description": "Pulumi ESC environments."},
            "secretsprovider": {"type": "string", "description": "Who encrypts secrets. Pulumi writes it."},
            "encryptedkey": {"type": "string", "description": "Pulumi writes it."},
            "encryptionsalt": {"type": "string", "description": "Pulumi writes it."},
        },
        "definitions": settings["$defs"],
    }


def schema_text() -> str:
    """What stands in stacks/schema.json."""
    text = json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n"
    return text.replace("#/$defs/", "#/definitions/")


def _full(key: str) -> str:
    return key if key in SHARED else f"{NAMESPACE}{key}"


def _tidied(schema: Any) -> Any:
    """As a person would write it: no titles made of field names, an absent key instead of null, no other keys
    where those have a pattern.
    """
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {key: _tidied(value) for key, value in schema.items() if not _is_noise(key, value)}
    alternatives = tidied.get("anyOf")
    if isinstance(alternatives, list):
        del tidied["anyOf"]
        (present,) = [each for each in alternatives if each != {"type": "null"}]
        tidied = {**present, **tidied}
    if "patternProperties" in tidied:
        tidied.setdefault("additionalProperties", False)
    return tidied


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {SCHEMA_FILE}")
