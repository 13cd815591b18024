"""Interface endpoints of EC2."""

from __future__ import annotations

import json
from functools import partial
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any
SERVICE = "com.amazonaws.us-east-1.ec2"
ADDRESS = "10.0.1.200"
CALLERS_APART = json.dumps(
    {
        "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::1:root"}}
        ]
    }
)


class Network:
    """A VPC with names, a subnet, and a group for the endpoint."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.ec2 = lab.ec2
        self.vpc = lab.vpc()
        lab.ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.subnet = lab.subnet(vpc=self.vpc)
        self.group = lab.group(self.vpc, "endpoint")
        self.create: Json = partial(
            lab.ec2.create_vpc_endpoint,
            VpcId=self.vpc,
            ServiceName=SERVICE,
            VpcEndpointType="Interface",
            SubnetIds=[self.subnet],
            SecurityGroupIds=[self.group],
            SubnetConfigurations=[{"SubnetId": self.subnet, "Ipv4": ADDRESS}],
        )

    def endpoint(self, **more: Json) -> str:
        """A new one's id."""
        return str(self.create(**more)["VpcEndpoint"]["VpcEndpointId"])

    def shown(self, endpoint: str) -> Json:
        """As DescribeVpcEndpoints shows it."""
        return self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]


def test_an_endpoint_has_an_interface_at_a_fixed_address(lab: LabUnderTest) -> None:
    network = Network(lab)
    tags: Json = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "Name", "Value": "api"}]}]
    endpoint = network.endpoint(TagSpecifications=tags)
    shown = network.shown(endpoint)
    assert (shown["State"], shown["VpcEndpointType"], shown["ServiceName"]) == (
        "available",
        "Interface",
        SERVICE,
    )
    assert (shown["SubnetIds"], shown["Tags"]) == ([network.subnet], [{"Key": "Name", "Value": "api"}])
    assert [g["GroupId"] for g in shown["Groups"]] == [network.group]
    names = [entry["DnsName"] for entry in shown["DnsEntries"]]
    assert names[1:] == ["ec2.us-east-1.amazonaws.com"]
    (eni_id,) = shown["NetworkInterfaceIds"]
    eni = lab.world.enis[eni_id]
    assert (eni.private_ips, eni.service, eni.group_ids) == (
        (IPv4Address(ADDRESS),),
        SERVICE,
        (network.group,),
    )
    assert (eni.instance_id, eni.subnet_id) == (None, network.subnet)
    tagged = lab.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [endpoint]}])["Tags"]
    assert [tag["ResourceType"] for tag in tagged] == ["vpc-endpoint"]


def test_an_endpoint_changes_in_place(lab: LabUnderTest) -> None:
    network = Network(lab)
    endpoint, other = network.endpoint(), lab.group(network.vpc, "other")
    (eni,) = network.shown(endpoint)["NetworkInterfaceIds"]
    modify = partial(lab.ec2.modify_vpc_endpoint, VpcEndpointId=endpoint)
    modify(AddSecurityGroupIds=[other], RemoveSecurityGroupIds=[network.group], PrivateDnsEnabled=False)
    shown = network.shown(endpoint)
    assert ([g["GroupId"] for g in shown["Groups"]], shown["PrivateDnsEnabled"]) == ([other], False)
    assert lab.world.enis[eni].group_ids == (other,)
    lab.ec2.delete_security_group(GroupId=network.group)

    elsewhere = lab.subnet("10.0.2.0/24", vpc=network.vpc, zone="us-east-1b")
    modify(AddSubnetIds=[elsewhere], RemoveSubnetIds=[network.subnet])
    (moved,) = network.shown(endpoint)["NetworkInterfaceIds"]
    assert {e.subnet_id for e in lab.world.enis.values()} == {elsewhere}
    configuration: Json = [{"SubnetId": elsewhere, "Ipv4": "10.0.2.9"}]
    modify(SubnetConfigurations=configuration)
    (replaced,) = network.shown(endpoint)["NetworkInterfaceIds"]
    assert len({eni, moved, replaced}) == 3
    assert lab.world.enis[replaced].private_ips == (IPv4Address("10.0.2.9"),)
    assert code_of(partial(modify, RemoveSecurityGroupIds=[other])) == "InvalidParameterValue"


