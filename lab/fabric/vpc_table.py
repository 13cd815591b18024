"""The nft table of a VPC's router: 1:1 NAT, NAT gateways and faults."""

from __future__ import annotations

from collections.abc import Iterable

from lab.fabric import conntrack
from lab.fabric.block import Block
from lab.fabric.layout import PublicAddress
from lab.fabric.names import BEFORE_CONNTRACK, INTERNET, TTL_FULL_MARK
from lab.fabric.ruleset import Chain, Elements, Table
from lab.world import Vpc


def packets(
    vpc: Vpc, publics: Iterable[PublicAddress], shared: Iterable[PublicAddress], blocks: Iterable[Block]
) -> Table:
    """Connections are tracked for the NAT alone: what stays in the VPC is not tracked here.

    `shared`: private addresses that go out as a public one that is another's; nothing comes in to them by it.
    """
    outgoing = [*publics, *shared]
    return Table(
        family="ip",
        counters=("blocked", "not_public", "no_such_public"),
        sets={
            "cidrs": Elements(
                "set cidrs { type ipv4_addr; flags interval; }", frozenset(str(cidr) for cidr in vpc.cidrs)
            ),
            "public": Elements("set public { type ipv4_addr; }", frozenset(str(p.public) for p in publics)),
            "may_leave": Elements(
                "set may_leave { type ifname . ipv4_addr; }",
                frozenset(f'"{p.device}" . {p.private}' for p in outgoing),
            ),
            "marks": Elements(
                "map marks { type ipv4_addr : mark; }",
                frozenset(
                    f"{address} : {conntrack.mark(p.public)}"
                    for p in outgoing
                    for address in (p.private, p.public)
                ),
            ),
            "inward": Elements(
                "map inward { type ipv4_addr : ipv4_addr; }",
                frozenset(f"{p.public} : {p.private}" for p in publics),
            ),
            "outward": Elements(
                "map outward { type ipv4_addr : ipv4_addr; }",
                frozenset(f"{p.private} : {p.public}" for p in outgoing),
            ),
        },
        chains={
            "blocks": Chain(tuple(dict.fromkeys(rule for block in blocks for rule in block.rules()))),
            "prerouting": Chain(
                (
                    f"ip ttl 255 meta mark set {TTL_FULL_MARK}",
                    f'iifname "{INTERNET}" ip daddr != @public counter name no_such_public drop',
                    f'iifname "{INTERNET}" accept',
                    "ip daddr @cidrs notrack",
                ),
                hook=f"type filter hook prerouting priority {BEFORE_CONNTRACK};",
            ),
            "forward": Chain(
                (
                    f"meta mark {TTL_FULL_MARK} ip ttl set 255",
                    "jump blocks",
                    f'oifname "{INTERNET}" iifname . ip saddr != @may_leave counter name not_public drop',
                ),
                hook="type filter hook forward priority filter;",
            ),
            "input": Chain((), hook="type filter hook input priority filter; policy drop;"),
            "output": Chain(  # the router speaks in one case: path MTU discovery
                ("icmp type destination-unreachable icmp code 4 accept",),
                hook="type filter hook output priority filter; policy drop;",
            ),
            "remember": Chain(
                (
                    f'iifname "{INTERNET}" ct mark set ip daddr map @marks',
                    f'iifname != "{INTERNET}" ct mark set ip saddr map @marks',
                ),
                hook="type filter hook prerouting priority mangle;",
            ),
            "translate_in": Chain(
                (f'iifname "{INTERNET}" dnat to ip daddr map @inward',),
                hook="type nat hook prerouting priority dstnat;",
            ),
            "translate_out": Chain(
                (f'oifname "{INTERNET}" snat to ip saddr map @outward',),
                hook="type nat hook postrouting priority srcnat;",
            ),
        },
    )
