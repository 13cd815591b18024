"""One live network namespace: what is in it, and the handles that change it.

Everything here runs in the fabric's own thread: netlink sockets of pyroute2 belong to a thread.
"""

from __future__ import annotations

import asyncio
import os
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyroute2 import IPRoute

from lab.fabric import netns
from lab.fabric.layout import PolicyRule, PublicAddress, Route, RouteKind
from lab.fabric.names import INTERNET_NAMESPACE, NEXT_HOP, ROUTER_MAC, TAP, VPC_MTU
from lab.fabric.nft import Nft
from lab.fabric.ruleset import Table
from lab.fabric.sysctl import LIBERAL_TRACKING, ROUTER, keep_ttl, sysctl
from lab.fabric.tap import make_persistent_tap

IFF_UP, IFF_NOARP = 0x1, 0x80
RTNH_F_ONLINK = 4
LOOPBACK_INDEX = 1


class LiveNamespace:
    """A namespace and what this process has put into it; each change is noted when the kernel took it."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, *, keeps_ttl: bool) -> None:
        self.name = name
        self.fd = netns.here() if name == INTERNET_NAMESPACE else netns.create(name)
        self.addresses: set[IPv4Address] = set()
        self.routes: dict[tuple[int, IPv4Network], Route] = {}
        self.rules: set[PolicyRule] = set()
        self.tables: dict[str, Table] = {}
        self.nat: frozenset[PublicAddress] = frozenset()
        self.tap_mac: str | None = None
        self._indexes: dict[str, int] = {}
        self._nft: Nft | None = None
        with netns.entered(self.fd):
            self.ip = IPRoute(use_event_loop=loop)
        try:
            self._become_router(keeps_ttl)
        except BaseException:
            self.close()
            raise

    def _become_router(self, keeps_ttl: bool) -> None:
        with netns.entered(self.fd):
            for key, value in ROUTER.items():
                sysctl(key, value)
            if keeps_ttl:
                keep_ttl()
        self.ip.link("set", index=LOOPBACK_INDEX, state="up")

    @property
    def nft(self) -> Nft:
        """The context of libnftables in this namespace."""
        if self._nft is None:
            with netns.entered(self.fd):
                self._nft = Nft()
        return self._nft

    def track_liberally(self) -> None:
        """Call when connection tracking is in use here, which is when its sysctls appear."""
        with netns.entered(self.fd):
            sysctl(LIBERAL_TRACKING, "1")

    def close(self) -> None:
        """Let go of the namespace; a named one ends with that."""
        self.ip.close()
        if self._nft is not None:
            self._nft.close()
        if self.name != INTERNET_NAMESPACE:
            netns.remove(self.name)
        os.close(self.fd)

    def index(self, device: str) -> int:
        """The interface index of a device."""
        if device not in self._indexes:
            (self._indexes[device],) = self.ip.link_lookup(ifname=device)
        return self._indexes[device]

    def up_without_arp(self, device: str) -> None:
        """Bring one end of a veth pair up."""
        self.ip.link("set", index=self.index(device), flags=IFF_UP | IFF_NOARP, change=IFF_UP | IFF_NOARP)

    def delete_link(self, device: str) -> None:
        """Delete a device; its peer goes too."""
        self.ip.link("del", index=self.index(device))

    def forget_device(self, device: str) -> None:
        """The device is gone, and with it, by the kernel's doing, the routes that used it."""
        self._indexes.pop(device, None)
        self.routes = {key: route for key, route in self.routes.items() if route.device != device}

    def add_tap(self, guest_mac: str) -> None:
        """The tap, its proxy ARP without delay, and the one permanent way to the guest's MAC."""
        with netns.entered(self.fd):
            make_persistent_tap(TAP)
            sysctl(f"ipv4/conf/{TAP}/proxy_arp", "1")
            sysctl(f"ipv4/neigh/{TAP}/proxy_delay", "0")
        self.ip.link("set", index=self.index(TAP), address=ROUTER_MAC, mtu=VPC_MTU, state="up")
        self.ip.neigh(
            "replace", dst=str(NEXT_HOP), lladdr=guest_mac, ifindex=self.index(TAP), state="permanent"
        )
        self.tap_mac = guest_mac

    def remove_tap(self) -> None:
        """Delete the tap, also from under a machine that still has it open."""
        self.delete_link(TAP)
        self.forget_device(TAP)
        self.tap_mac = None

    def set_table(self, script: str, table: Table) -> None:
        """Run the script that makes the kernel's table equal to `table`."""
        self.nft.run(script)
        self.tables[table.family] = table

    def add_address(self, address: IPv4Address) -> None:
        """A /32 on lo."""
        self.ip.addr("replace", index=LOOPBACK_INDEX, address=str(address), prefixlen=32)
        self.addresses.add(address)

    def remove_address(self, address: IPv4Address) -> None:
        """Undo add_address."""
        self.ip.addr("del", index=LOOPBACK_INDEX, address=str(address), prefixlen=32)
        self.addresses.discard(address)

    def set_route(self, route: Route) -> None:
        """Add a route, or put it in the place of the one with its key."""
        arguments: dict[str, Any] = {"dst": str(route.destination), "table": route.table}
        if route.kind is RouteKind.UNICAST:
            assert route.device is not None  # noqa: S101 - a unicast route has one
            arguments |= {"oif": self.index(route.device), "gateway": str(NEXT_HOP), "flags": RTNH_F_ONLINK}
            if route.source is not None:
                arguments["prefsrc"] = str(route.source)
        else:
            arguments["type"] = route.kind.value
        self.ip.route("replace", **arguments)
        self.routes[route.key] = route

    def remove_route(self, route: Route) -> None:
        """Undo set_route."""
        self.ip.route("del", dst=str(route.destination), table=route.table, type=route.kind.value)
        del self.routes[route.key]

    def add_rule(self, rule: PolicyRule) -> None:
        """A policy routing rule."""
        self.ip.rule("add", **rule_arguments(rule))
        self.rules.add(rule)

    def remove_rule(self, rule: PolicyRule) -> None:
        """Undo add_rule."""
        self.ip.rule("del", **rule_arguments(rule))
        self.rules.discard(rule)


def rule_arguments(rule: PolicyRule) -> dict[str, Any]:
    """As pyroute2 names them."""
    device = {} if rule.device is None else {"iifname": rule.device}
    return {"table": rule.table, "priority": rule.priority, **device}


def make_wire(one: tuple[LiveNamespace, str], other: tuple[LiveNamespace, str], mtu: int) -> None:
    """A veth pair between two namespaces, up. Same MAC, no ARP: whatever one end sends is for the other."""
    (here, device), (there, peer) = one, other
    here.ip.link(
        "add",
        kind="veth",
        ifname=device,
        mtu=mtu,
        address=ROUTER_MAC,
        peer={"ifname": peer, "mtu": mtu, "address": ROUTER_MAC, "net_ns_fd": there.fd},
    )
    try:
        here.up_without_arp(device)
        there.up_without_arp(peer)
    except BaseException:
        here.delete_link(device)
        here.forget_device(device)
        there.forget_device(peer)
        raise
