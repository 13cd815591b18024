"""Rules about where the operator comes from: somewhere, and never from everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, collapse_addresses

from components.plan import AccessMode
from components.validation.draft import At, Draft
from components.validation.problem import Problem
from components.validation.quota import operators_fit
from components.validation.ranges import WIDEST, nested, unusable

_KEY = "access.operator_cidrs"
_MOST = 2 ** (32 - WIDEST)  # addresses of all networks together: what one of the widest has
_WAY_OUT = "name the addresses that the operator comes from, such as 203.0.113.7/32"


def check(draft: Draft) -> Iterator[Problem]:
    """Networks that leave the operator out, or let others in."""
    yield from draft.empty(
        _KEY,
        "nobody could log in, and hosts could not be configured",
        "list where the operator comes from, such as [203.0.113.7/32]",
    )
    yield from operators_fit(draft)
    networks = list(draft.all_at(_KEY, IPv4Network))
    for network in networks:
        yield from _each(network)
    yield from _twice(networks)
    fit = [network for network in networks if not any(_each(network))]
    yield from _together([network.value for network in fit])
    yield from _elsewhere(draft, fit)


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


def _elsewhere(draft: Draft, operators: list[At[IPv4Network]]) -> Iterator[Problem]:
    """Operators come from outside of the networks that the stack has addresses in, or routes to."""
    platform = draft.at("platform.vpc_cidr", IPv4Network)
    for network in operators:
        if platform and network.value.overlaps(platform.value):
            yield network.problem(
                f"overlaps {platform.key}, which is {platform.value}: func hosts could log in to every host, and "
                "nobody outside has these addresses",
                _WAY_OUT,
            )
    mode = draft.at("access.mode", AccessMode)
    if mode and mode.value is AccessMode.BASTION:
        return  # the bastion has no tunnels
    ours, told = {network.key for network in operators}, set()
    for pair in nested((*operators, *_behind_tunnels(draft))):
        for network, other in (pair, reversed(pair)):
            if network.key in ours and other.key not in ours and network.key not in told:
                told.add(network.key)
                yield network.problem(
                    f"overlaps {other.key}, which is {other.value}: hosts send their answers to that, so that "
                    "nobody could log in from there",
                    f"{_WAY_OUT}, and none of a tenant's network or of containers",
                )


def _behind_tunnels(draft: Draft) -> Iterator[At[IPv4Network]]:
    """What a func host sends into a tunnel or to its containers, and a user instance to its own VPC."""
    for tenant in draft.each("tenants"):
        for key in ("create.vpc_cidr", "overlay.cidr"):
            if network := draft.at(f"{tenant}.{key}", IPv4Network):
                yield network
        yield from draft.all_at(f"{tenant}.cidrs", IPv4Network)
        if network := draft.at(f"{tenant}.container_cidr", IPv4Network):
            yield network
    if network := draft.at("func_hosts.pod_cidr", IPv4Network):
        yield network
