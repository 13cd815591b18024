"""Make what is live equal to a layout, by difference."""

from __future__ import annotations

import asyncio

from lab.fabric import conntrack
from lab.fabric.layout import Layout, Namespace, Wire
from lab.fabric.live import LiveNamespace, make_wire
from lab.fabric.names import INTERNET_NAMESPACE
from lab.fabric.ruleset import script


class Reconciler:
    """Holds everything that is live. Not thread-safe, and bound to the thread that uses it.

    What a failed run has done is known, so the next run starts from there.
    """

    def __init__(self) -> None:
        self.live: dict[str, LiveNamespace] = {}
        self._wires: set[Wire] = set()
        self._loop = asyncio.new_event_loop()

    def apply(self, layout: Layout) -> None:
        """Cut what must go, filter, then connect: no packet passes before its filter is there."""
        for wire in sorted(self._wires - layout.wires):
            self._cut(wire)
        for name, namespace in layout.namespaces.items():
            if name not in self.live:
                self.live[name] = LiveNamespace(name, self._loop, keeps_ttl=namespace.keeps_ttl)
            self._filter(self.live[name], namespace)
        for name in [name for name in self.live if name not in layout.namespaces]:
            self._end(name)
        for wire in sorted(layout.wires - self._wires):
            make_wire(
                (self.live[wire.one.namespace], wire.one.device),
                (self.live[wire.other.namespace], wire.other.device),
                wire.mtu,
            )
            self._wires.add(wire)
        for name, namespace in layout.namespaces.items():
            self._connect(self.live[name], namespace)

    def close(self) -> None:
        """Undo everything; the internet's namespace is the process's own and stays."""
        own = {INTERNET_NAMESPACE: Namespace(name=INTERNET_NAMESPACE, keeps_ttl=False)}
        self.apply(Layout(namespaces=own))
        for live in self.live.values():
            live.close()
        self.live.clear()
        self._loop.close()

    def _cut(self, wire: Wire) -> None:
        one, other = self.live[wire.one.namespace], self.live[wire.other.namespace]
        one.delete_link(wire.one.device)
        one.forget_device(wire.one.device)
        other.forget_device(wire.other.device)
        self._wires.discard(wire)

    def _end(self, name: str) -> None:
        live = self.live[name]
        if live.tap_mac is not None:
            live.remove_tap()
        live.close()
        del self.live[name]

    def _filter(self, live: LiveNamespace, wanted: Namespace) -> None:
        fresh = not live.tables
        for table in wanted.tables:
            if changes := script(live.tables.get(table.family), table):
                live.set_table(changes, table)
        if fresh and wanted.tables:
            live.track_liberally()
        if gone := live.nat - wanted.nat:
            conntrack.forget(live.fd, {address.public for address in gone})
        live.nat = wanted.nat

    def _connect(self, live: LiveNamespace, wanted: Namespace) -> None:
        if live.tap_mac is not None and (wanted.tap is None or wanted.tap.guest_mac != live.tap_mac):
            live.remove_tap()
        if wanted.tap is not None and live.tap_mac is None:
            live.add_tap(wanted.tap.guest_mac)
        for rule in sorted(live.rules - wanted.rules, key=str):
            live.remove_rule(rule)
        for address in sorted(wanted.addresses - live.addresses):
            live.add_address(address)
        keys = {route.key for route in wanted.routes}
        for route in [route for key, route in live.routes.items() if key not in keys]:
            live.remove_route(route)
        for route in wanted.routes:
            if live.routes.get(route.key) != route:
                live.set_route(route)
        for address in sorted(live.addresses - wanted.addresses):
            live.remove_address(address)
        for rule in sorted(wanted.rules - live.rules, key=str):
            live.add_rule(rule)
