"""What is wrong with a configuration, in words that a person can act on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_SHOWN_CHARACTERS = 60
HIDDEN = "(not shown, it may be a secret)"
_SECRET_KEY = re.compile(r"private_?key(?!_file)|secret|password|token", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One violated rule: where (`tenants[1].overlay.cidr`), what stands there, the rule, the way out."""

    key: str
    value: str  # as `shown` renders it; empty where nothing stands there
    rule: str
    way_out: str

    def __str__(self) -> str:
        head = f"{self.key}: {self.value}" if self.value else f"{self.key} (missing)"
        return "\n".join(map(_printable, (head, f"    {self.rule}", f"    → {self.way_out}")))


def missing(key: str, rule: str, way_out: str) -> Problem:
    """Nothing stands where something has to."""
    return Problem(key=key, value="", rule=rule, way_out=way_out)


class ConfigurationError(Exception):
    """Everything that is wrong with a configuration. Its text is for the operator, as it is."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        count = len(self.problems)
        head = f"The configuration has {count} problem{'s' if count != 1 else ''}:"
        return "\n\n".join((head, *map(str, self.problems))) + "\n"


def shown(value: object, key: str = "") -> str:
    """A value as the operator may read it back: one line, short, and nothing secret."""
    text = value if isinstance(value, str) and value.isprintable() and value else _dumped(value)
    if _SECRET_KEY.search(key) or "PRIVATE KEY" in text or '"secure"' in text:
        return HIDDEN
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _printable(line: str) -> str:
    """Keys are the operator's to choose, and stand in rules of others too: nothing of them moves a cursor."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _dumped(value: object) -> str:
    if isinstance(value, IPv4Address | IPv4Network):
        return str(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
        return text if text.isprintable() else json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        # Keys that JSON lacks, cycles of YAML anchors, endless depth; a number of more digits than Python prints.
        return "(a very long number)" if isinstance(value, int) else f"(a {type(value).__name__})"
