"""Rules about redundancy: what a pair needs besides a second proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from components.plan import ApiWay, Redundancy
from components.validation.draft import Draft
from components.validation.problem import Problem, missing

PLATFORM = "platform"  # the name of the HaVip that is no tenant's
DEFAULT = Redundancy.PAIR


def proxies(draft: Draft) -> int:
    """How many there will be; one where that cannot be read."""
    redundancy = _redundancy(draft)
    return redundancy.proxies if redundancy else 1


def check(draft: Draft) -> Iterator[Problem]:
    """Keys of a pair that are missing. With one proxy they may stand there too, so that one key makes a pair of it."""
    if _redundancy(draft) is Redundancy.PAIR:
        yield from _complete(draft)
        yield from _names(draft)
        yield from _endpoint(draft)


def _redundancy(draft: Draft) -> Redundancy | None:
    """What stands there, or the default; None where that cannot be read."""
    written = draft.at("redundancy", Redundancy)
    if written:
        return written.value
    return DEFAULT if draft.lacks("redundancy") else None


def _complete(draft: Draft) -> Iterator[Problem]:
    if draft.lacks("proxy.havip"):
        yield missing(
            "proxy.havip",
            "is required with redundancy pair, the default: the address in platform.proxy_subnet that the active proxy "
            "holds, and that tunnels lead to",
            "add it, such as havip: 192.168.4.100; or set redundancy to single",
        )
    if draft.lacks("api"):
        yield missing(
            "api",
            "is required with redundancy pair, the default: how proxies reach the EC2 API, by which addresses move",
            "add it, such as api: {way: endpoint, endpoint_address: 192.168.4.200}; or set redundancy to single",
        )
    for tenant in draft.each("tenants"):
        existing = any(draft.has(f"{tenant}.{key}") for key in ("vpc_id", "subnet_id", "subnet_ids"))
        if draft.lacks(f"{tenant}.havip") and existing and not draft.has(f"{tenant}.create"):
            yield missing(
                f"{tenant}.havip",
                "is required with redundancy pair in an existing network: the address in its subnet that the active "
                "proxy holds, and that connections come from",
                "add one that nothing else has, nor will get",
            )


def _endpoint(draft: Draft) -> Iterator[Problem]:
    way, key = draft.at("api.way", ApiWay), "api.endpoint_address"
    if way and way.value is ApiWay.ENDPOINT and draft.lacks(key):
        yield missing(
            key,
            "is required with api.way endpoint: the endpoint's address in platform.proxy_subnet",
            "add it, such as endpoint_address: 192.168.4.200",
        )
    if way and way.value is ApiWay.OWN and draft.has(key):
        yield draft.anything_at(key).problem(
            "is of no use with api.way own: the stack makes no endpoint then",
            "leave it out, or set api.way to endpoint",
        )


def _names(draft: Draft) -> Iterator[Problem]:
    for tenant in draft.each("tenants"):
        name = draft.at(f"{tenant}.name", str)
        if name and re.fullmatch(rf"{PLATFORM}(-[0-9]+)?", name.value):
            yield name.problem("is what a pair calls its address in the platform VPC", "rename the tenant")
