"""NICs as they are given to a machine."""

from __future__ import annotations

from dataclasses import dataclass

VPC_MTU_BYTES = 9001


@dataclass(frozen=True, kw_only=True)
class Nic:
    """One NIC. `tap_fd` is an open tap (with or without IFF_VNET_HDR); it stays the caller's, QEMU gets a copy."""

    mac: str
    tap_fd: int
    mtu: int = VPC_MTU_BYTES

    @property
    def id(self) -> str:
        """Name of the device inside QEMU."""
        return nic_id(self.mac)


def nic_id(mac: str) -> str:
    """Name of the device with this MAC."""
    return "nic-" + mac.lower().replace(":", "")
