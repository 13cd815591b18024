"""Private addresses of a subnet: which may be used, which are in use, which comes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from itertools import chain, islice
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.subnets import Subnet

from lab.cloud.errors import ec2_error, invalid_value

FIRST_HOST = 4  # AWS keeps a subnet's first four addresses and its last one


@dataclass(frozen=True, kw_only=True)
class AddressRequest:
    """Addresses that a caller asked for: by name, or just some number of them."""

    primary: str | None
    secondary: tuple[str, ...]
    count: int = 0


def address_request(params: Mapping[str, Any]) -> AddressRequest:
    """From `PrivateIpAddress`, `PrivateIpAddresses` and `SecondaryPrivateIpAddressCount`."""
    primary = params.get("PrivateIpAddress")
    secondary = []
    items = params.get("PrivateIpAddresses", [])
    if len({item["PrivateIpAddress"] for item in items}) != len(items):
        raise invalid_value("The same private IP address must not appear multiple times")
    for item in items:
        address = item["PrivateIpAddress"]
        if item.get("Primary"):
            if primary not in (None, address):
                raise ec2_error(
                    "InvalidParameterCombination", "Only one primary private IP address can be specified"
                )
            primary = address
        else:
            secondary.append(address)
    if primary is None and secondary:
        primary = secondary.pop(0)  # as EC2: the first becomes the primary one
    count = int(params.get("SecondaryPrivateIpAddressCount") or 0)
    return AddressRequest(primary=primary, secondary=tuple(s for s in secondary if s != primary), count=count)


def network_of(subnet: Subnet) -> IPv4Network:
    """The subnet's IPv4 prefix."""
    return IPv4Network(subnet.cidr_block)


def holders(backend: EC2Backend, subnet_id: str) -> dict[str, NetworkInterface]:
    """Which interface has which address of a subnet."""
    return {
        item["PrivateIpAddress"]: eni
        for eni in backend.enis.values()
        if eni.subnet_id == subnet_id
        for item in eni.private_ip_addresses
    }


def require_usable(subnet: Subnet, address: str) -> None:
    """Refuse what is no address, not of this subnet, or one of the five that AWS keeps for itself."""
    try:
        parsed = IPv4Address(address)
    except AddressValueError:
        raise invalid_value(f"Value ({address}) for parameter privateIpAddress is invalid.") from None
    network = network_of(subnet)
    if parsed not in network:
        raise invalid_value(f"Address {address} does not fall within the subnet's address range")
    if parsed < network[FIRST_HOST] or parsed == network.broadcast_address:
        raise invalid_value(f"Address {address} is in subnet's reserved address range")


def require_free(backend: EC2Backend, subnet: Subnet, addresses: Iterable[str], message: str) -> None:
    """Refuse addresses that an interface has already."""
    taken = holders(backend, subnet.id)
    for address in addresses:
        if address in taken:
            raise ec2_error("InvalidIPAddress.InUse", message.format(address=address))


def choose(backend: EC2Backend, subnet: Subnet, count: int, besides: Sequence[str] = ()) -> list[str]:
    """Free addresses that no reservation keeps.

    AWS takes any; the lab begins in the middle of the subnet, away from the low ones that people give out.
    """
    if not count:
        return []
    taken = {*holders(backend, subnet.id), *besides}
    free = (address for address in _in_order(subnet) if address not in taken)
    chosen = list(islice(free, count))
    if len(chosen) < count:
        raise ec2_error(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number.",
        )
    return chosen


def _in_order(subnet: Subnet) -> Iterator[str]:
    network = network_of(subnet)
    last, middle = network.num_addresses - 1, max(FIRST_HOST, network.num_addresses // 2)
    reserved = [r.cidr for r in subnet._cidr_reservations if isinstance(r.cidr, IPv4Network)]
    for offset in chain(range(middle, last), range(FIRST_HOST, middle)):
        address = network[offset]
        if not any(address in cidr for cidr in reserved):
            yield str(address)
