"""Rules about single addresses: each lies in its subnet, where AWS leaves room, and is one host's there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from components.validation.draft import At, Draft
from components.validation.legs import eni_addresses, following
from components.validation.pair import proxies
from components.validation.places import addresses_of, further_pairs
from components.validation.problem import Problem
from components.validation.ranges import FIRST_FREE, SMALLEST, free

_PROXY = "proxy.first_address"
_OF_A_PAIR = ("proxy.havip", "api.endpoint_address")
_PLATFORM = "platform"


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """An address that something will have. `key`: where the operator can change it, if anywhere."""

    key: str | None
    address: IPv4Address
    name: str  # what others call it
    network: str = _PLATFORM  # where it is
    following: str | None = None  # whose it is, where it follows from the one that stands at the key
    pair: int = 0  # of the pair that a tenant's index at the key asks for


def check(draft: Draft) -> Iterator[Problem]:
    """Addresses that a host cannot have."""
    fits = list(_in_subnet(draft, _PROXY, "platform.proxy_subnet"))
    yield from fits or _next_fits(draft, _PROXY, "platform.proxy_subnet", "proxy-1 has")
    for key in _OF_A_PAIR:
        yield from _in_subnet(draft, key, "platform.proxy_subnet")
    func_fits = list(_in_subnet(draft, "func_hosts.first_address", "platform.func_subnet"))
    yield from func_fits or _func_hosts_fit(draft)
    for tenant in draft.each("tenants"):
        eni, subnet = f"{tenant}.user_eni_address", f"{tenant}.create.subnet_cidr"
        yield from _in_subnet(draft, f"{tenant}.create.instance_address", subnet)
        eni_fits = list(_in_subnet(draft, eni, subnet))
        yield from eni_fits or _next_fits(draft, eni, subnet, "the ENI on proxy-1 has")
        yield from _in_subnet(draft, f"{tenant}.havip", subnet)
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


def _next_fits(draft: Draft, address_key: str, subnet_key: str, whose: str) -> Iterator[Problem]:
    """Of an address that itself fits."""
    address, subnet = draft.at(address_key, IPv4Address), draft.at(subnet_key, IPv4Network)
    if proxies(draft) < 2 or not address or not subnet or subnet.value.prefixlen > SMALLEST:
        return
    first, last = free(subnet.value)
    if address.value == last:
        yield address.problem(
            f"leaves no room: {whose} the next one, which AWS keeps in {subnet.value}",
            f"choose one from {first} to {last - 1}",
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
    """No two hosts of a network share an address, and nobody has one of the platform's. Two tenants may."""
    taken: dict[tuple[str, IPv4Address], str] = {}
    anywhere: dict[IPv4Address, str] = {}
    for claim in _claims(draft):
        if claim.network == _PLATFORM:
            other = anywhere.get(claim.address)
        else:
            other = taken.get((claim.network, claim.address), taken.get((_PLATFORM, claim.address)))
        if other is None and (func := _func_host_at(draft, claim.address)):
            other = f"the address of {func}"
        if other is not None and claim.key is not None and claim.pair:
            yield draft.anything_at(claim.key).problem(
                f"is on pair {claim.pair}, where {claim.following} {claim.address}, which is also {other}",
                "leave room behind proxy.first_address and proxy.havip, or give the tenant a lower index that is free",
            )
        elif other is not None and claim.key is not None:
            written = draft.at(claim.key, IPv4Address)
            if written and claim.following is None:
                yield written.problem(f"is also {other}", "give each its own address")
            elif written:
                yield written.problem(
                    f"is followed by {claim.address}, which {claim.following}, and which is also {other}",
                    "give each its own address",
                )
        taken.setdefault((claim.network, claim.address), claim.name)
        anywhere.setdefault(claim.address, claim.name)


def _claims(draft: Draft) -> Iterator[_Claim]:
    """Those first that the operator wrote nowhere: what collides with them has to give way."""
    access = draft.at("platform.access_subnet", IPv4Network)
    if access and access.value.prefixlen <= SMALLEST:
        yield _Claim(key=None, address=free(access.value)[0], name="the bastion's address")
    for tenant in draft.each("tenants"):
        for name, eni in tenant_eni_addresses(draft, tenant):
            if not eni.key:
                yield _Claim(key=None, address=eni.value, name=name, network=_network(draft, tenant))
    if first := draft.at(_PROXY, IPv4Address):
        yield from _written(first)
        if proxies(draft) > 1:
            second = following(first.value, 1)
            yield _Claim(key=_PROXY, address=second, name="the address of proxy-1", following="proxy-1 has")
    for key in _OF_A_PAIR:
        yield from _written(draft.at(key, IPv4Address))
    for number, key in further_pairs(draft).items():
        for whose, address in addresses_of(draft, number):
            name = f"the address of {whose}"
            yield _Claim(key=key, address=address, name=name, following=f"{whose} has", pair=number)
    for tenant in draft.each("tenants"):
        network = _network(draft, tenant)
        yield from _written(draft.at(f"{tenant}.create.instance_address", IPv4Address), network)
        yield from _written_enis(draft, tenant, network)
        yield from _written(draft.at(f"{tenant}.havip", IPv4Address), network)


def _network(draft: Draft, tenant: str) -> str:
    """What a tenant's addresses are unique in: the VPC that is there already, which others may share, or its own."""
    vpc = draft.at(f"{tenant}.vpc_id", str)
    return vpc.value if vpc else tenant


def _written(address: At[IPv4Address] | None, network: str = _PLATFORM) -> Iterator[_Claim]:
    if address:
        yield _Claim(key=address.key, address=address.value, name=address.key, network=network)


def _written_enis(draft: Draft, tenant: str, network: str) -> Iterator[_Claim]:
    for index, (name, address) in enumerate(tenant_eni_addresses(draft, tenant)):
        if not address.key:
            continue
        if index == 0:
            yield from _written(address, network)
        else:
            whose = f"its ENI on proxy-{index} has"
            yield _Claim(key=address.key, address=address.value, name=name, following=whose, network=network)


def tenant_eni_addresses(draft: Draft, tenant: str) -> Iterator[tuple[str, At[IPv4Address]]]:
    """What the addresses of a tenant's user ENIs are called, and where they stand; derived ones nowhere."""
    written = draft.at(f"{tenant}.user_eni_address", IPv4Address)
    subnet = draft.at(f"{tenant}.create.subnet_cidr", IPv4Network)
    if not written and draft.has(f"{tenant}.user_eni_address"):
        return  # unreadable
    instance = draft.at(f"{tenant}.create.instance_address", IPv4Address)
    addresses = eni_addresses(
        written.value if written else None,
        subnet.value if subnet and subnet.value.prefixlen <= SMALLEST else None,
        instance.value if instance else None,
        proxies(draft),
    )
    for index, address in enumerate(addresses):
        if address is not None:
            at = At(written.key if written else "", address)
            yield f"the address of {tenant}'s ENI on proxy-{index}", at


def _func_host_at(draft: Draft, address: IPv4Address) -> str | None:
    first = draft.at("func_hosts.first_address", IPv4Address)
    count = draft.at("func_hosts.count", int)
    if not first or not count:
        return None
    number = int(address) - int(first.value)
    return f"func-{number}" if 0 <= number < count.value else None
