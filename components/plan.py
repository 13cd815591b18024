"""Everything that follows from the settings: names, addresses, keys and MTUs. Pure: no Pulumi, no I/O.

A plan is frozen plain data. Indexes are stable: one more or one less func host or tenant never renumbers
another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

VPC_MTU_BYTES = 9001  # inside a VPC; between VPCs and to the internet it is less
ECHO_HTTP_PORT = 8080  # what a user instance answers on
ECHO_TCP_PORT = 7007
ECHO_UDP_PORT = 7007
PROXIES_OF_A_PAIR = 2
ROUTING_TABLE_BASE = 201_000_000  # a tenant's routing table on func hosts is so much above its index
BRIDGE_NAME_BYTES = 15  # of a network device: IFNAMSIZ without its NUL
FOU_PORT = 4754  # of UDP: GRE in UDP (RFC 8086)
SYNC_KEY_BASE = 2**31  # GRE keys of the sync links, above any tenant's
SYNC_LINK = IPv4Network("169.254.254.0/30")  # the same in every namespace: nobody else sees it


class Role(StrEnum):
    """What a host is for."""

    FUNC = "func"
    PROXY = "proxy"
    USER = "user"
    BASTION = "bastion"


class AccessMode(StrEnum):
    """How the operator's SSH, and so the configuration of hosts, gets in."""

    PUBLIC = "public"
    BASTION = "bastion"


class Redundancy(StrEnum):
    """How many proxies stand behind a tunnel's remote."""

    PAIR = "pair"
    SINGLE = "single"

    @property
    def proxies(self) -> int:
        """Their number."""
        return 2 if self is Redundancy.PAIR else 1


class TunnelKind(StrEnum):
    """What carries packets from func hosts to proxies and back."""

    GRE = "gre"  # with a key per tenant
    GRE_FOU = "gre-fou"  # the same in UDP, with a source port per inner flow
    IPIP = "ipip"  # without a key: one tenant per pair

    @property
    def overhead_bytes(self) -> int:
        """Outer IPv4 20, UDP 8, GRE 4, its key 4 (RFC 2003, RFC 2784, RFC 2890, RFC 8086). lib.sh has the same."""
        return {TunnelKind.GRE: 28, TunnelKind.GRE_FOU: 36, TunnelKind.IPIP: 20}[self]

    def tenants_per_pair(self, spare_enis: int) -> int:
        """How many there may be, of as many as the proxies have ENIs for."""
        return 1 if self is TunnelKind.IPIP else spare_enis


class ApiWay(StrEnum):
    """How proxies reach the EC2 API, by which the active one claims the HaVips."""

    ENDPOINT = "endpoint"  # an interface endpoint that the stack makes
    OWN = "own"  # a way that the operator has made


class ApiScheme(StrEnum):
    """HTTP is for a lab, whose API has no certificate that a host would trust."""

    HTTPS = "https"
    HTTP = "http"

    @property
    def port(self) -> int:
        """Of TCP."""
        return 443 if self is ApiScheme.HTTPS else 80


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """One instance in the platform VPC. `name` is the resource name, the Name tag and the hostname.

    Proxies are numbered through all pairs, two numbers each, also where a pair is a single proxy.
    """

    name: str
    role: Role
    index: int
    address: IPv4Address
    instance_type: str

    @property
    def side(self) -> int:
        """Of a proxy within its pair: 0 or 1."""
        return self.index % PROXIES_OF_A_PAIR

    @property
    def pair(self) -> int:
        """The number of a proxy's pair."""
        return self.index // PROXIES_OF_A_PAIR

    @property
    def second(self) -> str:
        """Name of the proxy that makes a pair of this one, whether or not there is one."""
        return f"{self.role}-{self.index + 1}"


@dataclass(frozen=True, kw_only=True)
class CreatedNetwork:
    """A tenant network that the stack makes itself (lab, dev), with a user instance in it."""

    vpc_cidr: IPv4Network
    subnet_cidr: IPv4Network
    instance_address: IPv4Address
    instance_type: str

    @property
    def name(self) -> str:
        """Changes when it is made anew."""
        return f"{self.subnet_cidr} of {self.vpc_cidr}"


@dataclass(frozen=True, kw_only=True)
class ExistingNetwork:
    """A tenant network that is there already; nothing of it is created or changed.

    `subnet_ids`: to choose from; once AWS was asked (`components.lookups`), the chosen one alone.
    """

    vpc_id: str
    subnet_ids: tuple[str, ...]
    account_id: str | None  # None: the platform's own

    @property
    def subnet_id(self) -> str:
        """The one that was chosen. ValueError: none was."""
        (chosen,) = self.subnet_ids
        return chosen

    @property
    def name(self) -> str:
        """Changes when it is another one."""
        return self.subnet_id


