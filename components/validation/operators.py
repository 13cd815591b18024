"""Rules about where the operator comes from: somewhere, and never from everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, collapse_addresses

from components.validation.draft import At, Draft
from components.validation.problem import Problem
from components.validation.ranges import WIDEST, nested, unusable

_KEY = "access.operator_cidrs"
_MOST = 2 ** (32 - WIDEST)  # addresses of all networks together: what one of the widest has
_WAY_OUT = "name the addresses that the operator comes from, such as 203.0.113.7/32"


def check(draft: Draft) -> Iterator[Problem]:
    """Networks that leave the operator out, or let others in."""
    if draft.has(_KEY) and not draft.each(_KEY):
        yield Problem(
            key=_KEY,
            value="[]",
            rule="nobody could log in, and hosts could not be configured",
            way_out="list where the operator comes from, such as [203.0.113.7/32]",
        )
    networks = list(draft.all_at(_KEY, IPv4Network))
    for network in networks:
        yield from _each(network)
    yield from _twice(networks)
    fit = [network for network in networks if not any(_each(network))]
    yield from _together([network.value for network in fit])


def _each(network: At[IPv4Network]) -> Iterator[Problem]:
    if network.value.prefixlen < WIDEST:
        yield network.problem(
            f"is too wide: SSH is never open to everyone, nor to a prefix shorter than /{WIDEST}", _WAY_OUT
        )
    elif special := unusable(network.value):
        yield network.problem(f"overlaps {special}: nobody comes from there", _WAY_OUT)


def _twice(networks: list[At[IPv4Network]]) -> Iterator[Problem]:
    for inner, outer in nested(networks):
        same = inner.value == outer.value
        yield inner.problem(
            f"is also {outer.key}" if same else f"is a part of {outer.key}, which is {outer.value}",
            "leave one of the two out",
        )


def _together(networks: list[IPv4Network]) -> Iterator[Problem]:
    """Parts of everything are everything, too."""
    addresses = sum(each.num_addresses for each in collapse_addresses(networks))
    if addresses > _MOST:
        yield Problem(
            key=_KEY,
            value=f"{len(networks)} networks",
            rule=f"are too wide together: of {addresses:,} addresses, and SSH is open to at most {_MOST:,}, as many "
            f"as one /{WIDEST} has",
            way_out=_WAY_OUT,
        )
