"""Which addresses proxies have: what the operator wrote, the next one, or one counted from a subnet's end.

By arithmetic from what stands in the settings, so that nobody's address depends on who else is there: proxy-0
has the same with and without a proxy-1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv4Network

from components.validation.ranges import free


def eni_addresses(
    written: IPv4Address | None, subnet: IPv4Network | None, instance: IPv4Address | None, proxies: int
) -> tuple[IPv4Address | None, ...]:
    """A tenant's user ENIs, by proxy. `subnet`: of a network of the stack's own, with `instance` in it."""
    if written is not None:
        return tuple(following(written, index) for index in range(proxies))
    if subnet is None:
        return (None,) * proxies  # AWS chooses
    last = _from_the_end(subnet, {instance})
    return tuple(next(last, None) for _ in range(proxies))


def havip_address(
    written: IPv4Address | None, subnet: IPv4Network | None, taken: Collection[IPv4Address | None]
) -> IPv4Address | None:
    """The pair's address in a user subnet: what was written, else in an own subnet the last that is free."""
    if written is not None or subnet is None:
        return written
    return next(_from_the_end(subnet, taken), None)


def place_of(index: int, tenants_per_pair: int) -> tuple[int, int]:
    """The number of a tenant's pair, and its place there, from 1: by its index alone, so that nobody moves it."""
    pair, place = divmod(index - 1, tenants_per_pair)
    return pair, place + 1


def following(address: IPv4Address, number: int) -> IPv4Address:
    """The address so many after this one; behind the last of all it is the last."""
    return IPv4Address(min(int(address) + number, 2**32 - 1))


def _from_the_end(subnet: IPv4Network, taken: Collection[IPv4Address | None]) -> Iterator[IPv4Address]:
    first, last = free(subnet)
    for number in range(int(last), int(first) - 1, -1):
        if (address := IPv4Address(number)) not in taken:
            yield address