@dataclass(frozen=True, kw_only=True)
class TenantPlan:
    """A customer: its network, its overlay and what identifies it in the kernel.

    `index` is the GRE key and the suffix of device names. It decides which pair serves the tenant, and which of the
    places for user ENIs is its own there.
    """

    name: str
    index: int
    pair: int  # number of the pair
    slot: int  # from 1: the device index of the user ENI on the pair's proxies
    network: CreatedNetwork | ExistingNetwork
    cidrs: tuple[IPv4Network, ...]  # what func hosts reach through the tunnel
    # By side of the proxy. None: AWS chooses; never in a network of the stack's own.
    user_eni_addresses: tuple[IPv4Address | None, ...]
    havip: IPv4Address | None  # the pair's in the user subnet, source of all that it forwards; None: no pair
    overlay: IPv4Network
    proxy_overlay_address: IPv4Address
    func_overlay_addresses: tuple[IPv4Address, ...]  # by index of the func host
    container_cidr: IPv4Network | None  # of its containers on every func host; None: it has none
    # Those of `cidrs` that no other tenant has a part of: what processes of a func host itself reach without a word of
    # whose it is.
    own_cidrs: tuple[IPv4Network, ...]

    @property
    def namespace(self) -> str:
        """The network namespace on a proxy."""
        return f"tenant-{self.name}"

    @property
    def gre_key(self) -> int:
        """32 bits; says on the wire whose packet it is."""
        return self.index

    @property
    def tunnel_device(self) -> str:
        """The tunnel's device, on func hosts and in the proxy's namespace. So called with IPIP too."""
        return f"mgre{self.index}"

    @property
    def user_device(self) -> str:
        """What the user ENI is called inside the namespace, whatever the kernel called it before."""
        return f"user{self.index}"

    @property
    def sync_device(self) -> str:
        """The GRE device between the two namespaces of this tenant on a pair's proxies."""
        return f"sync{self.index}"

    @property
    def sync_key(self) -> int:
        """The sync link's GRE key: 32 bits, and no tenant's."""
        return SYNC_KEY_BASE + self.index

    @property
    def bridge(self) -> str:
        """The bridge on func hosts that says whose a container is."""
        return bridge_name(self.name)

    @property
    def routing_table(self) -> int:
        """Number of the routing table on func hosts that has this tenant's destinations, and no other's."""
        return ROUTING_TABLE_BASE + self.index

    @property
    def user_instance_name(self) -> str:
        """Name of the user instance, where the stack makes one."""
        return f"user-{self.name}"


@dataclass(frozen=True, kw_only=True)
class PlatformPlan:
    """The operator's VPC, in one availability zone."""

    vpc_cidr: IPv4Network
    func_subnet: IPv4Network
    proxy_subnet: IPv4Network
    access_subnet: IPv4Network | None  # bastion and NAT gateway; None with public access

    @property
    def subnets(self) -> Mapping[str, IPv4Network]:
        """By the setting that names each."""
        made = {"func_subnet": self.func_subnet, "proxy_subnet": self.proxy_subnet}
        return made if self.access_subnet is None else {**made, "access_subnet": self.access_subnet}

    @property
    def nat_gateway_address(self) -> IPv4Address | None:
        """Private address of the NAT gateway; fixed, or AWS might give it the bastion's."""
        return None if self.access_subnet is None else self.access_subnet[5]


@dataclass(frozen=True, kw_only=True)
class AccessPlan:
    """How to log in. The private key itself is never part of a plan."""

    mode: AccessMode
    operator_cidrs: tuple[IPv4Network, ...]
    user: str
    public_key: str


@dataclass(frozen=True, kw_only=True)
class ApiPlan:
    """How proxies reach the EC2 API. With `endpoint_address` no name is looked up on the way."""

    url: str
    port: int
    service: str  # the endpoint's, as AWS names it
    endpoint_address: IPv4Address | None  # of the stack's own endpoint, in the proxy subnet


@dataclass(frozen=True, kw_only=True)
class TakeoverPlan:
    """How the standby of a pair notices that it has to take over, and how it takes the addresses."""

    advert_ms: int
    api: ApiPlan


