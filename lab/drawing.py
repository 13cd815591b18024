"""The path of a connection as text, with what was measured on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Hop:
    """A host on the way: a title and a line per fact."""

    title: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """What joins two hops."""

    label: str
    detail: str


def draw(hops: Sequence[Hop], links: Sequence[Link]) -> str:
    """Boxes from left to right, joined by arrows that carry the links' labels."""
    height = max(len(hop.facts) for hop in hops)
    boxes = [box(hop, height) for hop in hops]
    rows = []
    for row in range(height + 2):
        parts = [boxes[0][row]]
        for link, following in zip(links, boxes[1:], strict=True):
            parts += [connector(link, row), following[row]]
        rows.append("".join(parts).rstrip())
    return "\n".join(rows)


def box(hop: Hop, height: int) -> list[str]:
    """A hop's rows: border with the title, facts, border."""
    width = max(len(hop.title) + 2, *(len(fact) for fact in hop.facts)) + 2
    facts = [*hop.facts, *([""] * (height - len(hop.facts)))]
    top = f"┌─ {hop.title} ".ljust(width + 1, "─") + "┐"
    return [top, *(f"│ {fact}".ljust(width + 1) + "│" for fact in facts), "└" + "─" * width + "┘"]


def connector(link: Link, row: int) -> str:
    """The part of a link that stands in a row: label, arrow, detail below it."""
    width = max(len(link.label), len(link.detail)) + 2
    if row == 1:
        return link.label.center(width)
    if row == 2:
        return "─" * (width - 1) + "▶"
    if row == 3:
        return link.detail.center(width)
    return " " * width
