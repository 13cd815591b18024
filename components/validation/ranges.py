"""Arithmetic of IPv4 ranges as AWS sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from components.validation.draft import At
from components.validation.problem import Problem

LARGEST, SMALLEST = 16, 28  # prefix lengths of a VPC and of a subnet (AWS, "VPC CIDR blocks")
WIDEST = 8  # prefix length; nothing wider is one operator's or one customer's
WIDEST_ON_A_BRIDGE = (
    20  # a container can have the host look for every address of its bridge's, at 65,536 together
)
_HOLDS_TWO = 30  # prefix length of the smallest range with two host addresses
FIRST_FREE = 4  # AWS keeps a subnet's first four addresses, and the last one

_UNUSABLE = {
    IPv4Network("0.0.0.0/8"): "this network",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("169.254.0.0/16"): "link-local; the metadata service is there",
    IPv4Network("224.0.0.0/4"): "multicast, which a VPC does not have",
    IPv4Network("240.0.0.0/4"): "reserved",
}


def unusable(network: IPv4Network) -> str | None:
    """Why hosts cannot have addresses there, if so: the first special range that overlaps it."""
    for special, purpose in _UNUSABLE.items():
        if special.overlaps(network):
            return f"{special} ({purpose})"
    return None


def sized(
    network: At[IPv4Network], two: str, room: str, most: str, widest: int = WIDEST
) -> Iterator[Problem]:
    """A range that cannot hold the `two` that need an address each, or is wider than anybody's.

    `room`: how to choose one that can; `most`: what a usual one has room for.
    """
    if network.value.prefixlen > _HOLDS_TWO:
        yield network.problem(f"is too small: {two} need two host addresses", room)
    if network.value.prefixlen < widest:
        yield network.problem(f"is too wide: at most /{widest}", most)


def free(subnet: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    """First and last address of an AWS subnet that a host may have. The subnet has at least 6 addresses."""
    return subnet[FIRST_FREE], subnet[-2]


def nested(networks: Iterable[At[IPv4Network]]) -> Iterator[tuple[At[IPv4Network], At[IPv4Network]]]:
    """Pairs (a network, the smallest other one that contains it or is equal to it), in n log n.

    Of equal ones the earlier contains. Two prefixes either nest or are disjoint, so a stack is enough.
    """
    numbered = list(networks)
    in_order = sorted(
        range(len(numbered)),
        key=lambda n: (numbered[n].value.network_address, numbered[n].value.prefixlen, n),
    )
    around: list[At[IPv4Network]] = []
    for number in in_order:
        network = numbered[number]
        while around and not network.value.subnet_of(around[-1].value):
            around.pop()
        if around:
            yield network, around[-1]
        around.append(network)
