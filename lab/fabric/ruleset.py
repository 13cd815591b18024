"""nft tables as data, and the script that turns one state of a table into another in one transaction.

Only what changed is written: sets lose and gain elements, a chain with other rules is refilled. Counters and
everything that connection tracking knows stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

NAME = "fabric"


@dataclass(frozen=True)
class Elements:
    """A set (`type: set`) or map; an element of a map is "key : value"."""

    declaration: str  # e.g. "set own { type ipv4_addr; }"
    members: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The first word of the declaration: set or map."""
        return self.declaration.split()[0]


@dataclass(frozen=True)
class Chain:
    """Rules in order; `hook` is empty for a chain that others jump to."""

    rules: tuple[str, ...]
    hook: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One nft table, named `fabric`."""

    family: str
    counters: tuple[str, ...] = ()
    sets: dict[str, Elements] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)  # a chain stands before those that jump to it


def script(old: Table | None, new: Table) -> str:
    """nft commands that turn `old` (None: nothing there) into `new`; empty if they are equal."""
    if old is not None and (old.counters != new.counters or hooks(old) != hooks(new)):
        raise ValueError("counters and hooks of a table are fixed when it is made")
    return "".join(f"{line}\n" for line in commands(old or Table(family=new.family), new, fresh=old is None))


def hooks(table: Table) -> dict[str, str]:
    """The base chains."""
    return {name: chain.hook for name, chain in table.chains.items() if chain.hook}


def commands(old: Table, new: Table, *, fresh: bool) -> Iterator[str]:
    """The transaction, line by line: things must exist before, and be unused after, what refers to them."""
    where = f"{new.family} {NAME}"
    if fresh:
        yield f"add table {where}"
        for counter in new.counters:
            yield f"add counter {where} {counter}"
    for name, wanted in new.sets.items():
        if name not in old.sets:
            yield f"add {wanted.kind} {where} {wanted.declaration.split(maxsplit=1)[1]}"
        present = old.sets[name].members if name in old.sets else frozenset()
        for verb, members in (("delete", present - wanted.members), ("add", wanted.members - present)):
            if members:
                yield f"{verb} element {where} {name} {{ {', '.join(sorted(members))} }}"
    for name, chain in new.chains.items():
        if name not in old.chains:
            yield f"add chain {where} {name}" + (f" {{ {chain.hook} }}" if chain.hook else "")
        elif chain.rules != old.chains[name].rules:
            yield f"flush chain {where} {name}"
        else:
            continue
        for rule in chain.rules:
            yield f"add rule {where} {name} {rule}"
    for name in old.chains.keys() - new.chains.keys():
        yield f"delete chain {where} {name}"
    for name in sorted(old.sets.keys() - new.sets.keys()):
        yield f"delete {old.sets[name].kind} {where} {name}"
