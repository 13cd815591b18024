"""`lab up --empty` is an EC2 for clients that have never heard of Causeway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import paramiko
import pytest

from lab.daemon.client import Client
from lab.paths import PROJECT, LabPaths
from tests.lab.conftest import LabUnderTest, client_options, wait_until

pytestmark = pytest.mark.lab


def test_plain_boto3_starts_a_network_and_logs_in(cloud: LabUnderTest, tmp_path: Path) -> None:
    ec2 = boto3.resource("ec2", **client_options(cloud.status()))  # type: ignore[call-overload]
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")
    subnet = vpc.create_subnet(CidrBlock="10.20.1.0/24")
    group = vpc.create_security_group(GroupName="ssh", Description="ssh")
    group.authorize_ingress(IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    pair = ec2.create_key_pair(KeyName="mine", KeyType="ed25519")
    image = next(iter(ec2.images.filter(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])))
    (instance,) = subnet.create_instances(
        ImageId=image.id, InstanceType="t3.small", MinCount=1, MaxCount=1, KeyName=pair.name,
        SecurityGroupIds=[group.id],
    )  # fmt: skip
    instance.wait_until_running()
    eni = subnet.create_network_interface(PrivateIpAddress="10.20.1.77", Groups=[group.id])
    eni.attach(InstanceId=instance.id, DeviceIndex=1)
    ec2.meta.client.assign_private_ip_addresses(NetworkInterfaceId=eni.id, PrivateIpAddresses=["10.20.1.78"])

    instance.reload()
    key = tmp_path / "key"
    key.write_text(pair.key_material)
    with paramiko.SSHClient() as ssh:
        ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        ssh.connect(
            "guest", username="admin", pkey=paramiko.Ed25519Key.from_private_key_file(str(key)),
            sock=Client(LabPaths(cloud.name)).connect(instance.id, 22), look_for_keys=False, allow_agent=False,
        )  # fmt: skip

        def run(line: str) -> str:
            return ssh.exec_command(line)[1].read().decode()

        assert instance.private_ip_address in run("ip -br -4 address")
        macs = {interface.mac_address for interface in instance.network_interfaces} | {eni.mac_address}
        wait_until("both NICs are there", lambda: all(mac in run("ip -br link") for mac in macs))
        token = run(
            "curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
        )
        path = (
            f"http://169.254.169.254/latest/meta-data/network/interfaces/macs/{eni.mac_address}/local-ipv4s"
        )
        assert run(f"curl -s -H 'X-aws-ec2-metadata-token: {token}' {path}").split() == [
            "10.20.1.77",
            "10.20.1.78",
        ]

    host = next(h for h in cloud.status()["hosts"] if h["instance_id"] == instance.id)
    assert {"10.20.1.77", "10.20.1.78", instance.private_ip_address} <= set(host["addresses"])
    instance.terminate()
    instance.wait_until_terminated()
    wait_until("its machine is gone", lambda: instance.id not in json.dumps(cloud.status()["hosts"]))


def test_the_aws_command_line_sees_it(cloud: LabUnderTest) -> None:
    state = cloud.status()
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": state["ec2_endpoint"],
        "AWS_DEFAULT_REGION": state["region"],
        "AWS_ACCESS_KEY_ID": state["credentials"]["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": state["credentials"]["secret_access_key"],
        "AWS_PAGER": "",
    }

    def aws(*words: str) -> Any:
        argv = [str(Path(sys.executable).with_name("aws")), "ec2", *words, "--output", "json"]
        done = subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    vpc = aws("create-vpc", "--cidr-block", "10.30.0.0/16")["Vpc"]["VpcId"]
    subnet = aws("create-subnet", "--vpc-id", vpc, "--cidr-block", "10.30.1.0/24")["Subnet"]["SubnetId"]
    image = aws("describe-images", "--filters", "Name=name,Values=debian-13-amd64-*")["Images"][0]["ImageId"]
    instance = aws(
        "run-instances", "--image-id", image, "--instance-type", "t3.small", "--subnet-id", subnet,
        "--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=by-hand}]",
    )["Instances"][0]  # fmt: skip
    wait_until(
        "it answers", lambda: cloud.command("exec", "by-hand", "--", "true", check=False).returncode == 0
    )
    eni = aws("create-network-interface", "--subnet-id", subnet)["NetworkInterface"]
    aws(
        "attach-network-interface", "--network-interface-id", eni["NetworkInterfaceId"],
        "--instance-id", instance["InstanceId"], "--device-index", "1",
    )  # fmt: skip
    wait_until("the NIC is there", lambda: eni["MacAddress"] in cloud.succeed("by-hand", "ip -br link"))
    assert instance["PrivateIpAddress"] in cloud.succeed("by-hand", "ip -br -4 address")
    aws("terminate-instances", "--instance-ids", instance["InstanceId"])
