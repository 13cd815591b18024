"""What a resource type or function takes, as data; and inputs checked against it.

Everything not declared is refused by name: a program never believes in an option that does nothing here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lab.providers.plugin.errors import CheckFailure
from lab.providers.plugin.values import UNKNOWN, Asset

Plain = Any
AUTONAME_HEX_DIGITS = 7  # as Pulumi's own automatic names


class Kind(StrEnum):
    """What a value may be. The names are what an error says was expected."""

    STRING = "a string"
    INT = "a whole number"
    NUMBER = "a number"
    BOOL = "a boolean"
    STRINGS = "a list of strings"
    STRING_SET = "a list of different strings"  # order does not matter
    STRING_MAP = "a map of strings"
    DOCUMENT = "a JSON document"  # as text, or as the object itself
    OBJECT = "an object"
    OBJECTS = "a list of objects"
    ASSET = "an asset or archive"
    VALUES = "a list of anything"


@dataclass(frozen=True, kw_only=True)
class Prop:
    """One property.

    - replaces: a change of it needs another object
    - computed: without it the cloud chooses, and taking it out of the program changes nothing
    - autoname: without it the resource's name and a random suffix
    - affects: outputs that are not known before a change of it is done
    """

    kind: Kind = Kind.STRING
    required: bool = False
    replaces: bool = False
    computed: bool = False
    autoname: bool = False
    default: Plain = None
    one_of: tuple[str, ...] = ()
    fields: Mapping[str, Prop] = field(default_factory=dict)
    affects: tuple[str, ...] = ()


Props = Mapping[str, Prop]


@dataclass(frozen=True)
class Schema:
    """The inputs of a type or function, and which other properties it has as outputs."""

    package: str
    token: str
    inputs: Props
    outputs: frozenset[str] = frozenset()

    def check(self, given: Mapping[str, Plain]) -> list[CheckFailure]:
        """Everything that is wrong with the inputs, at once."""
        return list(_object_failures(f"{self.package}'s stand-in", self.token, "", self.inputs, given))

    def with_defaults(
        self, given: Mapping[str, Plain], old: Mapping[str, Plain], *, name: str, seed: bytes
    ) -> dict[str, Plain]:
        """The inputs, completed by defaults and automatic names (which stay what they were)."""
        full = _with_nested_defaults(self.inputs, given)
        for key, prop in self.inputs.items():
            if prop.autoname and key not in full:
                digest = hashlib.sha256(seed).hexdigest()[:AUTONAME_HEX_DIGITS]
                full[key] = old.get(key) or f"{name}-{digest}"
        return full


def _with_nested_defaults(props: Props, given: Mapping[str, Plain]) -> dict[str, Plain]:
    full = dict(given)
    for key, prop in props.items():
        if key not in full:
            if prop.default is not None:
                full[key] = prop.default
        elif prop.kind is Kind.OBJECT and isinstance(full[key], dict):
            full[key] = _with_nested_defaults(prop.fields, full[key])
        elif prop.kind is Kind.OBJECTS and isinstance(full[key], list):
            full[key] = [
                _with_nested_defaults(prop.fields, item) if isinstance(item, dict) else item
                for item in full[key]
            ]
    return full


def _object_failures(
    whose: str, token: str, path: str, props: Props, given: Mapping[str, Plain]
) -> Iterator[CheckFailure]:
    prefix = f"{path}." if path else ""
    for key, value in given.items():
        if key not in props:
            known = ", ".join(sorted(props)) or "nothing"
            yield CheckFailure(
                f"{prefix}{key}", f"{whose} in the lab does not know {token}'s {prefix}{key}; known: {known}"
            )
        else:
            yield from _value_failures(whose, token, f"{prefix}{key}", props[key], value)
    for key, prop in props.items():
        if prop.required and key not in given:
            yield CheckFailure(f"{prefix}{key}", f"{token} needs {prefix}{key}")


def _value_failures(whose: str, token: str, path: str, prop: Prop, value: Plain) -> Iterator[CheckFailure]:
    if value is UNKNOWN or value is None:
        return
    if not _is_of_kind(prop.kind, value):
        yield CheckFailure(path, f"{token}'s {path} must be {prop.kind}, not {_shown(value)}")
    elif prop.one_of and value not in prop.one_of:
        yield CheckFailure(
            path, f"{token}'s {path} must be one of {', '.join(prop.one_of)}, not {_shown(value)}"
        )
    elif prop.kind is Kind.OBJECT:
        yield from _object_failures(whose, token, path, prop.fields, value)
    elif prop.kind is Kind.OBJECTS:
        for index, item in enumerate(value):
            if item is not UNKNOWN:
                yield from _object_failures(whose, token, f"{path}[{index}]", prop.fields, item)


def _is_of_kind(kind: Kind, value: Plain) -> bool:
    if kind in (Kind.STRINGS, Kind.STRING_SET):
        return isinstance(value, list) and all(item is UNKNOWN or isinstance(item, str) for item in value)
    if kind is Kind.STRING_MAP:
        return isinstance(value, dict) and all(
            item is UNKNOWN or isinstance(item, str) for item in value.values()
        )
    if kind is Kind.OBJECTS:
        return isinstance(value, list) and all(item is UNKNOWN or isinstance(item, dict) for item in value)
    if kind in (Kind.INT, Kind.NUMBER):
        whole = kind is Kind.NUMBER or float(value).is_integer() if _is_number(value) else False
        return _is_number(value) and whole
    if kind is Kind.DOCUMENT:
        return isinstance(value, str | dict)
    types: dict[Kind, type | tuple[type, ...]] = {
        Kind.STRING: str,
        Kind.BOOL: bool,
        Kind.OBJECT: dict,
        Kind.ASSET: Asset,
        Kind.VALUES: list,
    }
    return isinstance(value, types[kind])


def _is_number(value: Plain) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Plain) -> str:
    """A value in an error. What a string holds could be secret, unless it is a short word."""
    if isinstance(value, str):
        return (
            repr(value)
            if len(value) <= 40 and value.isprintable()
            else f"a string of {len(value)} characters"
        )
    return {dict: "an object", list: "a list", Asset: "an asset"}.get(type(value), repr(value))
