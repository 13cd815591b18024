"""What an attacker on a host sends, and security groups that would let it pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.lab.conftest import LabUnderTest, ec2_of

COPIES = 5  # of each packet, which FORGE sends
EVERYTHING = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
# What a sender with a raw socket can make up: ip(…, tcp(…)), and gre(…) around it.
FORGE = (
    f"COPIES = {COPIES}"
    """
import socket, struct, sys
def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
def ends(source, to):
    return socket.inet_aton(source) + socket.inet_aton(to)
def ip(source, to, protocol, payload):
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol)
    return start + struct.pack("!H", checksum(start + b"\\0\\0" + ends(source, to))) + ends(source, to) + payload
def tcp(source, to, sport, dport, flags, payload=b""):
    start = struct.pack("!HHLLBBH", sport, dport, 1000, 1000, 5 << 4, flags, 8192)
    pseudo = ends(source, to) + struct.pack("!BBH", 0, 6, 20 + len(payload))
    return start + struct.pack("!HH", checksum(pseudo + start + b"\\0" * 4 + payload), 0) + payload
def gre(key, packet, flags=0x2000):
    return struct.pack("!HHL", flags, 0x0800, key) + (b"\\0\\0\\0\\1" if flags & 0x1000 else b"") + packet
def send(packet, to):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for _ in range(COPIES):
        try:
            raw.sendto(packet, (to, 0))
        except OSError as error:
            print(error)
"""
)


@contextmanager
def everything_leaves(lab: LabUnderTest, host: str) -> Iterator[None]:
    """Its security group lets nothing out that nobody asked for; meanwhile it does, and the proxy's filter is left."""
    ec2 = ec2_of(lab)
    interface = next(h for h in lab.status()["hosts"] if h["name"] == host)["enis"][0]["id"]
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    rule = {
        "GroupId": eni["Groups"][0]["GroupId"],
        "IpPermissions": EVERYTHING,
    }
    ec2.authorize_security_group_egress(**rule)
    try:
        yield
    finally:
        ec2.revoke_security_group_egress(**rule)


@contextmanager
def groups_let_everything_pass(lab: LabUnderTest, host: str) -> Iterator[None]:
    """Every security group of a host's VPC, in and out; meanwhile the hosts' own filters are all there is."""
    ec2 = ec2_of(lab)
    vpc = next(h for h in lab.status()["hosts"] if h["name"] == host)["enis"][0]["vpc_id"]
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    with ExitStack() as undo:
        for group in groups:
            for direction, has in (
                ("ingress", group["IpPermissions"]),
                ("egress", group["IpPermissionsEgress"]),
            ):
                if any(
                    one["IpProtocol"] == "-1" and {"CidrIp": "0.0.0.0/0"} in one["IpRanges"] for one in has
                ):
                    continue
                rule = {"GroupId": group["GroupId"], "IpPermissions": EVERYTHING}
                getattr(ec2, f"authorize_security_group_{direction}")(**rule)
                undo.callback(getattr(ec2, f"revoke_security_group_{direction}"), **rule)
        yield
