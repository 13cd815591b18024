"""What a pair of hosts needs of the cloud, from inside real guests: an API without internet, claims, faults."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import pytest

from tests.lab.conftest import LabUnderTest, client_options, wait_until

pytestmark = pytest.mark.lab

Json = Any
HOSTS = ("proxy-0", "proxy-1")
OWN = {"proxy-0": "192.168.4.4", "proxy-1": "192.168.4.5"}
HAVIP, ENDPOINT = "192.168.4.100", "192.168.4.200"
ASSIGN = "AssignPrivateIpAddresses"
VRRP = 112
IMDS = """
token=$(curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
imds() { curl -sSf -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"; }
"""
CALL = f"""{IMDS}
role=$(imds iam/security-credentials/)
keys=$(imds "iam/security-credentials/$role")
key() {{ jq -r ".$1" <<<"$keys"; }}
curl -sS -m 10 -o /tmp/answer -w '%{{http_code}}' --connect-to '::{ENDPOINT}:' --aws-sigv4 aws:amz:us-east-1:ec2 \\
  -u "$(key AccessKeyId):$(key SecretAccessKey)" -H "x-amz-security-token: $(key Token)" \\
  -d 'Version=2016-11-15&BODY' http://ec2.us-east-1.amazonaws.com/
"""
ADVERT = f"""
import socket, sys, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, {VRRP})
raw.settimeout(float(sys.argv[2]))
if sys.argv[1] == "hear":
    sys.exit(not raw.recv(99))
for _ in range(200):
    raw.sendto(b"advert", (sys.argv[1], 0))
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def pair(cloud: LabUnderTest) -> dict[str, str]:
    """Two hosts, each with a role that may claim addresses for its own interface; the interfaces by host."""
    options = client_options(cloud.status())
    ec2: Json = boto3.client("ec2", **options)  # type: ignore[call-overload]
    iam: Json = boto3.client("iam", **options)  # type: ignore[call-overload]
    vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="192.168.4.0/24")["Subnet"]["SubnetId"]
    proxies, api = (
        ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"]
        for name in ("proxies", "api")
    )
    among = {"UserIdGroupPairs": [{"GroupId": proxies}]}
    for group, rule in (
        (proxies, {"IpProtocol": "-1"}),
        (api, {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}),
    ):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**rule, **among}])
    ec2.create_subnet_cidr_reservation(SubnetId=subnet, Cidr=f"{HAVIP}/32", ReservationType="explicit")
    ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName="com.amazonaws.us-east-1.ec2",
        VpcEndpointType="Interface",
        PrivateDnsEnabled=False,
        SubnetIds=[subnet],
        SubnetConfigurations=[{"SubnetId": subnet, "Ipv4": ENDPOINT}],
        SecurityGroupIds=[api],
    )
    ec2.create_placement_group(GroupName="pair", Strategy="spread")
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])["Images"][0]
    enis = {}
    for host in HOSTS:
        iam.create_role(RoleName=host, AssumeRolePolicyDocument=json.dumps({"Statement": []}))
        iam.create_instance_profile(InstanceProfileName=host)
        iam.add_role_to_instance_profile(InstanceProfileName=host, RoleName=host)
        (instance,) = ec2.run_instances(
            ImageId=image["ImageId"],
            InstanceType="c6in.large",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            PrivateIpAddress=OWN[host],
            SecurityGroupIds=[proxies],
            IamInstanceProfile={"Name": host},
            Placement={"GroupName": "pair"},
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": host}]}],
        )["Instances"]
        enis[host] = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
        own = f"arn:aws:ec2:us-east-1:123456789012:network-interface/{enis[host]}"
        statement = {"Effect": "Allow", "Action": f"ec2:{ASSIGN}", "Resource": own}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=host, PolicyName="claim", PolicyDocument=policy)
    for host in HOSTS:
        wait_until(f"{host} answers", lambda host=host: answers(cloud, host))  # type: ignore[misc]
    return enis


def answers(cloud: LabUnderTest, host: str) -> bool:
    """Whether one can log in."""
    return cloud.command("exec", host, "--", "true", check=False).returncode == 0


