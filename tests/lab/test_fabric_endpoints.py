"""VPC endpoints: the lab's API at an address inside a VPC, for those whom security groups let in."""

from __future__ import annotations

import json
import socket
import threading
from functools import partial
from http.client import HTTPConnection
from typing import Any

import pytest

from lab.endpoints import Endpoints
from lab.fabric import Fabric
from lab.world import World
from tests.lab.guests import Guest, echo_request, silent, wait_until
from tests.lab.isolation import isolated, isolated_user
from tests.unit.cloud_testing import LabUnderTest
from tests.unit.test_cloud_identity import client, profile
from tests.unit.test_cloud_signature import Signer

Json = Any
SERVICE = "com.amazonaws.us-east-1.ec2"
HOST = "ec2.us-east-1.amazonaws.com"
ENDPOINT, PROXY, STRANGER, HAVIP = "10.0.1.200", "10.0.1.4", "10.0.1.5", "10.0.1.100"
NOBODY_S = 0.3  # a hundred times what an answer takes
VERSION = "Version=2016-11-15"


class Place:
    """A cloud, the fabric that follows it, and a VPC with an endpoint that lets the group of proxies in."""

    def __init__(self) -> None:
        self.fabric = Fabric()
        self.fabric.apply(World())  # loopback, for the API
        self.lab = LabUnderTest()
        self.endpoints = Endpoints(self.fabric.service_listener, self.lab.cloud.answer)
        self.lab.follow = self.follow
        self.vpc = self.lab.vpc()
        self.lab.gateway(self.vpc)
        self.subnet = self.lab.subnet(vpc=self.vpc)
        self.proxies, self.group = (self.lab.group(self.vpc, name) for name in ("proxies", "endpoint"))
        self.lab.ec2.authorize_security_group_ingress(
            GroupId=self.group,
            IpPermissions=[
                {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": self.proxies}]},
            ],
        )
        self.endpoint = self.lab.ec2.create_vpc_endpoint(
            VpcId=self.vpc,
            ServiceName=SERVICE,
            VpcEndpointType="Interface",
            PrivateDnsEnabled=False,
            SubnetIds=[self.subnet],
            SecurityGroupIds=[self.group],
            SubnetConfigurations=[{"SubnetId": self.subnet, "Ipv4": ENDPOINT}],
        )["VpcEndpoint"]
        self.proxy = self.interface(PROXY, self.proxies)
        self.stranger = self.interface(STRANGER, self.lab.group(self.vpc, "others"))
        profile("proxy")
        statement = {"Effect": "Allow", "Action": "ec2:AssignPrivateIpAddresses", "Resource": "*"}
        client("iam").put_role_policy(
            RoleName="proxy",
            PolicyName="claim",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )

    def follow(self, world: World) -> None:
        """In the order that the daemon has to keep."""
        self.fabric.apply(world)
        self.endpoints.apply(world)

    def interface(self, address: str, group: str) -> str:
        """An interface at an address, in a group."""
        made = self.lab.ec2.create_network_interface(
            SubnetId=self.subnet, PrivateIpAddress=address, Groups=[group]
        )
        return made["NetworkInterface"]["NetworkInterfaceId"]

    def guest(self, eni: str) -> Guest:
        """The machine on one."""
        return Guest(self.fabric, self.lab.world, eni)

    def refused(self, call: Json) -> bool:
        """Whether a connection is dropped by the endpoint's groups, and counted."""
        (eni,) = self.endpoint["NetworkInterfaceIds"]
        before = self.fabric.counters(eni).ingress_denied
        threading.Thread(target=call, daemon=True).start()
        wait_until("it is dropped", lambda: self.fabric.counters(eni).ingress_denied > before)
        return True


def signer(place: Place, **changes: Json) -> Signer:
    """Of the proxies' role."""
    keys = place.lab.cloud.credentials_for("proxy", "i-1")
    return Signer(
        **{
            "access_key_id": keys.access_key_id,
            "secret": keys.secret_access_key,
            "token": keys.token,
            "host": HOST,
            **changes,
        }
    )


def call(guest: Guest, signed: Signer, body: str) -> tuple[int, str]:
    """A call to the endpoint: status and body."""
    connection = HTTPConnection(HOST)
    connection.sock = guest.open_socket(socket.SOCK_STREAM)
    connection.sock.connect((ENDPOINT, 80))
    connection.request("POST", "/", body, signed.headers(body))
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def a_role_claims_an_address() -> None:
    place = Place()
    guest = place.guest(place.proxy)
    body = (
        f"Action=AssignPrivateIpAddresses&{VERSION}&NetworkInterfaceId={place.proxy}"
        f"&PrivateIpAddress.1={HAVIP}&AllowReassignment=true"
    )
    status, text = call(guest, signer(place), body)
    assert status == 200, text
    assert [str(a) for a in place.lab.world.enis[place.proxy].private_ips] == [PROXY, HAVIP]
    status, text = call(guest, signer(place), f"Action=DescribeVpcs&{VERSION}")
    assert (status, "UnauthorizedOperation" in text) == (403, True)
    status, text = call(guest, signer(place, secret="wrong"), body)
    assert (status, "SignatureDoesNotMatch" in text) == (403, True)


test_a_role_claims_an_address_and_may_do_nothing_else = isolated(a_role_claims_an_address)
test_endpoints_work_for_an_ordinary_user = isolated_user(a_role_claims_an_address)


@isolated
def test_only_the_service_of_the_endpoint_answers() -> None:
    place = Place()
    guest = place.guest(place.proxy)
    who = "Action=GetCallerIdentity&Version=2011-06-15"
    status, text = call(guest, signer(place, service="sts"), who)
    assert (status, "Credential should be scoped" in text) == (403, True)


@isolated
def test_the_endpoints_policy_holds_whatever_the_caller_may() -> None:
    place = Place()
    guest = place.guest(place.proxy)
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    client("iam").put_role_policy(
        RoleName="proxy",
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [anything]}),
    )
    body = f"Action=DescribeVpcs&{VERSION}"
    assert call(guest, signer(place), body)[0] == 200
    claims = {"Effect": "Allow", "Principal": "*", "Action": "ec2:AssignPrivateIpAddresses", "Resource": "*"}
    place.lab.ec2.modify_vpc_endpoint(
        VpcEndpointId=place.endpoint["VpcEndpointId"], PolicyDocument=json.dumps({"Statement": [claims]})
    )
    status, text = call(guest, signer(place), body)
    assert (status, "no VPC endpoint policy allows" in text) == (403, True)
    claim = f"Action=AssignPrivateIpAddresses&{VERSION}&NetworkInterfaceId={place.proxy}&PrivateIpAddress.1={HAVIP}"
    assert call(guest, signer(place), claim)[0] == 200
    assert place.lab.ec2.describe_vpcs()["Vpcs"]  # elsewhere it does not count
    place.lab.ec2.modify_vpc_endpoint(VpcEndpointId=place.endpoint["VpcEndpointId"], ResetPolicy=True)
    assert call(guest, signer(place), body)[0] == 200


