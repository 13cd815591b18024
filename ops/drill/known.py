"""Whether a proxy knows what the other one knows: connections, each with its translation."""

from __future__ import annotations

import re

from ops.answer import plain
from ops.stack import Stack

# One entry of `conntrack -L`: what it looks like from the func host, and from the tenant.
ENTRY = re.compile(r"src=\S+ dst=\S+ sport=\d+ dport=\d+")


def unknown_connections(stack: Stack, namespace: str, knower: str, other: str) -> tuple[int, list[str]]:
    """How many established TCP connections `other` has all the while, and those of them that `knower` has not.

    One that it has with another translation is one that it has not.
    """
    before = _established(stack, namespace, other)
    known = _established(stack, namespace, knower)
    lasting = before & _established(stack, namespace, other)
    return len(lasting), sorted(lasting - known)


def _established(stack: Stack, namespace: str, host: str) -> set[str]:
    listed = stack.hosts.succeed(
        host, f"sudo -n ip netns exec {namespace} conntrack -L -p tcp --state ESTABLISHED 2>/dev/null"
    )
    return {" ⇄ ".join(ENTRY.findall(line)) for line in plain(listed).splitlines()}
