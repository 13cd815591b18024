"""The namespace of an ENI: what may pass between a guest and its VPC's router."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from lab.fabric import groups
from lab.fabric.layout import Namespace, PolicyRule, Route, RouteKind, Tap
from lab.fabric.names import (
    BEFORE_CONNTRACK,
    FROM_GUEST_TABLE,
    IMDS_ADDRESS,
    LINK_LOCAL,
    TAP,
    TO_GUEST_TABLE,
    TTL_FULL_MARK,
    VPC,
    group_set,
)
from lab.fabric.ruleset import Chain, Elements, Table
from lab.world import Eni, Rule, World

COUNTERS = ("spoofed", "misdelivered", "ingress_denied", "egress_denied")


def namespace(world: World, eni: Eni) -> Namespace:
    """Everything in the namespace of one ENI."""
    return Namespace(
        name=eni.id,
        addresses=frozenset({IMDS_ADDRESS}),
        routes=frozenset(routes(eni)),
        rules=frozenset(
            {
                PolicyRule(priority=100, table=FROM_GUEST_TABLE, device=TAP),
                PolicyRule(priority=200, table=TO_GUEST_TABLE),  # from the router, and IMDS's answers
            }
        ),
        tables=(packets(world, eni), arp(eni)),
        tap=Tap(guest_mac=eni.mac),
    )


def routes(eni: Eni) -> list[Route]:
    """From the guest everything to the router, from there everything to the guest.

    Blackholes are what proxy ARP must not answer for: the guest's own addresses, lest it sees a conflict when
    it announces one, and link-local ones, which it chooses itself.
    """
    everything = IPv4Network("0.0.0.0/0")
    own = [*(IPv4Network(address) for address in eni.private_ips), LINK_LOCAL]
    return [
        Route(table=FROM_GUEST_TABLE, destination=everything, device=VPC),
        *(Route(table=FROM_GUEST_TABLE, destination=net, kind=RouteKind.BLACKHOLE) for net in own),
        Route(table=TO_GUEST_TABLE, destination=everything, device=TAP),
    ]


def packets(world: World, eni: Eni) -> Table:
    """MAC and source/dest check, security groups, IMDS. The table of the ENI's own connection tracking."""
    ingress, egress = groups.ingress_rules(world, eni), groups.egress_rules(world, eni)
    return Table(
        family="ip",
        counters=COUNTERS,
        sets=address_sets(world, eni, (*ingress, *egress)),
        chains={
            "from_guest": Chain(from_guest(eni)),
            "to_guest": Chain(to_guest(eni)),
            "ingress": Chain(groups.accepts(ingress, "saddr")),
            "egress": Chain(groups.accepts(egress, "daddr")),
            "prerouting": Chain(
                (
                    f"ip ttl 255 meta mark set {TTL_FULL_MARK}",
                    f'iifname "{TAP}" jump from_guest',
                    f'iifname "{VPC}" jump to_guest',
                ),
                hook=f"type filter hook prerouting priority {BEFORE_CONNTRACK};",
            ),
            "forward": Chain(
                (
                    f"meta mark {TTL_FULL_MARK} ip ttl set 255",
                    "ct state established,related accept",
                    f'iifname "{VPC}" jump ingress',
                    f'iifname "{VPC}" counter name ingress_denied drop',
                    f'iifname "{TAP}" jump egress',
                    f'iifname "{TAP}" counter name egress_denied drop',
                ),
                hook="type filter hook forward priority filter; policy drop;",
            ),
            "input": Chain(
                (
                    f'iifname "{TAP}" ip daddr {IMDS_ADDRESS} tcp dport 80 accept',
                    # what the operator's console began, see Fabric.connect
                    f'iifname "{TAP}" ip daddr {IMDS_ADDRESS} meta l4proto tcp ct state established accept',
                ),
                hook="type filter hook input priority filter; policy drop;",
            ),
            "output": Chain(  # the namespace itself is invisible: no ICMP errors of its own
                (f"ip saddr {IMDS_ADDRESS} meta l4proto tcp accept",),
                hook="type filter hook output priority filter; policy drop;",
            ),
        },
    )


def address_sets(world: World, eni: Eni, rules: Iterable[Rule]) -> dict[str, Elements]:
    """The ENI's own addresses, and those of every group that rules name as a peer."""
    own = Elements("set own { type ipv4_addr; }", frozenset(map(str, eni.private_ips)))
    return {"own": own} | {
        group_set(peer): Elements(
            f"set {group_set(peer)} {{ type ipv4_addr; }}",
            frozenset(map(str, groups.members(world, peer))),
        )
        for peer in sorted(groups.peer_groups(rules))
    }


def from_guest(eni: Eni) -> tuple[str, ...]:
    """Source check. A link-local source (a guest that does not know its address yet) reaches IMDS only."""
    check = ("ip saddr != @own counter name spoofed drop",) if eni.source_dest_check else ()
    return (
        f"ether saddr != {eni.mac} counter name spoofed drop",
        f"ip saddr {LINK_LOCAL} ip daddr {IMDS_ADDRESS} return",
        f"ip saddr {LINK_LOCAL} counter name spoofed drop",
        *check,
    )


def to_guest(eni: Eni) -> tuple[str, ...]:
    """Destination check."""
    check = ("ip daddr != @own counter name misdelivered drop",) if eni.source_dest_check else ()
    return (f"ip daddr {LINK_LOCAL} counter name misdelivered drop", *check)


def arp(eni: Eni) -> Table:
    """A guest may ask for anything, under its own MAC only."""
    rule = f'iifname "{TAP}" arp saddr ether != {eni.mac} counter name spoofed drop'
    return Table(
        family="arp",
        counters=("spoofed",),
        chains={"input": Chain((rule,), hook="type filter hook input priority filter;")},
    )
