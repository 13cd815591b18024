"""What changed between the inputs that a resource was made from and the ones the program gives now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lab.providers.plugin.schema import Kind, Prop, Props
from lab.providers.plugin.values import UNKNOWN, Asset

Plain = Any


class ChangeKind(StrEnum):
    """What happened to a property."""

    ADD = "ADD"
    DELETE = "DELETE"
    UPDATE = "UPDATE"


@dataclass(frozen=True)
class Change:
    """One property at `path`; `key` is the top-level property it belongs to."""

    path: str
    kind: ChangeKind
    replaces: bool

    @property
    def key(self) -> str:
        """The name that a type's code asks for."""
        return self.path.replace("[", ".").partition(".")[0]


def diff(props: Props, old: Mapping[str, Plain], new: Mapping[str, Plain]) -> list[Change]:
    """Every changed property. Lists whose order means nothing are compared as sets, documents as JSON."""
    return list(_object_changes(props, old, new, ""))


def same(prop: Prop, old: Plain, new: Plain) -> bool:
    """Whether two values of a property mean the same."""
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if prop.kind is Kind.STRING_SET and isinstance(old, list) and isinstance(new, list):
        return all(item is not UNKNOWN for item in (*old, *new)) and bool(sorted(old) == sorted(new))
    if isinstance(old, Asset) and isinstance(new, Asset):
        return old.hash == new.hash
    if prop.kind is Kind.DOCUMENT:
        return bool(_parsed(old) == _parsed(new))
    return bool(old == new)


def _object_changes(
    props: Props, old: Mapping[str, Plain], new: Mapping[str, Plain], prefix: str
) -> Iterator[Change]:
    for key, prop in props.items():
        path = f"{prefix}{key}"
        if key in new and key not in old:
            yield Change(path, ChangeKind.ADD, prop.replaces)
        elif key in old and key not in new:
            if not prop.computed:
                yield Change(path, ChangeKind.DELETE, prop.replaces)
        elif key in new and not same(prop, old[key], new[key]):
            yield from _value_changes(prop, old[key], new[key], path)


def _value_changes(prop: Prop, old: Plain, new: Plain, path: str) -> Iterator[Change]:
    if prop.kind is Kind.OBJECT and isinstance(old, dict) and isinstance(new, dict):
        nested = _object_changes(prop.fields, old, new, f"{path}.")
        yield from (Change(c.path, c.kind, c.replaces or prop.replaces) for c in nested)
    elif prop.kind is Kind.STRING_MAP and isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            where = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
            if key not in old:
                yield Change(where, ChangeKind.ADD, prop.replaces)
            elif key not in new:
                yield Change(where, ChangeKind.DELETE, prop.replaces)
            elif old[key] is UNKNOWN or new[key] is UNKNOWN or old[key] != new[key]:
                yield Change(where, ChangeKind.UPDATE, prop.replaces)
    else:
        yield Change(path, ChangeKind.UPDATE, prop.replaces)


def _parsed(document: Plain) -> Plain:
    if isinstance(document, str):
        try:
            return json.loads(document)
        except ValueError:
            return document
    return document
