"""Filters of Describe calls: every filter must match, by any of its values; `*` and `?` are wildcards."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from lab.cloud.errors import invalid_filter

Filters = Mapping[str, Sequence[str]]
T = TypeVar("T")
Json = Any
SEVERAL: Json = (list, tuple, set, frozenset, type({}.keys()), type({}.values()))


def select(things: Iterable[T], filters: Filters, value_of: Callable[[T, str], Any]) -> list[T]:
    """Those that match. `value_of(thing, filter)` gives one value, several or None; KeyError: none such."""
    return [thing for thing in things if all(_matches(thing, f, v, value_of) for f, v in filters.items())]


def _matches(thing: T, name: str, wanted: Sequence[str], value_of: Callable[[T, str], Any]) -> bool:
    try:
        value = value_of(thing, name)
    except KeyError:
        raise invalid_filter(name) from None
    return any_matches(value, wanted)


def any_matches(value: Json, wanted: Sequence[str] | str) -> bool:
    """Whether a value, or one of several, is one of those wanted."""
    if value is None:
        return False
    patterns = [wanted] if isinstance(wanted, str) else wanted
    texts = [text(v) for v in (value if isinstance(value, SEVERAL) else [value])]
    return any(fnmatch.fnmatchcase(t, p.replace("[", "[[]")) for t in texts for p in patterns)


def text(value: object) -> str:
    """A value as EC2 writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value)


def tag_value(tags: Mapping[str, str], name: str) -> Json:
    """The value of a `tag:KEY`, `tag-key` or `tag-value` filter; KeyError for every other."""
    if name.startswith("tag:"):
        return tags.get(name.removeprefix("tag:"))
    if name == "tag-key":
        return list(tags)
    if name == "tag-value":
        return list(tags.values())
    raise KeyError(name)
