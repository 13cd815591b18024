"""VPCs, subnets, gateways, routes and public addresses."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud.images import IMAGE_ID
from lab.cloud.public_addresses import LAST, PUBLIC_NETWORK, PublicAddresses
from lab.world import Route, RouteTarget
from tests.unit.cloud_testing import LabUnderTest, code_of

EVERYWHERE = IPv4Network("0.0.0.0/0")


def test_routes_follow_the_explicit_table_else_the_main_one(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    plain, special = lab.subnet("10.0.1.0/24", vpc=vpc), lab.subnet("10.0.2.0/24", vpc=vpc)
    local = Route(destination=IPv4Network("10.0.0.0/16"), target=RouteTarget.LOCAL)
    gateway = lab.gateway(vpc)  # in the main table
    internet = Route(destination=EVERYWHERE, target=RouteTarget.INTERNET, target_id=gateway)
    table = lab.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = lab.ec2.associate_route_table(RouteTableId=table, SubnetId=special)["AssociationId"]
    assert lab.world.subnets[plain].routes == (local, internet)
    assert lab.world.subnets[special].routes == (local,)
    instance = lab.instance(plain)
    eni = lab.primary(instance)
    lab.ec2.create_route(RouteTableId=table, DestinationCidrBlock="172.16.0.0/16", NetworkInterfaceId=eni)
    through = Route(destination=IPv4Network("172.16.0.0/16"), target=RouteTarget.ENI, target_id=eni)
    assert lab.world.subnets[special].routes == (local, through)
    lab.ec2.disassociate_route_table(AssociationId=association)
    assert lab.world.subnets[special].routes == (local, internet)


def test_a_route_whose_target_is_gone_is_a_black_hole(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    gateway, main = lab.gateway(vpc), lab.main_table(vpc)
    instance = lab.instance(subnet)
    eni = lab.primary(instance)
    lab.ec2.create_route(RouteTableId=main, DestinationCidrBlock="172.16.0.0/16", InstanceId=instance)
    lab.ec2.terminate_instances(InstanceIds=[instance])
    lab.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert lab.world.subnets[subnet].routes[1:] == (
        Route(destination=EVERYWHERE, target=RouteTarget.BLACKHOLE, target_id=gateway),
        Route(destination=IPv4Network("172.16.0.0/16"), target=RouteTarget.BLACKHOLE, target_id=eni),
    )
    shown = lab.ec2.describe_route_tables(RouteTableIds=[main])["RouteTables"][0]["Routes"]
    assert [r["State"] for r in shown] == ["active", "blackhole", "blackhole"]


def test_routes_that_cannot_be(lab: LabUnderTest) -> None:
    vpc, other = lab.vpc(), lab.vpc()
    foreign = lab.gateway(other)
    create = partial(lab.ec2.create_route, RouteTableId=lab.main_table(vpc), DestinationCidrBlock="0.0.0.0/0")
    assert code_of(lambda: create(GatewayId=foreign)) == "InvalidParameterValue"
    lab.gateway(vpc)
    own = lab.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
    again = partial(create, GatewayId=own["InternetGateways"][0]["InternetGatewayId"])
    assert code_of(again) == "RouteAlreadyExists"
    assert code_of(lambda: create(NatGatewayId="nat-0")) == "InvalidNatGatewayID.NotFound"
    assert code_of(lambda: create(VpcPeeringConnectionId="pcx-0")) == "UnsupportedOperation"


def test_an_unknown_filter_is_named(lab: LabUnderTest) -> None:
    lab.ec2.create_tags(Resources=[lab.subnet()], Tags=[{"Key": "Name", "Value": "a"}])
    wanted: Any = [{"Name": "colour", "Values": ["red"]}]
    for call in ("vpcs", "subnets", "route_tables", "security_groups", "tags", "instance_types"):
        describe = getattr(lab.ec2, f"describe_{call}")
        with pytest.raises(ClientError, match=r"\(InvalidParameterValue\).*The filter 'colour' is invalid"):
            describe(Filters=wanted)


def test_a_subnet_has_one_table(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    one, other = (lab.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    associate = partial(lab.ec2.associate_route_table, SubnetId=subnet)
    first = associate(RouteTableId=one)["AssociationId"]
    assert associate(RouteTableId=one)["AssociationId"] == first
    assert code_of(lambda: associate(RouteTableId=other)) == "Resource.AlreadyAssociated"
    assert code_of(lambda: lab.ec2.delete_route_table(RouteTableId=one)) == "DependencyViolation"
    lab.ec2.delete_subnet(SubnetId=subnet)
    lab.ec2.delete_route_table(RouteTableId=one)


def test_nothing_is_deleted_under_what_needs_it(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet, gateway, group = lab.subnet(vpc=vpc), lab.gateway(vpc), lab.group(vpc)
    eni = lab.eni(subnet)
    delete_vpc = partial(lab.ec2.delete_vpc, VpcId=vpc)
    delete_subnet = partial(lab.ec2.delete_subnet, SubnetId=subnet)
    detach = partial(lab.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)
    elastic = lab.ec2.allocate_address(Domain="vpc")["AllocationId"]
    lab.ec2.associate_address(AllocationId=elastic, NetworkInterfaceId=eni)
    assert code_of(delete_subnet) == "DependencyViolation"
    assert code_of(detach) == "DependencyViolation"
    assert code_of(partial(lab.ec2.release_address, AllocationId=elastic)) == "InvalidIPAddress.InUse"
    lab.ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert code_of(delete_vpc) == "DependencyViolation"  # the subnet
    delete_subnet()
    assert code_of(delete_vpc) == "DependencyViolation"  # the gateway
    delete_gateway = partial(lab.ec2.delete_internet_gateway, InternetGatewayId=gateway)
    assert code_of(delete_gateway) == "DependencyViolation"
    detach()
    assert code_of(delete_vpc) == "DependencyViolation"  # the group
    lab.ec2.delete_security_group(GroupId=group)
    delete_vpc()
    delete_gateway()
    assert (lab.world.vpcs, lab.world.subnets, lab.world.security_groups) == ({}, {}, {})


def test_subnets_that_cannot_be(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    lab.subnet("10.0.1.0/24", vpc=vpc)
    assert code_of(lambda: lab.subnet("10.0.1.0/25", vpc=vpc)) == "InvalidSubnet.Conflict"
    assert code_of(lambda: lab.subnet("10.1.0.0/24", vpc=vpc)) == "InvalidSubnet.Range"
    assert code_of(lambda: lab.subnet("10.0.2.0/29", vpc=vpc)) == "InvalidSubnet.Range"
    assert code_of(lambda: lab.subnet("10.0.2/24", vpc=vpc)) == "InvalidParameterValue"
    assert code_of(lambda: lab.vpc("10.0.2/24")) == "InvalidParameterValue"
    assert code_of(lambda: lab.subnet("10.0.2.0/24", vpc=vpc, zone="us-east-1z")) == "InvalidParameterValue"
    assert code_of(lambda: lab.subnet("10.0.2.0/24", vpc="vpc-0")) == "InvalidVpcID.NotFound"


def test_host_bits_of_prefixes_are_cleared(lab: LabUnderTest) -> None:
    made = lab.ec2.create_vpc(CidrBlock="10.9.0.1/16")["Vpc"]
    assert made["CidrBlock"] == "10.9.0.0/16"
    subnet = lab.ec2.create_subnet(VpcId=made["VpcId"], CidrBlock="10.9.5.77/24")["Subnet"]
    assert subnet["CidrBlock"] == "10.9.5.0/24"
    assert lab.world.subnets[subnet["SubnetId"]].cidr == IPv4Network("10.9.5.0/24")
    more = lab.ec2.associate_vpc_cidr_block(VpcId=made["VpcId"], CidrBlock="10.10.3.2/16")
    assert more["CidrBlockAssociation"]["CidrBlock"] == "10.10.0.0/16"
    assert lab.world.vpcs[made["VpcId"]].cidrs == (IPv4Network("10.9.0.0/16"), IPv4Network("10.10.0.0/16"))
    assert code_of(lambda: lab.subnet("10.9.5.200/25", vpc=made["VpcId"])) == "InvalidSubnet.Conflict"


@pytest.mark.parametrize("cidr", ["10.9.0.0/16", "10.9.128.0/20", "10.8.0.0/15", "10.10.0.0/29"])
def test_a_vpc_has_no_prefix_twice(lab: LabUnderTest, cidr: str) -> None:
    vpc = lab.vpc("10.9.0.0/16")
    associate = partial(lab.ec2.associate_vpc_cidr_block, VpcId=vpc)
    assert code_of(partial(associate, CidrBlock=cidr)) == "InvalidVpc.Range"
    assert lab.world.vpcs[vpc].cidrs == (IPv4Network("10.9.0.0/16"),)
    added = associate(CidrBlock="10.10.0.0/16")["CidrBlockAssociation"]["AssociationId"]
    assert code_of(partial(associate, CidrBlock="10.10.0.0/17")) == "InvalidVpc.Range"
    lab.ec2.disassociate_vpc_cidr_block(AssociationId=added)
    associate(CidrBlock="10.10.0.0/16")


def test_the_default_vpc_appears_when_something_is_in_it(lab: LabUnderTest) -> None:
    assert lab.world.vpcs == {}
    made = lab.ec2.run_instances(ImageId=IMAGE_ID, InstanceType="t3.small", MinCount=1, MaxCount=1)
    (eni,) = lab.world.enis_of(made["Instances"][0]["InstanceId"])
    assert list(lab.world.vpcs) == [eni.vpc_id]
    assert list(eni.public_ips) == list(eni.private_ips)
    assert lab.world.subnets[eni.subnet_id].routes[1].target is RouteTarget.INTERNET


def test_elastic_addresses(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    eni, other = lab.eni(subnet, "10.0.1.4", "10.0.1.5"), lab.eni(subnet, "10.0.1.6")
    made = [lab.ec2.allocate_address(Domain="vpc") for _ in range(2)]
    publics = [IPv4Address(m["PublicIp"]) for m in made]
    assert all(p in PUBLIC_NETWORK for p in publics)
    assert publics[0] != publics[1]
    first, second = (partial(lab.ec2.associate_address, AllocationId=m["AllocationId"]) for m in made)
    assert code_of(lambda: first(NetworkInterfaceId=eni)) == "Gateway.NotAttached"
    lab.gateway(vpc)
    first(NetworkInterfaceId=eni)
    second(NetworkInterfaceId=eni, PrivateIpAddress="10.0.1.5")
    assert lab.world.enis[eni].public_ips == {
        IPv4Address("10.0.1.4"): publics[0],
        IPv4Address("10.0.1.5"): publics[1],
    }
    kept = partial(first, NetworkInterfaceId=other, AllowReassociation=False)
    assert code_of(kept) == "Resource.AlreadyAssociated"
    association = first(NetworkInterfaceId=other)["AssociationId"]
    assert lab.world.enis[other].public_ips == {IPv4Address("10.0.1.6"): publics[0]}
    (shown,) = lab.ec2.describe_addresses(AllocationIds=[made[0]["AllocationId"]])["Addresses"]
    assert (shown["NetworkInterfaceId"], shown["PrivateIpAddress"]) == (other, "10.0.1.6")
    assert (shown["AssociationId"], shown["PublicIp"]) == (association, str(publics[0]))
    lab.ec2.disassociate_address(AssociationId=association)
    lab.ec2.release_address(AllocationId=made[0]["AllocationId"])
    assert lab.world.enis[other].public_ips == {}
    gone = partial(lab.ec2.describe_addresses, AllocationIds=[made[0]["AllocationId"]])
    assert code_of(gone) == "InvalidAllocationID.NotFound"
    assert lab.ec2.allocate_address(Domain="vpc")["PublicIp"] not in {str(p) for p in publics}


def test_a_public_address_comes_back_only_after_all_others() -> None:
    pool = PublicAddresses()
    first = pool.take()
    pool.give_back(first)
    others = [pool.take() for _ in range(LAST - 1)]
    assert first not in others
    assert len(set(others)) == len(others)
    assert pool.take() == first


def test_automatic_public_addresses(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    lab.gateway(vpc)
    private = lab.instance(subnet)
    assert lab.world.enis_of(private)[0].public_ips == {}
    lab.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    instance = lab.instance(subnet)

    def public() -> list[IPv4Address]:
        return list(lab.world.enis[lab.primary(instance)].public_ips.values())

    (first,) = public()
    shown = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert shown["PublicIpAddress"] == str(first)
    lab.ec2.stop_instances(InstanceIds=[instance])
    assert public() == []
    lab.ec2.start_instances(InstanceIds=[instance])
    (second,) = public()
    assert second != first
    elastic = lab.ec2.allocate_address(Domain="vpc")
    lab.ec2.associate_address(AllocationId=elastic["AllocationId"], InstanceId=instance)
    assert public() == [IPv4Address(elastic["PublicIp"])]
    lab.ec2.stop_instances(InstanceIds=[instance])
    assert public() == [IPv4Address(elastic["PublicIp"])]


def test_what_the_fabric_lacks_is_refused(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    nat = partial(lab.ec2.create_nat_gateway, SubnetId=lab.subnet(vpc=vpc), ConnectivityType="private")
    peering = partial(lab.ec2.create_vpc_peering_connection, VpcId=vpc, PeerVpcId=lab.vpc())
    for call in (
        nat,
        peering,
        partial(lab.ec2.create_vpc, CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True),
    ):
        assert code_of(call) == "UnsupportedOperation"
