"""Security groups as nft rules: allow only; what nothing allows falls through to the caller's drop."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from lab.fabric.names import group_set
from lab.world import Eni, Rule, World

ANY = -1
ICMP, TCP, UDP = 1, 6, 17
PORT_MATCHES = {TCP: "tcp dport", UDP: "udp dport"}
EVERYWHERE = IPv4Network("0.0.0.0/0")


def ingress_rules(world: World, eni: Eni) -> tuple[Rule, ...]:
    """The union over the ENI's groups."""
    return tuple(rule for group in groups_of(world, eni) for rule in world.security_groups[group].ingress)


def egress_rules(world: World, eni: Eni) -> tuple[Rule, ...]:
    """The union over the ENI's groups."""
    return tuple(rule for group in groups_of(world, eni) for rule in world.security_groups[group].egress)


def groups_of(world: World, eni: Eni) -> list[str]:
    """The ENI's groups that exist: one may be gone a moment before the ENI that named it."""
    return [group for group in eni.group_ids if group in world.security_groups]


def accepts(rules: Iterable[Rule], peer: str) -> tuple[str, ...]:
    """One nft rule per security-group rule; `peer` is saddr or daddr."""
    return tuple(dict.fromkeys(accept(rule, peer) for rule in rules))


def accept(rule: Rule, peer: str) -> str:
    """`rule` as an nft rule."""
    return " ".join(part for part in (match_peer(rule, peer), match_protocol(rule), "accept") if part)


def match_peer(rule: Rule, peer: str) -> str:
    """The other side: a prefix, or whoever is in a group now."""
    if rule.group_id is not None:
        return f"ip {peer} @{group_set(rule.group_id)}"
    return "" if rule.cidr in (None, EVERYWHERE) else f"ip {peer} {rule.cidr}"


def match_protocol(rule: Rule) -> str:
    """The protocol by number, with ports or ICMP type and code where the rule limits them."""
    if rule.protocol == ANY:
        return ""
    first = ANY if rule.from_port is None else rule.from_port
    last = ANY if rule.to_port is None else rule.to_port
    if rule.protocol == ICMP and first != ANY:
        return f"icmp type {first}" + (f" icmp code {last}" if last != ANY else "")
    if rule.protocol in PORT_MATCHES and first != ANY and (first, last) != (0, 65535):
        return f"{PORT_MATCHES[rule.protocol]} {first}" + (f"-{last}" if last not in (first, ANY) else "")
    return f"ip protocol {rule.protocol}"


def peer_groups(rules: Iterable[Rule]) -> set[str]:
    """Groups that rules name as peers."""
    return {rule.group_id for rule in rules if rule.group_id is not None}


def members(world: World, group_id: str) -> frozenset[IPv4Address]:
    """Every private address of every ENI in the group."""
    return frozenset(
        address for eni in world.enis.values() if group_id in eni.group_ids for address in eni.private_ips
    )