@dataclass(frozen=True, kw_only=True)
class PairPlan:
    """The proxies that serve the same tenants: two, or with redundancy `single` one.

    `havip`: the address that belongs to neither of two; None: there is one proxy.
    """

    number: int
    proxies: tuple[HostPlan, ...]
    havip: IPv4Address | None

    @property
    def suffix(self) -> str:
        """Of names of what a pair has but one of. The first pair has none."""
        return f"-{self.number}" if self.number else ""

    @property
    def remote(self) -> IPv4Address:
        """Where func hosts send the tunnel packets of this pair's tenants."""
        return self.proxies[0].address if self.havip is None else self.havip


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole stack."""

    stack: str
    region: str
    availability_zone: str
    redundancy: Redundancy
    ami: str | None  # None: the Debian 13 image that AWS's parameter store names
    architecture: str  # amd64 or arm64: that of the instance types
    tunnel: TunnelKind
    underlay_mtu: int
    install_packages: bool  # whether hosts fetch missing Debian packages themselves
    pod_cidr: IPv4Network | None  # of Kubernetes' pods on func hosts, which reach every tenant
    drillable: bool  # whether faults may be made here on purpose
    platform: PlatformPlan
    access: AccessPlan
    bastion: HostPlan | None
    pairs: tuple[PairPlan, ...]  # in the order of their numbers, of which some may be left out
    tenants_per_pair: int
    takeover: TakeoverPlan | None  # None: a pair is one proxy
    func_hosts: tuple[HostPlan, ...]
    tenants: tuple[TenantPlan, ...]
    tags: dict[str, str]

    @property
    def tunnel_mtu(self) -> int:
        """MTU of the tunnel devices where the underlay allows its full size."""
        return self.underlay_mtu - self.tunnel.overhead_bytes

    @property
    def proxies(self) -> tuple[HostPlan, ...]:
        """Of all pairs."""
        return tuple(proxy for pair in self.pairs for proxy in pair.proxies)

    def pair_numbered(self, number: int) -> PairPlan:
        """A pair. StopIteration: there is none of that number."""
        return next(pair for pair in self.pairs if pair.number == number)

    def tenants_of(self, pair: int) -> tuple[TenantPlan, ...]:
        """Those that the pair of this number serves, by index."""
        return tuple(tenant for tenant in self.tenants_by_index if tenant.pair == pair)

    @property
    def tenants_by_index(self) -> tuple[TenantPlan, ...]:
        """As hosts are told of them: their order in the stack file means nothing, and another one is no change."""
        return tuple(sorted(self.tenants, key=lambda tenant: tenant.index))

    def remote_of(self, tenant: TenantPlan) -> IPv4Address:
        """Where func hosts send a tenant's tunnel packets."""
        return self.pair_numbered(tenant.pair).remote

    def peer_of(self, proxy: HostPlan) -> HostPlan | None:
        """The other proxy of a pair."""
        pair = self.pair_numbered(proxy.pair)
        return next((other for other in pair.proxies if other.name != proxy.name), None)


def bridge_name(name: str) -> str:
    """Of the bridge that a tenant's containers hang on: `cw-NAME`, or the start of a longer name and of its SHA-256.

    Nobody else's ever after: what still hangs on it, or is started there, was this tenant's. An index is given again.
    """
    by_name = f"cw-{name}"
    if len(by_name) <= BRIDGE_NAME_BYTES:
        return by_name
    return f"cw-{name[:6]}-{hashlib.sha256(name.encode()).hexdigest()[:5]}"


def container_gateway(tenant: TenantPlan) -> IPv4Interface | None:
    """What the bridge of a tenant's containers has, on every func host; None: it has none."""
    if tenant.container_cidr is None:
        return None
    return IPv4Interface((tenant.container_cidr[1], tenant.container_cidr.prefixlen))


def proxy_overlay_interface(tenant: TenantPlan) -> IPv4Interface:
    """The proxy's address in a tenant's overlay, with the overlay's prefix length."""
    return IPv4Interface((tenant.proxy_overlay_address, tenant.overlay.prefixlen))


def func_overlay_interface(tenant: TenantPlan, host: HostPlan) -> IPv4Interface:
    """A func host's address in a tenant's overlay, with the overlay's prefix length."""
    return IPv4Interface((tenant.func_overlay_addresses[host.index], tenant.overlay.prefixlen))


def sync_interface(proxy: HostPlan) -> IPv4Interface:
    """A proxy's address on the sync links, with their prefix length."""
    return IPv4Interface((SYNC_LINK[1 + proxy.side], SYNC_LINK.prefixlen))
