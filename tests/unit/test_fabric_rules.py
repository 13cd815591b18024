"""Security-group rules as nft text, and nft tables by difference."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from lab.fabric.groups import accept, accepts
from lab.fabric.ruleset import Chain, Elements, Table, script
from lab.world import Rule

NET = IPv4Network("10.0.0.0/16")
EVERYWHERE = IPv4Network("0.0.0.0/0")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(protocol=-1, cidr=EVERYWHERE), "accept"),
        (Rule(protocol=-1, cidr=NET), "ip saddr 10.0.0.0/16 accept"),
        (Rule(protocol=47, cidr=NET), "ip saddr 10.0.0.0/16 ip protocol 47 accept"),
        (Rule(protocol=112, group_id="sg-0a"), "ip saddr @members_sg_0a ip protocol 112 accept"),
        (Rule(protocol=6, from_port=22, to_port=22, cidr=EVERYWHERE), "tcp dport 22 accept"),
        (Rule(protocol=17, from_port=1, to_port=9, cidr=EVERYWHERE), "udp dport 1-9 accept"),
        (Rule(protocol=6, from_port=0, to_port=65535, cidr=EVERYWHERE), "ip protocol 6 accept"),
        (Rule(protocol=6, from_port=-1, to_port=-1, cidr=EVERYWHERE), "ip protocol 6 accept"),
        (Rule(protocol=6, cidr=EVERYWHERE), "ip protocol 6 accept"),
        (Rule(protocol=1, from_port=-1, to_port=-1, cidr=EVERYWHERE), "ip protocol 1 accept"),
        (Rule(protocol=1, from_port=3, to_port=4, cidr=EVERYWHERE), "icmp type 3 icmp code 4 accept"),
        (Rule(protocol=1, from_port=3, to_port=-1, cidr=EVERYWHERE), "icmp type 3 accept"),
        (Rule(protocol=1, from_port=0, to_port=0, cidr=EVERYWHERE), "icmp type 0 icmp code 0 accept"),
    ],
)
def test_a_rule_as_nft_says_it(rule: Rule, expected: str) -> None:
    assert accept(rule, "saddr") == expected


def test_the_same_rule_of_two_groups_is_written_once() -> None:
    rule = Rule(protocol=-1, cidr=NET)
    assert accepts([rule, rule], "daddr") == ("ip daddr 10.0.0.0/16 accept",)


def table(members: set[str], rules: tuple[str, ...]) -> Table:
    """A set, a chain and a hook."""
    return Table(
        family="ip",
        counters=("lost",),
        sets={"own": Elements("set own { type ipv4_addr; }", frozenset(members))},
        chains={
            "some": Chain(rules),
            "forward": Chain(("jump some",), hook="type filter hook forward priority filter;"),
        },
    )


OLD = table({"10.0.0.1", "10.0.0.2"}, ("accept",))


def test_a_fresh_table_is_written_whole_and_in_order() -> None:
    assert script(None, OLD).splitlines() == [
        "add table ip fabric",
        "add counter ip fabric lost",
        "add set ip fabric own { type ipv4_addr; }",
        "add element ip fabric own { 10.0.0.1, 10.0.0.2 }",
        "add chain ip fabric some",
        "add rule ip fabric some accept",
        "add chain ip fabric forward { type filter hook forward priority filter; }",
        "add rule ip fabric forward jump some",
    ]


def test_nothing_changed_nothing_written() -> None:
    assert script(OLD, table({"10.0.0.2", "10.0.0.1"}, ("accept",))) == ""


def test_a_set_loses_and_gains_elements_only() -> None:
    assert script(OLD, table({"10.0.0.2", "10.0.0.3"}, ("accept",))).splitlines() == [
        "delete element ip fabric own { 10.0.0.1 }",
        "add element ip fabric own { 10.0.0.3 }",
    ]


def test_a_set_that_rules_need_comes_first_and_goes_last() -> None:
    more = table({"10.0.0.1", "10.0.0.2"}, ("ip saddr @friends accept",))
    more = replace(more, sets=more.sets | {"friends": Elements("set friends { type ipv4_addr; }")})
    there = [
        "add set ip fabric friends { type ipv4_addr; }",
        "flush chain ip fabric some",
        "add rule ip fabric some ip saddr @friends accept",
    ]
    back = ["flush chain ip fabric some", "add rule ip fabric some accept", "delete set ip fabric friends"]
    assert script(OLD, more).splitlines() == there
    assert script(more, OLD).splitlines() == back


def test_hooks_are_fixed() -> None:
    with pytest.raises(ValueError, match="fixed"):
        script(OLD, replace(OLD, counters=()))
