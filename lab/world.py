"""What the EC2 API says exists, as plain data.

`lab.cloud` takes a `World` from moto after every call that changes something; `lab.fabric` makes namespaces,
taps, routes and filters equal to it; `lab.machine` makes guests equal to it; `lab.metadata` answers from it.
None of these knows moto, and the cloud knows none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network


class InstanceState(StrEnum):
    """States that a caller of the API can ask for; the ones in between are the cloud's own."""

    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """A virtual network: isolated, and free to use the same prefixes as another."""

    id: str
    cidrs: tuple[IPv4Network, ...]


class RouteTarget(StrEnum):
    """Where a route of a subnet's route table leads."""

    LOCAL = "local"
    INTERNET = "internet"  # an internet gateway: 1:1 NAT for addresses that have a public one
    ENI = "eni"
    NAT = "nat"  # a NAT gateway, by the id of its ENI: out as the public address of that, nothing in
    BLACKHOLE = "blackhole"  # the target is gone


@dataclass(frozen=True, kw_only=True)
class Route:
    """One entry of a route table; `target_id` is the internet gateway's or the ENI's id."""

    destination: IPv4Network
    target: RouteTarget
    target_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A prefix of a VPC in one availability zone; its router has the first host address, as on AWS."""

    id: str
    vpc_id: str
    cidr: IPv4Network
    availability_zone: str
    routes: tuple[Route, ...]

    @property
    def gateway(self) -> IPv4Address:
        """The VPC router's address in this subnet."""
        return self.cidr[1]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A security-group rule.

    `protocol` is an IANA number, or -1 for all. Ports are for TCP and UDP, `from_port`/`to_port` of ICMP are type
    and code; -1 (or None) is any. Exactly one of `cidr` and `group_id` names the peer.
    """

    protocol: int
    from_port: int | None = None
    to_port: int | None = None
    cidr: IPv4Network | None = None
    group_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """Stateful, allow only, attached to ENIs. The name is for people: another VPC's group may share it."""

    id: str
    name: str
    vpc_id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class Eni:
    """A network interface. Attached: `instance_id` and `device_index` are set."""

    id: str
    mac: str
    vpc_id: str
    subnet_id: str
    private_ips: tuple[IPv4Address, ...]  # the primary one first
    public_ips: dict[IPv4Address, IPv4Address] = field(default_factory=dict)  # private → public
    group_ids: tuple[str, ...] = ()
    source_dest_check: bool = True
    instance_id: str | None = None
    device_index: int | None = None
    service: str = ""  # what answers here in the place of a guest, as com.amazonaws.us-east-1.ec2


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A machine that was asked for. Its ENIs name it in `instance_id`."""

    id: str
    state: InstanceState
    name: str  # the Name tag, else the id
    image_id: str
    instance_type: str
    availability_zone: str
    user_data: bytes = b""
    public_key: str | None = None  # OpenSSH format, from the key pair
    key_name: str | None = None
    role: str | None = None  # name of the instance profile's IAM role
    profile_arn: str = ""  # of the instance profile
    placement_group: str = ""  # by name
    imds_token_required: bool = False
    imds_hop_limit: int = 1
    boot_count: int = 0  # goes up with every reboot or start that the API was asked for


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything, keyed by id."""

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    security_groups: dict[str, SecurityGroup] = field(default_factory=dict)
    enis: dict[str, Eni] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    account_id: str = "123456789012"
    region: str = "us-east-1"

    def enis_of(self, instance_id: str) -> list[Eni]:
        """The ENIs attached to an instance, by device index."""
        attached = [e for e in self.enis.values() if e.instance_id == instance_id]
        return sorted(attached, key=lambda e: e.device_index or 0)
