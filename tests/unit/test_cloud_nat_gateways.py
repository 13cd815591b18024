"""NAT gateways: public ones."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from lab.world import Route, RouteTarget
from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any
EVERYWHERE = "0.0.0.0/0"
ADDRESS = "10.0.1.9"


class Network:
    """A VPC with a gateway in its public subnet, and a private subnet with a table of its own."""

    def __init__(self, lab: LabUnderTest, *, internet: bool = True) -> None:
        self.ec2 = lab.ec2
        self.vpc = lab.vpc()
        self.public, self.private = lab.subnet(vpc=self.vpc), lab.subnet("10.0.2.0/24", vpc=self.vpc)
        if internet:
            lab.gateway(self.vpc)
        self.table = lab.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        lab.ec2.associate_route_table(RouteTableId=self.table, SubnetId=self.private)
        self.elastic = lab.ec2.allocate_address(Domain="vpc")
        self.create = partial(
            lab.ec2.create_nat_gateway, SubnetId=self.public, AllocationId=self.elastic["AllocationId"]
        )

    def gateway(self, **more: Json) -> Json:
        """A new one."""
        return self.create(PrivateIpAddress=ADDRESS, **more)["NatGateway"]

    def shown(self, gateway: str) -> Json:
        """As DescribeNatGateways shows it."""
        return self.ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"][0]


def test_a_nat_gateway_has_an_interface_and_routes_lead_to_it(lab: LabUnderTest) -> None:
    network = Network(lab)
    tags: Json = [{"ResourceType": "natgateway", "Tags": [{"Key": "Name", "Value": "nat"}]}]
    made = network.gateway(TagSpecifications=tags)
    shown = network.shown(made["NatGatewayId"])
    assert (shown["State"], shown["SubnetId"], shown["VpcId"]) == ("available", network.public, network.vpc)
    assert shown["Tags"] == [{"Key": "Name", "Value": "nat"}]
    (address,) = shown["NatGatewayAddresses"]
    assert (address["PrivateIp"], address["PublicIp"]) == (ADDRESS, network.elastic["PublicIp"])
    eni = lab.world.enis[address["NetworkInterfaceId"]]
    assert eni.public_ips == {IPv4Address(ADDRESS): IPv4Address(network.elastic["PublicIp"])}
    assert (eni.subnet_id, eni.group_ids, eni.instance_id) == (network.public, (), None)
    lab.ec2.create_route(
        RouteTableId=network.table, DestinationCidrBlock=EVERYWHERE, NatGatewayId=made["NatGatewayId"]
    )
    route = Route(destination=IPv4Network(EVERYWHERE), target=RouteTarget.NAT, target_id=eni.id)
    assert lab.world.subnets[network.private].routes[1:] == (route,)
    (table,) = lab.ec2.describe_route_tables(RouteTableIds=[network.table])["RouteTables"]
    assert table["Routes"][1]["NatGatewayId"] == made["NatGatewayId"]
    assert table["Routes"][1]["State"] == "active"


def test_the_end_of_a_nat_gateway(lab: LabUnderTest) -> None:
    network = Network(lab)
    gateway = network.gateway()["NatGatewayId"]
    lab.ec2.create_route(RouteTableId=network.table, DestinationCidrBlock=EVERYWHERE, NatGatewayId=gateway)
    assert code_of(lambda: lab.ec2.delete_subnet(SubnetId=network.public)) == "DependencyViolation"
    for _ in range(2):
        lab.ec2.delete_nat_gateway(NatGatewayId=gateway)
        assert network.shown(gateway)["State"] == "deleted"
    assert lab.world.enis == {}
    assert lab.world.subnets[network.private].routes[1].target is RouteTarget.BLACKHOLE
    (table,) = lab.ec2.describe_route_tables(RouteTableIds=[network.table])["RouteTables"]
    assert table["Routes"][1]["State"] == "blackhole"
    lab.ec2.release_address(AllocationId=network.elastic["AllocationId"])
    lab.ec2.delete_subnet(SubnetId=network.public)
    unknown = partial(lab.ec2.delete_nat_gateway, NatGatewayId="nat-0123456789abcdef0")
    assert code_of(unknown) == "NatGatewayNotFound"


def test_its_interface_is_not_the_caller_s(lab: LabUnderTest) -> None:
    network = Network(lab)
    eni = network.gateway()["NatGatewayAddresses"][0]["NetworkInterfaceId"]
    (shown,) = lab.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert (shown["InterfaceType"], shown["Status"], shown["RequesterManaged"]) == (
        "nat_gateway",
        "in-use",
        True,
    )
    instance, other = lab.instance(network.public), lab.ec2.allocate_address(Domain="vpc")["AllocationId"]
    in_use: list[Json] = [
        partial(lab.ec2.delete_network_interface, NetworkInterfaceId=eni),
        partial(lab.ec2.attach_network_interface, NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1),
    ]
    assert [code_of(call) for call in in_use] == ["InvalidNetworkInterface.InUse"] * 2
    association = network.ec2.describe_addresses(AllocationIds=[network.elastic["AllocationId"]])
    forbidden: list[Json] = [
        partial(lab.ec2.assign_private_ip_addresses, NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.8"]),
        partial(
            lab.ec2.modify_network_interface_attribute, NetworkInterfaceId=eni, Description={"Value": "x"}
        ),
        partial(lab.ec2.associate_address, NetworkInterfaceId=eni, AllocationId=other),
        partial(lab.ec2.associate_address, InstanceId=instance, AllocationId=network.elastic["AllocationId"]),
        partial(lab.ec2.disassociate_address, AssociationId=association["Addresses"][0]["AssociationId"]),
    ]
    assert [code_of(call) for call in forbidden] == ["OperationNotPermitted"] * 5


def test_nat_gateways_that_cannot_be(lab: LabUnderTest) -> None:
    network = Network(lab)
    lab.eni(network.public, ADDRESS)
    create = network.create
    assert code_of(partial(create, PrivateIpAddress=ADDRESS)) == "InvalidIPAddress.InUse"
    assert code_of(partial(create, PrivateIpAddress="10.0.2.9")) == "InvalidParameterValue"
    assert code_of(partial(create, SubnetId="subnet-0")) == "InvalidSubnetID.NotFound"
    assert code_of(partial(create, AllocationId="eipalloc-0")) == "InvalidAllocationID.NotFound"
    assert code_of(partial(create, ConnectivityType="private")) == "UnsupportedOperation"
    assert code_of(partial(create, SecondaryPrivateIpAddressCount=1)) == "UnsupportedOperation"
    missing = partial(lab.ec2.create_nat_gateway, SubnetId=network.public)
    assert code_of(missing) == "MissingParameter"
    create()
    assert code_of(create) == "Resource.AlreadyAssociated"
    assert len(lab.ec2.describe_nat_gateways()["NatGateways"]) == 1


def test_without_an_internet_gateway_it_fails(lab: LabUnderTest) -> None:
    network = Network(lab, internet=False)
    made = network.gateway()
    shown = network.shown(made["NatGatewayId"])
    assert (shown["State"], shown["FailureCode"]) == ("failed", "Gateway.NotAttached")
    assert lab.world.enis == {}
    lab.ec2.create_route(
        RouteTableId=network.table, DestinationCidrBlock=EVERYWHERE, NatGatewayId=made["NatGatewayId"]
    )
    assert lab.world.subnets[network.private].routes[1].target is RouteTarget.BLACKHOLE


def test_a_route_leads_to_a_nat_gateway_of_its_own_vpc(lab: LabUnderTest) -> None:
    one, other = Network(lab), Network(lab)
    gateway = one.gateway()["NatGatewayId"]
    route = partial(lab.ec2.create_route, DestinationCidrBlock=EVERYWHERE, NatGatewayId=gateway)
    assert code_of(partial(route, RouteTableId=other.table)) == "InvalidParameterValue"
    route(RouteTableId=one.table)


def test_a_client_token_makes_one_nat_gateway(lab: LabUnderTest) -> None:
    network = Network(lab)
    first, second = (network.gateway(ClientToken="once")["NatGatewayId"] for _ in range(2))
    assert first == second
    other = partial(network.create, ClientToken="once", PrivateIpAddress="10.0.1.77")
    assert code_of(other) == "IdempotentParameterMismatch"


@pytest.mark.parametrize("name", ["nat-gateway-id", "subnet-id", "vpc-id", "state", "tag:Name"])
def test_filters(lab: LabUnderTest, name: str) -> None:
    network, other = Network(lab), Network(lab)
    gateway = network.gateway()["NatGatewayId"]
    lab.ec2.delete_nat_gateway(NatGatewayId=other.gateway()["NatGatewayId"])
    lab.ec2.create_tags(Resources=[gateway], Tags=[{"Key": "Name", "Value": "nat"}])
    values = {
        "nat-gateway-id": gateway,
        "subnet-id": network.public,
        "vpc-id": network.vpc,
        "state": "available",
        "tag:Name": "nat",
    }
    found = lab.ec2.describe_nat_gateways(Filters=[{"Name": name, "Values": [values[name]]}])["NatGateways"]
    assert [g["NatGatewayId"] for g in found] == [gateway]
