"""The paths under a version of the API, as a tree: leaves are text, directories list themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Leaf: TypeAlias = str | bytes | Callable[[], str]  # callable: made when asked for


@dataclass(frozen=True)
class Directory:
    """Names in the order of their listing; one with a label is listed as `name=label`."""

    entries: Mapping[str, Directory | Leaf]
    labels: Mapping[str, str] = field(default_factory=dict)
    slashes: bool = True  # whether its listing marks directories

    def listing(self) -> str:
        """One name per line; those of directories end with a slash."""
        return "\n".join(self._listed(name, entry) for name, entry in self.entries.items())

    def _listed(self, name: str, entry: Directory | Leaf) -> str:
        if name in self.labels:
            return f"{name}={self.labels[name]}"
        return f"{name}/" if isinstance(entry, Directory) and self.slashes else name


def find(root: Directory, path: str) -> bytes | None:
    """What is at `path`, which may end with a slash only if that is a directory; None: nothing."""
    entry: Directory | Leaf = root
    for name in path.split("/"):
        if not name:
            continue
        if not isinstance(entry, Directory) or name not in entry.entries:
            return None
        entry = entry.entries[name]
    if isinstance(entry, Directory):
        return entry.listing().encode()
    if path.endswith("/"):
        return None
    if isinstance(entry, bytes):
        return entry
    return (entry if isinstance(entry, str) else entry()).encode()
