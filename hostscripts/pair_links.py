"""Whether the other one's conntrackd is heard, of each tenant, by how many packets have come from it.

It says something every second, if only that it is there. That this one's own runs tells nothing of that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LOOKS_IN_VAIN = 2  # in a row: at a single one this machine may just have stood still


class Links:
    """By looks, some seconds apart: what conntrackd has counted, by namespace."""

    def __init__(self) -> None:
        self._came: dict[str, str] = {}
        self._in_vain: dict[str, int] = {}

    def are_seen(self, came: Mapping[str, str]) -> None:
        """Packets until now; "" where conntrackd says nothing. Who is not among them is forgotten."""
        self._in_vain = {
            namespace: 0
            if count and self._came.get(namespace, count) != count
            else self._in_vain.get(namespace, 0) + 1
            for namespace, count in came.items()
        }
        self._came = dict(came)

    @property
    def silent(self) -> list[str]:
        """Those of which nothing is heard."""
        return sorted(namespace for namespace, looks in self._in_vain.items() if looks >= LOOKS_IN_VAIN)

    @property
    def are_doubtful(self) -> bool:
        """The next look should be soon."""
        return any(self._in_vain.values())


def packets_from_the_other(text: str) -> str:
    """Of `conntrackd -s link`; "" where it does not say."""
    found = re.search(r"(\d+) Pckts recv", text)
    return found.group(1) if found else ""