def test_the_end_of_an_endpoint(lab: LabUnderTest) -> None:
    network = Network(lab)
    endpoint = network.endpoint()
    assert code_of(partial(lab.ec2.delete_security_group, GroupId=network.group)) == "DependencyViolation"
    assert code_of(partial(lab.ec2.delete_subnet, SubnetId=network.subnet)) == "DependencyViolation"
    unknown = "vpce-0123456789abcdef0"
    (failed,) = lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint, unknown])["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (unknown, "InvalidVpcEndpoint.NotFound")
    assert lab.world.enis == {}
    assert code_of(lambda: network.shown(endpoint)) == "InvalidVpcEndpointId.NotFound"
    lab.ec2.delete_security_group(GroupId=network.group)
    lab.ec2.delete_subnet(SubnetId=network.subnet)


def test_its_interface_is_not_the_caller_s(lab: LabUnderTest) -> None:
    network = Network(lab)
    (eni,) = network.shown(network.endpoint())["NetworkInterfaceIds"]
    (shown,) = lab.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert (shown["InterfaceType"], shown["Status"], shown["RequesterManaged"]) == (
        "vpc_endpoint",
        "in-use",
        True,
    )
    take = partial(
        lab.ec2.assign_private_ip_addresses,
        NetworkInterfaceId=lab.eni(network.subnet),
        PrivateIpAddresses=[ADDRESS],
        AllowReassignment=True,
    )
    assert code_of(take) == "InvalidIPAddress.InUse"
    give = partial(
        lab.ec2.assign_private_ip_addresses, NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.8"]
    )
    assert code_of(give) == "OperationNotPermitted"
    assert code_of(partial(lab.ec2.delete_network_interface, NetworkInterfaceId=eni)) == (
        "InvalidNetworkInterface.InUse"
    )


def test_endpoints_that_cannot_be(lab: LabUnderTest) -> None:
    network = Network(lab)
    lab.eni(network.subnet, "10.0.1.9")
    second = lab.subnet("10.0.2.0/24", vpc=network.vpc)  # in the same zone
    foreign = lab.subnet(vpc=lab.vpc())
    cases: list[tuple[str, dict[str, Json]]] = [
        ("UnsupportedOperation", {"VpcEndpointType": "Gateway"}),
        ("UnsupportedOperation", {"ServiceName": "com.amazonaws.us-east-1.s3"}),
        ("InvalidPolicyDocument", {"PolicyDocument": "{"}),
        ("UnsupportedOperation", {"PolicyDocument": CALLERS_APART}),
        ("UnsupportedOperation", {"IpAddressType": "dualstack"}),
        ("InvalidParameterValue", {"SubnetConfigurations": [{"SubnetId": second, "Ipv4": "10.0.2.9"}]}),
        (
            "InvalidIPAddress.InUse",
            {"SubnetConfigurations": [{"SubnetId": network.subnet, "Ipv4": "10.0.1.9"}]},
        ),
        (
            "InvalidParameterValue",
            {"SubnetConfigurations": [{"SubnetId": network.subnet, "Ipv4": "10.0.2.9"}]},
        ),
        ("InvalidParameterValue", {"SubnetIds": [foreign], "SubnetConfigurations": []}),
        ("DuplicateSubnetsInSameZone", {"SubnetIds": [network.subnet, second]}),
        ("InvalidGroup.NotFound", {"SecurityGroupIds": ["sg-0123456789abcdef0"]}),
        ("InvalidVpcID.NotFound", {"VpcId": "vpc-0123456789abcdef0"}),
    ]
    for code, changed in cases:
        assert code_of(partial(network.create, **changed)) == code, changed
    lab.ec2.modify_vpc_attribute(VpcId=network.vpc, EnableDnsHostnames={"Value": False})
    assert code_of(network.create) == "InvalidParameter"
    assert lab.ec2.describe_vpc_endpoints()["VpcEndpoints"] == []
    network.endpoint(PrivateDnsEnabled=False)


def test_one_endpoint_of_a_vpc_has_the_service_s_own_name(lab: LabUnderTest) -> None:
    network = Network(lab)
    network.endpoint()
    again = partial(network.create, SubnetConfigurations=[])
    assert code_of(again) == "InvalidParameter"
    again(PrivateDnsEnabled=False)


def test_a_client_token_makes_one_endpoint(lab: LabUnderTest) -> None:
    network = Network(lab)
    assert network.endpoint(ClientToken="once") == network.endpoint(ClientToken="once")


def test_an_endpoint_s_own_choice_of_address(lab: LabUnderTest) -> None:
    network = Network(lab)
    endpoint = network.endpoint(SubnetConfigurations=[], SecurityGroupIds=[])
    (eni,) = network.shown(endpoint)["NetworkInterfaceIds"]
    assert lab.world.enis[eni].private_ips == (IPv4Address("10.0.1.128"),)
    assert [g["GroupName"] for g in network.shown(endpoint)["Groups"]] == ["default"]


@pytest.mark.parametrize("name", ["vpc-endpoint-id", "vpc-id", "service-name", "tag:Name"])
def test_filters(lab: LabUnderTest, name: str) -> None:
    network = Network(lab)
    endpoint = network.endpoint()
    lab.ec2.create_tags(Resources=[endpoint], Tags=[{"Key": "Name", "Value": "api"}])
    values = {
        "vpc-endpoint-id": endpoint,
        "vpc-id": network.vpc,
        "service-name": SERVICE,
        "tag:Name": "api",
    }
    for value, found in ((values[name], [endpoint]), ("other", [])):
        listed = lab.ec2.describe_vpc_endpoints(Filters=[{"Name": name, "Values": [value]}])["VpcEndpoints"]
        assert [e["VpcEndpointId"] for e in listed] == found
