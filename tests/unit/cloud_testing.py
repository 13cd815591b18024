"""A cloud on loopback for tests, and boto3 clients for it; the fixtures are in conftest.py."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.cloud import Cloud
from lab.cloud.images import IMAGE_ID
from lab.world import World

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

REGION = "us-east-1"
ZONE = "us-east-1a"


@cache
def listener() -> socket.socket:
    """One for all tests, so that clients can be used again: making one takes longer than most tests."""
    return socket.create_server(("127.0.0.1", 0))


def endpoint() -> str:
    """Where the cloud under test answers."""
    return f"http://127.0.0.1:{listener().getsockname()[1]}"


@cache
def session() -> boto3.Session:
    """Signs as the operator of the cloud that runs, once it was told to `sign_for` it."""
    return boto3.Session("none yet", "none yet", region_name=REGION)


def sign_for(cloud: Cloud) -> None:
    """Clients are used again for the next cloud, which has other keys."""
    credentials: Any = session().get_credentials()  # each client has this very object
    credentials.access_key, credentials.secret_key = cloud.access_key_id, cloud.secret_access_key


@cache
def ec2_client(region: str = REGION) -> EC2Client:
    """Does not try again what failed."""
    config = Config(retries={"total_max_attempts": 1})
    return session().client("ec2", region_name=region, endpoint_url=endpoint(), config=config)


class LabUnderTest:
    """A running cloud with shorthand for what most tests begin with."""

    def __init__(self, *, observed: bool = False) -> None:
        self.worlds: list[World] = []
        self.follow: Callable[[World], None] = self.worlds.append
        self.consoles: dict[str, bytes] = {}
        self.cloud = Cloud(
            [listener()],
            REGION,
            lambda world: self.follow(world),
            observed=observed,
            console_of=lambda instance: self.consoles.get(instance, b""),
        )
        self.ec2 = ec2_client()
        sign_for(self.cloud)
        self.cloud.start()

    def replacement(self) -> Cloud:
        """Another cloud after the first was stopped."""
        cloud = Cloud([listener()], REGION, lambda world: self.follow(world))
        sign_for(cloud)
        cloud.start()
        return cloud

    def close(self) -> None:
        """Free the process for the next one."""
        self.cloud.stop()
        for region in (REGION, "eu-central-1"):
            ec2_client(region).close()

    def settle_reports(self) -> None:
        """Wait until every report to the cloud so far has been taken."""
        taken = threading.Event()
        self.cloud.after_reports(taken.set)
        assert taken.wait(timeout=10.0)

    @property
    def world(self) -> World:
        """What the last call left."""
        return self.cloud.world()

    def vpc(self, cidr: str = "10.0.0.0/16") -> str:
        """A new VPC's id."""
        return self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]

    def subnet(self, cidr: str = "10.0.1.0/24", *, vpc: str | None = None, zone: str = ZONE) -> str:
        """A new subnet's id."""
        made = self.ec2.create_subnet(VpcId=vpc or self.vpc(), CidrBlock=cidr, AvailabilityZone=zone)
        return made["Subnet"]["SubnetId"]

    def instance(self, subnet: str, *, address: str | None = None, kind: str = "c6in.large") -> str:
        """A launched instance's id."""
        named = {"PrivateIpAddress": address} if address else {}
        made = self.ec2.run_instances(
            ImageId=IMAGE_ID,
            InstanceType=kind,  # type: ignore[arg-type]
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            **named,  # type: ignore[arg-type]
        )
        return made["Instances"][0]["InstanceId"]

    def eni(self, subnet: str, *addresses: str) -> str:
        """A new interface's id; the first address is its primary one."""
        items = [{"PrivateIpAddress": a, "Primary": a == addresses[0]} for a in addresses]
        made = self.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddresses=items)  # type: ignore[arg-type]
        return made["NetworkInterface"]["NetworkInterfaceId"]

    def primary(self, instance: str) -> str:
        """The interface at device index 0."""
        return self.world.enis_of(instance)[0].id

    def state(self, instance: str) -> str:
        """As DescribeInstances says."""
        found = self.ec2.describe_instances(InstanceIds=[instance])
        return found["Reservations"][0]["Instances"][0]["State"]["Name"]

    def gateway(self, vpc: str) -> str:
        """An internet gateway, attached and routed to from the main table."""
        made = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=vpc)
        main = self.main_table(vpc)
        self.ec2.create_route(RouteTableId=main, DestinationCidrBlock="0.0.0.0/0", GatewayId=made)
        return made

    def main_table(self, vpc: str) -> str:
        """The VPC's main route table."""
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]  # type: ignore[arg-type]

    def group(self, vpc: str, name: str = "hosts") -> str:
        """A new security group's id."""
        return self.ec2.create_security_group(VpcId=vpc, GroupName=name, Description="for a test")["GroupId"]


def code_of(call: Callable[[], object]) -> str:
    """The error code that a call fails with."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])
