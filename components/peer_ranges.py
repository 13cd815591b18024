"""Func hosts as a proxy is told of them: by ranges, so that a thousand take no more words than ten. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from components.host_state_shapes import PeerRange


def peer_ranges(peers: Iterable[tuple[IPv4Address, IPv4Address]]) -> list[PeerRange]:
    """Overlay and underlay addresses, in the fewest ranges in which both count up by one."""
    ranges: list[PeerRange] = []
    following: tuple[IPv4Address, IPv4Address] | None = None
    for overlay, underlay in peers:
        if (overlay, underlay) == following:
            ranges[-1]["count"] += 1
        else:
            ranges.append({"overlay": str(overlay), "underlay": str(underlay), "count": 1})
        following = (overlay + 1, underlay + 1)
    return ranges
