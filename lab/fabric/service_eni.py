"""The namespace of an ENI behind which there is no guest: a service of AWS's answers in it, as at a VPC endpoint."""

from __future__ import annotations

from ipaddress import IPv4Network

from lab.fabric import groups
from lab.fabric.eni import COUNTERS, address_sets
from lab.fabric.layout import Namespace, PolicyRule, Route
from lab.fabric.names import BEFORE_CONNTRACK, FROM_SERVICE_TABLE, VPC
from lab.fabric.ruleset import Chain, Table
from lab.world import Eni, World


def namespace(world: World, eni: Eni) -> Namespace:
    """Its addresses are the namespace's own: who listens in here is reached at them."""
    everything = IPv4Network("0.0.0.0/0")
    return Namespace(
        name=eni.id,
        addresses=frozenset(eni.private_ips),
        routes=frozenset({Route(table=FROM_SERVICE_TABLE, destination=everything, device=VPC)}),
        rules=frozenset({PolicyRule(priority=100, table=FROM_SERVICE_TABLE)}),
        tables=(packets(world, eni),),
    )


def packets(world: World, eni: Eni) -> Table:
    """Security groups. A VPC endpoint takes TCP only, and begins no connection."""
    ingress = groups.ingress_rules(world, eni)
    return Table(
        family="ip",
        counters=COUNTERS,
        sets=address_sets(world, eni, ingress),
        chains={
            "ingress": Chain(groups.accepts(ingress, "saddr")),
            "prerouting": Chain(
                ("ip daddr != @own counter name misdelivered drop",),
                hook=f"type filter hook prerouting priority {BEFORE_CONNTRACK};",
            ),
            "forward": Chain((), hook="type filter hook forward priority filter; policy drop;"),
            "input": Chain(
                (
                    "ct state established,related accept",
                    f'iifname "{VPC}" meta l4proto tcp jump ingress',
                    "counter name ingress_denied drop",
                ),
                hook="type filter hook input priority filter; policy drop;",
            ),
            "output": Chain(
                ("ct state established,related accept",),
                hook="type filter hook output priority filter; policy drop;",
            ),
        },
    )
