"""Connection tracking of a VPC's router: it serves the 1:1 NAT, and must not outlive a mapping.

Each connection carries its public address as its mark, so that those of one address can be flushed.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

from lab.fabric import netns

WHOLE_MARK = 0xFFFF_FFFF


def mark(public: IPv4Address) -> int:
    """The mark of connections of a public address."""
    return int(public)


def forget(namespace_fd: int, publics: Iterable[IPv4Address]) -> None:
    """Flush the connections of public addresses that are nobody's, or somebody else's, from now on."""
    with netns.entered(namespace_fd), NFCTSocket() as tracking:
        for public in publics:
            tracking.flush(mark=mark(public), mark_mask=WHOLE_MARK)
