"""A configuration as far as it can be read.

One broken value must not hide what is wrong elsewhere, so each is read on its own. A draft knows the values
that could be read, by their key (`tenants[1].overlay.cidr`), and the problems of those that could not. Rules
about several values ask the draft, and pass over what is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from components.validation.problem import Problem, shown

T = TypeVar("T")


@dataclass(frozen=True)
class At(Generic[T]):
    """A value and the key under which it stands."""

    key: str
    value: T

    def problem(self, rule: str, way_out: str) -> Problem:
        """This value breaks a rule."""
        return Problem(key=self.key, value=shown(self.value), rule=rule, way_out=way_out)


@dataclass
class Draft:
    """Filled by `components.validation.walk`, then only read."""

    data: dict[str, object] = field(default_factory=dict)  # the configuration without empty keys
    problems: list[Problem] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)  # by key; None: absent, or unreadable
    written: dict[str, bool] = field(
        default_factory=dict
    )  # by key, whether the operator wrote something there
    offered: set[str] = field(default_factory=set)  # keys whose group could be read
    elements: dict[str, list[str]] = field(default_factory=dict)  # keys of a list's or table's elements
    order: dict[str, int] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()  # top-level keys whose values nobody may see

    def at(self, key: str, kind: type[T]) -> At[T] | None:
        """The value at a key, if there is a readable one. KeyError: no such key in the settings."""
        value = self.values[key]
        return At(key, value) if isinstance(value, kind) else None

    def anything_at(self, key: str) -> At[object]:
        """What stands at a key, as far as it can be read; None if it cannot. KeyError as for `at`."""
        return At(key, self.values[key])

    def each(self, key: str) -> list[str]:
        """The keys of the elements of a list or table, readable or not."""
        return self.elements[key]

    def all_at(self, key: str, kind: type[T]) -> Iterator[At[T]]:
        """The readable values of a list."""
        for element in self.each(key):
            if found := self.at(element, kind):
                yield found

    def has(self, key: str) -> bool:
        """Whether the operator wrote something there, readable or not."""
        return self.written[key]

    def lacks(self, key: str) -> bool:
        """Whether the key could stand there and does not; a group that is itself missing lacks nothing."""
        return not self.written[key] and key in self.offered

    def empty(self, key: str, rule: str, way_out: str) -> Iterator[Problem]:
        """The problem of a list that the operator wrote, with nothing in it."""
        if self.has(key) and not self.each(key):
            yield Problem(key=key, value="[]", rule=rule, way_out=way_out)

    def withdraw(self, key: str) -> None:
        """What stands there is of no use, and that has been said."""
        self.written[key] = False
        self.offered.discard(key)

    def hides(self, key: str) -> bool:
        """Whether what stands there is secret, or within something secret."""
        return any(key == secret or key.startswith((f"{secret}.", f"{secret}[")) for secret in self.secret)

    def without_secrets(self) -> Draft:
        """The same as if no secret value could be read: what a rule says about this gives none away."""
        return replace(
            self, values={key: None if self.hides(key) else value for key, value in self.values.items()}
        )

    def in_order(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The problems by the order of keys in the settings, each once."""
        last = len(self.order)
        unique = dict.fromkeys(problems)
        return tuple(sorted(unique, key=lambda problem: self.order.get(problem.key, last)))
