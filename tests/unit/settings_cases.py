"""Cases of wrong configuration as data: a valid base, a change to it, and the whole message.

    base: created | existing     (cases/<base>.yaml; created if absent)
    set: {tenants[0].overlay.cidr: 172.16.101.5/24}
    remove: [aws:region]
    message: |
      …

`UPDATE_GOLDEN=1 pytest tests/unit/test_settings_messages.py` writes the messages anew: read the difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).resolve().parent / "cases"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Case:
    """One file of cases/settings."""

    file: Path

    @property
    def name(self) -> str:
        """What pytest calls it."""
        return self.file.stem

    def config(self) -> dict[str, Any]:
        """The base with the change."""
        case = self._read()
        config = base(case.get("base", "created"))
        for key, value in case.get("set", {}).items():
            put(config, key, value)
        for key in case.get("remove", []):
            container, last = _container(config, key)
            del container[last]
        return config

    def message(self) -> str:
        """The golden message, with a newline at the end."""
        return str(self._read()["message"])

    def write_message(self, message: str) -> None:
        """Replace the golden message, and nothing else of the file."""
        head = self.file.read_text(encoding="utf-8").partition("message: |")[0]
        lines = (f"  {line}" if line else "" for line in message.rstrip("\n").split("\n"))
        self.file.write_text("\n".join((f"{head}message: |", *lines)) + "\n", encoding="utf-8")

    def _read(self) -> dict[str, Any]:
        case: dict[str, Any] = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        return case


def all_cases() -> list[Case]:
    """Every case, by name."""
    return [Case(file) for file in sorted((CASES / "settings").glob("*.yaml"))]


def base(name: str = "created") -> dict[str, Any]:
    """A valid configuration, without namespaces."""
    config: dict[str, Any] = yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
    return config


def put(config: dict[str, Any], key: str, value: object) -> None:
    """Set the value at a key such as `tenants[1].overlay.cidr`; one behind a list's end appends."""
    container, last = _container(config, key)
    if isinstance(container, list) and last == len(container):
        container.append(value)
    else:
        container[last] = value


def _container(config: dict[str, Any], key: str) -> tuple[Any, Any]:
    steps: list[str | int] = [int(number) if number else name for name, number in _STEP.findall(key)]
    container: Any = config
    for step in steps[:-1]:
        container = container[step]
    return container, steps[-1]


def as_single(config: dict[str, Any]) -> dict[str, Any]:
    """The same with one proxy."""
    proxy = {key: value for key, value in config["proxy"].items() if key != "havip"}
    tenants = [{key: value for key, value in each.items() if key != "havip"} for each in config["tenants"]]
    rest = {key: value for key, value in config.items() if key != "api"}
    return {**rest, "redundancy": "single", "proxy": proxy, "tenants": tenants}
