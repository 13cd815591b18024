"""How near two names are."""

from __future__ import annotations


def edit_distance(one: str, other: str, *, most: int) -> int:
    """How many letters to add, take away, replace or swap with the next one; just above `most` if more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        this = [row]
        for column, wanted in enumerate(other, start=1):
            replaced = last[column - 1] + (letter != wanted)
            nearest = min(last[column] + 1, this[column - 1] + 1, replaced)
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                nearest = min(nearest, before[column - 2] + 1)
            this.append(nearest)
        before, last = last, this
    return min(last[-1], most + 1)
