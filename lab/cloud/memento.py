"""Undo for whatever a call changed in moto's objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

OWN_MODULES = ("moto.", "lab.cloud.")
_changing_kinds: dict[type, bool] = {}


class Memento:
    """The contents of every dict, list, set and model object that can be reached from `roots`.

    `restore` puts the contents back in place, so that references between objects hold. Taking one costs about
    1 ms for a small lab and grows linearly.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self._saved: list[tuple[Any, Any]] = []
        seen: set[int] = set()
        todo = list(roots)
        while todo:
            thing = todo.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if isinstance(thing, dict):
                self._saved.append((thing, dict(thing)))
                todo.extend(value for value in thing.values() if _may_change(value))
            elif isinstance(thing, list):
                self._saved.append((thing, list(thing)))
                todo.extend(value for value in thing if _may_change(value))
            elif isinstance(thing, set):
                self._saved.append((thing, set(thing)))
            else:
                todo.append(vars(thing))

    def restore(self) -> None:
        """Make everything what it was."""
        for thing, contents in self._saved:
            thing.clear()
            if isinstance(thing, list):
                thing.extend(contents)
            else:
                thing.update(contents)


def _may_change(value: object) -> bool:
    kind = type(value)
    known = _changing_kinds.get(kind)
    if known is None:
        model = kind.__module__.startswith(OWN_MODULES) and hasattr(value, "__dict__")
        known = _changing_kinds[kind] = model or issubclass(kind, dict | list | set)
    return known
