"""What Causeway's own filters on a lab's host have counted."""

from __future__ import annotations

from tests.lab.conftest import LabUnderTest


def dropped(lab: LabUnderTest, host: str, table: str, namespace: str = "") -> int:
    """Packets that a table of a host, or of a tenant's namespace there, has dropped."""
    inside = f"ip netns exec {namespace} " if namespace else ""
    told = lab.json(host, f"{inside}nft -j list counter inet {table} dropped")
    return int(told["nftables"][1]["counter"]["packets"])