def call(cloud: LabUnderTest, host: str, body: str) -> int:
    """The HTTP status of a call to the endpoint with the host's role."""
    return int(cloud.succeed(host, CALL.replace("BODY", body)))


def claim(eni: str) -> str:
    """The body of a call that takes the pair's address."""
    return f"Action={ASSIGN}&NetworkInterfaceId={eni}&PrivateIpAddress.1={HAVIP}&AllowReassignment=true"


def holders(cloud: LabUnderTest) -> list[str]:
    """Whose IMDS has the pair's address."""
    path = "network/interfaces/macs/$(cat /sys/class/net/eth0/address)/local-ipv4s"
    return [h for h in HOSTS if HAVIP in cloud.succeed(h, f'{IMDS}imds "{path}"').split()]


def test_a_host_claims_an_address_by_the_endpoint(cloud: LabUnderTest, pair: dict[str, str]) -> None:
    for host in (*HOSTS, *HOSTS):
        assert call(cloud, host, claim(pair[host])) == 200
        assert holders(cloud) == [host]
    assert call(cloud, "proxy-0", claim(pair["proxy-1"])) == 403
    assert call(cloud, "proxy-0", "Action=DescribeInstances") == 403
    assert holders(cloud) == ["proxy-1"]


def test_claims_in_bad_weather(cloud: LabUnderTest, pair: dict[str, str]) -> None:
    assert call(cloud, "proxy-0", claim(pair["proxy-0"])) == 200
    try:
        cloud.command("weather", ASSIGN, "--address", HAVIP, "--refuse", "RequestLimitExceeded")
        assert call(cloud, "proxy-1", claim(pair["proxy-1"])) == 503
        cloud.command("weather")
        cloud.command("weather", ASSIGN, "--delay", "1.8", "--effect", "3")
        begun = time.monotonic()
        assert call(cloud, "proxy-1", claim(pair["proxy-1"])) == 200
        assert time.monotonic() - begun >= 1.8
        assert holders(cloud) == ["proxy-0"]
        wait_until("the effect is there", lambda: holders(cloud) == ["proxy-1"])
    finally:
        cloud.command("weather")


@pytest.mark.usefixtures("pair")
def test_hosts_stop_hearing_each_other_s_adverts(cloud: LabUnderTest) -> None:
    def hears(host: str, other: str, expected: bool) -> bool:
        """Whether an advert of `other` arrives: sent again and again while `host` listens, until there is one."""
        python = f"python3 -c '{ADVERT}'"
        cloud.succeed(other, f"{python} {OWN[host]} 0 >/dev/null 2>&1 </dev/null &")
        return cloud.exec(host, [f"{python} hear {18 if expected else 3}"]).returncode == 0

    for words, expected in (
        ([], (True, True)),
        ([*HOSTS, "--protocol", str(VRRP)], (False, False)),
        ([*HOSTS, "--protocol", str(VRRP), "--one-way"], (True, False)),
    ):
        if words:
            cloud.command("block", *words)
            (listed,) = cloud.status()["blocks"]
            assert (listed["host"], listed["peer"], listed["protocol"]) == (*HOSTS, VRRP)
            assert "blocked: proxy-0 " in cloud.command("status").stdout
        try:
            assert hears("proxy-0", "proxy-1", expected[0]) == expected[0]
            assert hears("proxy-1", "proxy-0", expected[1]) == expected[1]
            cloud.succeed("proxy-0", f"ping -c 1 -W 2 {OWN['proxy-1']}")
        finally:
            cloud.command("unblock")


@pytest.mark.usefixtures("pair")
def test_a_host_s_cable_and_its_heart(cloud: LabUnderTest) -> None:
    ping = f"ping -c 1 -W 1 {OWN['proxy-0']}"
    for harm, undo in (("unplug", "plug"), ("hang", "resume")):
        cloud.command("fault", harm, "proxy-0")
        try:
            cloud.fail("proxy-1", ping)
        finally:
            cloud.command("fault", undo, "proxy-0")
        wait_until("it is back", lambda: cloud.exec("proxy-1", [ping]).returncode == 0)
    assert answers(cloud, "proxy-0")
