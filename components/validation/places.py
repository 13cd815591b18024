"""Rules about which pair serves which tenant: by its index, so that every pair has its addresses before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from components.plan import PROXIES_OF_A_PAIR, TunnelKind
from components.validation.draft import Draft
from components.validation.instances import known_types
from components.validation.legs import following, place_of
from components.validation.pair import proxies
from components.validation.problem import Problem
from components.validation.ranges import SMALLEST, free

WAY_OUT = "give the tenant a lower index that is free, or leave more room in platform.proxy_subnet"


def further_pairs(draft: Draft) -> dict[int, str]:
    """Numbers of the pairs besides the first one, each with the key of the index that asks for it."""
    per_pair = _tenants_per_pair(draft)
    if per_pair is None:
        return {}
    numbers: dict[int, str] = {}
    for tenant in draft.each("tenants"):
        if index := draft.at(f"{tenant}.index", int):
            number, _ = place_of(index.value, per_pair)
            numbers.setdefault(number, index.key)
    numbers.pop(0, None)
    return dict(sorted(numbers.items()))


def addresses_of(draft: Draft, number: int) -> Iterator[tuple[str, IPv4Address]]:
    """What a further pair has in the proxy subnet: its proxies' addresses and its HaVip, with whose each is."""
    if first := draft.at("proxy.first_address", IPv4Address):
        for side in range(proxies(draft)):
            index = PROXIES_OF_A_PAIR * number + side
            yield f"proxy-{index}", following(first.value, index)
    havip = draft.at("proxy.havip", IPv4Address)
    if havip and proxies(draft) > 1:
        yield "its HaVip", following(havip.value, number)


def check(draft: Draft) -> Iterator[Problem]:
    """Pairs that have no addresses, and tenants of one that its proxies have no place for."""
    yield from _fits_the_type(draft)
    yield from _fits_the_tunnel(draft)
    subnet = draft.at("platform.proxy_subnet", IPv4Network)
    if not subnet or subnet.value.prefixlen > SMALLEST:
        return
    first, last = free(subnet.value)
    for number, key in further_pairs(draft).items():
        outside = [
            f"{whose} at {address}"
            for whose, address in addresses_of(draft, number)
            if not first <= address <= last
        ]
        if outside:
            yield draft.anything_at(key).problem(
                f"is on pair {number}, which would have {' and '.join(outside)}: outside what {subnet.key}, "
                f"{subnet.value}, has for hosts",
                WAY_OUT,
            )


def _tenants_per_pair(draft: Draft) -> int | None:
    """None: that cannot be read."""
    written, kind = draft.at("proxy.tenants_per_pair", int), _tunnel(draft)
    if written or not draft.lacks("proxy.tenants_per_pair"):
        return written.value if written else None
    proxy, (types, _) = draft.at("proxy.instance_type", str), known_types(draft)
    if not kind or not proxy or proxy.value not in types:
        return None
    return kind.tenants_per_pair(types[proxy.value].spare_enis)


def _tunnel(draft: Draft) -> TunnelKind | None:
    """What stands there, or the default; None where that cannot be read."""
    written = draft.at("tunnel", TunnelKind)
    if written:
        return written.value
    return TunnelKind.GRE if draft.lacks("tunnel") else None


def _fits_the_tunnel(draft: Draft) -> Iterator[Problem]:
    written, kind = draft.at("proxy.tenants_per_pair", int), _tunnel(draft)
    if written and kind and written.value > (most := kind.tenants_per_pair(written.value)):
        yield written.problem(
            f"is more than {most}, and tunnel is {kind.value}: it has no key, so nothing says whose of several "
            "tenants a packet is that comes from one host",
            "leave it out, and every tenant gets a pair of its own; or set tunnel to gre",
        )


def _fits_the_type(draft: Draft) -> Iterator[Problem]:
    written, proxy = draft.at("proxy.tenants_per_pair", int), draft.at("proxy.instance_type", str)
    types, _ = known_types(draft)
    if not written or not proxy or proxy.value not in types:
        return
    limits = types[proxy.value]
    if written.value > limits.spare_enis:
        yield written.problem(
            f"is more than {proxy.value} has ENIs for: it takes {limits.enis}, one of them for itself",
            f"write at most {limits.spare_enis}, or choose another type",
        )
