"""Public addresses, elastic and automatic: 198.19.0.0/16, which RFC 2544 keeps off the real internet."""

from __future__ import annotations

from ipaddress import IPv4Network

from lab.cloud.errors import ec2_error

PUBLIC_NETWORK = IPv4Network("198.19.0.0/16")
FIRST, LAST = 1, PUBLIC_NETWORK.num_addresses - 2


class PublicAddresses:
    """Hands out an address that came back only after all others: nobody meets a stranger there."""

    def __init__(self) -> None:
        self._next = FIRST
        self._returned: list[str] = []

    def take(self) -> str:
        """A public address that nothing has."""
        if self._next <= LAST:
            self._next += 1
            return str(PUBLIC_NETWORK[self._next - 1])
        if not self._returned:
            raise ec2_error("InsufficientAddressCapacity", f"All of {PUBLIC_NETWORK} is in use")
        return self._returned.pop(0)

    def give_back(self, address: str) -> None:
        """Nothing has it any more."""
        self._returned.append(address)
