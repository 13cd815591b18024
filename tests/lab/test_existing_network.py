"""A customer's network that is there already, and hosts without public addresses, reached through a bastion."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.lab.conftest import LabUnderTest, client_options, wait_until
from tests.lab.containers import Container
from tests.lab.test_lifecycle import changed

pytestmark = pytest.mark.lab

# Says who asks; what a user data script leaves behind runs on, as with cloud-init.
SERVICE = """#!/usr/bin/python3
import os, socket
if os.fork() == 0:
    server = socket.create_server(("", 80))
    while True:
        asked, client = server.accept()
        asked.recv(4096)
        asked.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + client[0].encode())
        asked.close()
"""


def customer_network(state: Any) -> tuple[str, list[str]]:
    """What a customer has made: a VPC, a subnet in each of two zones, by their ids, and a service at 10.40.2.80.

    The first subnet is where the service is, and no proxy.
    """
    ec2 = boto3.resource("ec2", **client_options(state))  # type: ignore[call-overload]
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")
    near = vpc.create_subnet(CidrBlock="10.40.1.0/24", AvailabilityZone=f"{state['region']}a")
    far = vpc.create_subnet(CidrBlock="10.40.2.0/24", AvailabilityZone=f"{state['region']}b")
    group = vpc.create_security_group(GroupName="service", Description="service")
    group.authorize_ingress(IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="10.40.1.0/24")
    image = next(iter(ec2.images.filter(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])))
    far.create_instances(
        ImageId=image.id, InstanceType="t3.small", MinCount=1, MaxCount=1, PrivateIpAddress="10.40.2.80",
        SecurityGroupIds=[group.id], UserData=SERVICE,
    )  # fmt: skip
    return vpc.id, [far.id, near.id]


def test_a_function_reaches_a_customers_own_network_through_hosts_behind_a_bastion(
    cloud: LabUnderTest,
) -> None:
    vpc, subnets = customer_network(cloud.status())
    tenant = {
        "name": "customer",
        "index": 1,
        "vpc_id": vpc,
        "subnet_ids": subnets,
        "cidrs": ["10.40.1.0/24", "10.40.2.0/24"],
        "container_cidr": "10.88.0.0/24",
        "overlay": {"cidr": "10.0.0.0/24", "proxy": "10.0.0.4", "first_func": "10.0.0.3"},
    }
    options = (
        "--config", "access.mode=bastion", "--config", "access.bastion_instance_type=t3.nano",
        "--config", "platform.access_subnet=192.168.0.0/28", "--config", f"tenants={json.dumps([tenant])}",
    )  # fmt: skip
    result = cloud.up(*options)
    hosts = {host["name"]: host for host in cloud.status()["hosts"]}
    assert [name for name in hosts if hosts[name]["public_ip"]] == ["bastion"]
    leg = result["outputs"]["tenants"]["customer"]["user_enis"]["proxy-0"]["private_address"]
    get = "curl --silent --show-error --fail --max-time 5 http://10.40.2.80/"
    wait_until("the customer's service answers", lambda: cloud.exec("func-0", [get]).stdout.decode() == leg)
    container = Container(cloud, "func-0", "c0", result["outputs"]["tenants"]["customer"], 5)
    assert container.run(get) == leg
    container.remove()
    assert changed(cloud.up(*options)) == set()
    assert changed(cloud.up(*options, "--refresh")) == set()
