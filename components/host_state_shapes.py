"""The shapes of desired state, per concern: a contract with `hostscripts/`.

Field names are the keys of the JSON in /etc/causeway. Addresses are text, some with a prefix length.
"""

from __future__ import annotations

from typing import TypedDict


class PackagesState(TypedDict):
    """Debian packages that a host needs, and whether it may fetch missing ones."""

    install: bool
    packages: list[str]


class PeerRange(TypedDict):
    """Func hosts as the proxy knows them: so many, of which the first has these addresses, and each next one the next.

    One address is in the overlay, one in the platform VPC.
    """

    overlay: str
    underlay: str
    count: int


class Tunnel(TypedDict):
    """One tenant's tunnel device. Func hosts have a remote; proxies have peers and keep it in a namespace."""

    tenant: str
    namespace: str | None
    device: str
    key: int
    remote: str | None
    address: str
    peers: list[PeerRange]


class TunnelState(TypedDict):
    """All tunnel devices of a host. Outer source of a device with a remote is `own`, else `local`.

    `own` is the host's primary address; `local` is another one on a pair's proxies only: the platform HaVip. Sync links
    are GRE whatever `tunnel_kind` is.
    """

    own: str
    local: str
    underlay_mtu: int
    tunnel_kind: str
    tunnels: list[Tunnel]


class InputState(TypedDict):
    """What a proxy's root namespace is open to: its primary NIC. `user_enis`: MACs of NICs to come."""

    local: str
    func_subnet: str
    user_enis: list[str]


class UserEni(TypedDict):
    """A user ENI, found by its MAC. Without `address` it has the one that AWS chose."""

    name: str
    namespace: str
    device: str
    mac: str
    address: str | None
    destinations: list[str]


class UserEniState(TypedDict):
    """All user ENIs of a proxy."""

    tenants: list[UserEni]


class Forward(TypedDict):
    """What a proxy lets pass for a tenant: new connections from the overlay to the destinations only."""

    tenant: str
    namespace: str
    tunnel: str
    user: str
    overlay: str
    destinations: list[str]


class ForwardState(TypedDict):
    """Forwarding of a proxy."""

    tenants: list[Forward]


class Nat(TypedDict):
    """Source NAT of one tenant; without `snat_to` to the primary address of the user device."""

    tenant: str
    namespace: str
    user: str
    overlay: str
    snat_to: str | None


class NatState(TypedDict):
    """Source NAT of a proxy."""

    tenants: list[Nat]


class Sync(TypedDict):
    """The link over which a tenant's namespace tells the other proxy of its connections."""

    tenant: str
    namespace: str
    device: str
    address: str
    peer: str


class SyncState(TypedDict):
    """Synchronisation of connections with the other proxy; none without one."""

    tenants: list[Sync]


class Api(TypedDict):
    """The EC2 API; with `connect_to` it is at this address, whatever DNS says."""

    url: str
    connect_to: str | None


class HaVip(TypedDict):
    """An address that the active proxy claims for one of its ENIs. `mac`: None for the primary NIC's."""

    name: str
    namespace: str | None
    device: str | None
    eni_id: str
    mac: str | None
    address: str


class DataPath(TypedDict):
    """What must be up in a tenant's namespace."""

    namespace: str
    tunnel: str
    user: str
    sync: str


class NoPairState(TypedDict):
    """There is no other proxy: whatever of a pair is on this host goes."""

    peer: None


class PairState(TypedDict):
    """A proxy's half of a pair. `advert_ms`: how often the active one says that it lives."""

    own: str
    peer: str
    index: int
    advert_ms: int
    virtual_router_id: int
    region: str
    api: Api
    havips: list[HaVip]
    tenants: list[DataPath]


class TunnelEnd(TypedDict):
    """A func host's end of a tenant's tunnel: the overlay address on the device."""

    tenant: str
    device: str
    source: str


class Bridge(TypedDict):
    """What a tenant's containers hang on, with the address `gateway` and its prefix length.

    It leads into `device`, to `destinations` and nowhere else.
    """

    tenant: str
    bridge: str
    cidr: str
    gateway: str
    device: str
    destinations: list[str]


class ContainerState(TypedDict):
    """Who of a func host's containers is whose. `own` to `tunnel_kind` as in TunnelState: their MTU is a tunnel's."""

    own: str
    underlay_mtu: int
    tunnel_kind: str
    pods: str | None
    tunnels: list[TunnelEnd]
    bridges: list[Bridge]


class Route(TypedDict):
    """A tenant's destinations on a func host: into which device, with which source address, and for whom.

    In the routing table `table` for what is from `source` or `containers`, or comes in by `bridge`; those of
    `own_destinations`, which no other tenant has, in the main one too.
    """

    tenant: str
    device: str
    source: str
    overlay: str
    destinations: list[str]
    own_destinations: list[str]
    table: int
    bridge: str | None
    containers: str | None


class RoutesState(TypedDict):
    """Routes of a func host into its tunnels."""

    routes: list[Route]


class EchoState(TypedDict):
    """Ports of the user instance's little server."""

    http_port: int
    tcp_port: int
    udp_port: int
