"""Security groups that would let pass what an attacker on a host sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.lab.conftest import LabUnderTest, ec2_of

EVERYTHING = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


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
