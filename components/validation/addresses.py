"""Rules about single addresses: each lies in its subnet, where AWS leaves room, and belongs to one host."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from components.validation.draft import At, Draft
from components.validation.problem import Problem
from components.validation.ranges import FIRST_FREE, SMALLEST, free

_HOST_KEYS = ("create.instance_address", "user_eni_address")


def check(draft: Draft) -> Iterator[Problem]:
    """Addresses that a host cannot have."""
    yield from _in_subnet(draft, "proxy.first_address", "platform.proxy_subnet")
    func_fits = list(_in_subnet(draft, "func_hosts.first_address", "platform.func_subnet"))
    yield from func_fits or _func_hosts_fit(draft)
    for tenant in draft.each("tenants"):
        for key in _HOST_KEYS:
            yield from _in_subnet(draft, f"{tenant}.{key}", f"{tenant}.create.subnet_cidr")
    yield from _unique(draft)


def _in_subnet(draft: Draft, address_key: str, subnet_key: str) -> Iterator[Problem]:
    address, subnet = draft.at(address_key, IPv4Address), draft.at(subnet_key, IPv4Network)
    if not address or not subnet or subnet.value.prefixlen > SMALLEST:
        return
    first, last = free(subnet.value)
    way_out = f"choose one from {first} to {last}"
    if address.value not in subnet.value:
        yield address.problem(f"is outside {subnet.key}, which is {subnet.value}", way_out)
    elif not first <= address.value <= last:
        yield address.problem(
            f"is reserved: AWS keeps the first {FIRST_FREE} addresses of a subnet and the last one", way_out
        )


def _func_hosts_fit(draft: Draft) -> Iterator[Problem]:
    first = draft.at("func_hosts.first_address", IPv4Address)
    count = draft.at("func_hosts.count", int)
    subnet = draft.at("platform.func_subnet", IPv4Network)
    if not first or not count or not subnet or subnet.value.prefixlen > SMALLEST:
        return
    room = int(free(subnet.value)[1]) - int(first.value) + 1
    if count.value > room:
        yield count.problem(
            f"does not fit {subnet.key}, which is {subnet.value}: from {first.value} upward, {room} fit",
            "use a larger func_subnet, a lower first_address or fewer hosts",
        )


def _unique(draft: Draft) -> Iterator[Problem]:
    """No two hosts share an address, whatever their networks: a capture is then unambiguous."""
    taken: dict[IPv4Address, str] = {}
    for address in _single(draft):
        if other := taken.get(address.value):
            yield address.problem(f"is also {other}", "give each its own address")
        elif func := _func_host_at(draft, address.value):
            yield address.problem(f"is also the address of {func}", "give each its own address")
        taken.setdefault(address.value, address.key)


def _single(draft: Draft) -> Iterator[At[IPv4Address]]:
    access = draft.at("platform.access_subnet", IPv4Network)
    if access and access.value.prefixlen <= SMALLEST:
        yield At("the bastion's address", free(access.value)[0])
    keys = ["proxy.first_address"]
    keys += [f"{tenant}.{key}" for tenant in draft.each("tenants") for key in _HOST_KEYS]
    for key in keys:
        if address := draft.at(key, IPv4Address):
            yield address


def _func_host_at(draft: Draft, address: IPv4Address) -> str | None:
    first = draft.at("func_hosts.first_address", IPv4Address)
    count = draft.at("func_hosts.count", int)
    if not first or not count:
        return None
    number = int(address) - int(first.value)
    return f"func-{number}" if 0 <= number < count.value else None