@isolated
def test_security_groups_decide_who_reaches_it() -> None:
    place = Place()
    stranger, proxy = place.guest(place.stranger), place.guest(place.proxy)
    assert place.refused(partial(stranger.connect, ENDPOINT, 80))
    proxy.connect(ENDPOINT, 80).close()
    with pytest.raises(ConnectionRefusedError):
        proxy.connect(ENDPOINT, 443)  # allowed, but nobody has a certificate
    place.lab.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=place.stranger, Groups=[place.proxies]
    )
    stranger.connect(ENDPOINT, 80).close()
    closed = place.lab.group(place.vpc, "closed")  # the caller's own groups count as well
    place.lab.ec2.revoke_security_group_egress(
        GroupId=closed, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    place.lab.ec2.modify_network_interface_attribute(NetworkInterfaceId=place.stranger, Groups=[closed])
    threading.Thread(target=partial(stranger.connect, ENDPOINT, 80), daemon=True).start()
    wait_until("it is dropped", lambda: place.fabric.counters(place.stranger).egress_denied > 0)


@isolated
def test_an_endpoint_takes_tcp_only() -> None:
    place = Place()
    guest = place.guest(place.proxy)
    raw = guest.open_socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    assert place.refused(partial(raw.sendto, echo_request(), (ENDPOINT, 0)))
    assert silent(raw)


@isolated
def test_an_endpoint_ends_and_begins_again_elsewhere() -> None:
    place = Place()
    guest = place.guest(place.proxy)
    guest.connect(ENDPOINT, 80).close()
    place.lab.ec2.modify_vpc_endpoint(
        VpcEndpointId=place.endpoint["VpcEndpointId"],
        SubnetConfigurations=[{"SubnetId": place.subnet, "Ipv4": "10.0.1.201"}],
    )
    guest.connect("10.0.1.201", 80).close()
    place.lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[place.endpoint["VpcEndpointId"]])
    for address in (ENDPOINT, "10.0.1.201"):
        caller = guest.open_socket(socket.SOCK_STREAM)
        caller.settimeout(NOBODY_S)
        with pytest.raises(TimeoutError):
            caller.connect((address, 80))
