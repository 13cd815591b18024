"""Names, addresses and numbers that the parts of the fabric agree on."""

from __future__ import annotations

from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

NETNS_DIRECTORY = Path("/run/netns")  # where `ip netns` looks; the lab has a /run of its own

OPERATOR_ADDRESS = IPv4Address("198.18.0.1")  # RFC 2544's range: nobody's, so free for a lab
IMDS_ADDRESS = IPv4Address("169.254.169.254")
LINK_LOCAL = IPv4Network("169.254.0.0/16")
NEXT_HOP = IPv4Address(
    "169.254.0.1"
)  # of every route: a name for the other end of the link, never on the wire

VPC_MTU = 9001  # bytes; jumbo frames inside a VPC
INTERNET_MTU = 1500  # bytes; what AWS's internet gateways pass

TAP = "tap"  # in an ENI's namespace: to the guest
VPC = "vpc"  # in an ENI's namespace: to the router
INTERNET = "internet"  # in a VPC's namespace: to the internet
INTERNET_NAMESPACE = ""  # the process's own namespace has no name

IFNAME_MAX = 15  # bytes of an interface name

FROM_GUEST_TABLE = 100  # in an ENI's namespace
TO_GUEST_TABLE = 200
FROM_SERVICE_TABLE = 300  # in the namespace of an ENI without a guest
ADDRESSES_TABLE = 100  # in a VPC's namespace: who has which private address

ROUTER_MAC = "02:00:00:00:00:01"  # both ends of every veth, and what a guest takes for its gateway
BEFORE_CONNTRACK = -300  # nft priority: after defragmentation (-400), before iptables' mangle table (-150)
TTL_FULL_MARK = "0x1"  # packet mark of a packet whose TTL was 255


def device_name(identifier: str) -> str:
    """The device that leads to an ENI or a VPC: the end of its id, as much as an interface name holds."""
    return identifier[-IFNAME_MAX:]


def subnet_table(subnet_id: str) -> int:
    """The routing table of a subnet in its VPC: the same whatever other subnets come and go."""
    digest = int.from_bytes(blake2b(subnet_id.encode(), digest_size=4).digest(), "big")
    return 0x4000_0000 | digest >> 2


def group_set(group_id: str) -> str:
    """The nft set with the private addresses of a security group's members."""
    return f"members_{group_id.replace('-', '_')}"
