"""What the kernel should hold, as frozen plain data: made from a world, compared with what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from lab.fabric.ruleset import Table


class RouteKind(StrEnum):
    """Route types, by their netlink names."""

    UNICAST = "unicast"
    THROW = "throw"  # go on with the next policy rule
    BLACKHOLE = "blackhole"  # drop, and tell nobody


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route; a unicast one leads to the other end of `device`."""

    table: int
    destination: IPv4Network
    kind: RouteKind = RouteKind.UNICAST
    device: str | None = None
    source: IPv4Address | None = None  # of packets that this namespace itself sends there

    @property
    def key(self) -> tuple[int, IPv4Network]:
        """What a table can hold only once."""
        return (self.table, self.destination)


@dataclass(frozen=True, kw_only=True, order=True)
class PolicyRule:
    """Which table a packet from `device` (None: from anywhere) is looked up in."""

    priority: int
    table: int
    device: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tap:
    """The guest's end of an ENI's namespace; `guest_mac` is the ENI's own."""

    guest_mac: str


@dataclass(frozen=True, kw_only=True, order=True)
class End:
    """One end of a veth pair."""

    namespace: str
    device: str


@dataclass(frozen=True, kw_only=True, order=True)
class Wire:
    """A veth pair."""

    one: End
    other: End
    mtu: int


@dataclass(frozen=True, kw_only=True)
class PublicAddress:
    """A 1:1 NAT: the ENI behind `device` has `private`, and the internet knows it as `public`."""

    device: str
    private: IPv4Address
    public: IPv4Address


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """One network namespace."""

    name: str
    addresses: frozenset[IPv4Address] = frozenset()  # /32, on lo
    routes: frozenset[Route] = frozenset()
    rules: frozenset[PolicyRule] = frozenset()
    tables: tuple[Table, ...] = ()
    tap: Tap | None = None
    keeps_ttl: bool = True
    nat: frozenset[PublicAddress] = frozenset()  # what `tables` translate


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Everything."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    wires: frozenset[Wire] = frozenset()
