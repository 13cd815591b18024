"""Private addresses: who may have which, and how they move."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address

import pytest

from tests.unit.cloud_testing import LabUnderTest, code_of

HAVIP = "10.0.1.100"


def ips(lab: LabUnderTest, eni: str) -> list[str]:
    """What the API says, which must be what the world says."""
    found = lab.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]
    told = [item["PrivateIpAddress"] for item in found["PrivateIpAddresses"]]
    assert [str(a) for a in lab.world.enis[eni].private_ips] == told
    return told


def assign(lab: LabUnderTest, eni: str, address: str, *, move: bool) -> None:
    lab.ec2.assign_private_ip_addresses(
        NetworkInterfaceId=eni, PrivateIpAddresses=[address], AllowReassignment=move
    )


def test_reassignment_moves_the_address(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    one, other = lab.eni(subnet, "10.0.1.4"), lab.eni(subnet, "10.0.1.5")
    assign(lab, one, HAVIP, move=True)
    assert ips(lab, one) == ["10.0.1.4", HAVIP]
    assign(lab, other, HAVIP, move=True)
    assert ips(lab, one) == ["10.0.1.4"]
    assert ips(lab, other) == ["10.0.1.5", HAVIP]


def test_without_reassignment_the_address_stays(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    one, other = lab.eni(subnet, "10.0.1.4", HAVIP), lab.eni(subnet, "10.0.1.5")
    assert code_of(lambda: assign(lab, other, HAVIP, move=False)) == "InvalidIPAddress.InUse"
    assert ips(lab, one) == ["10.0.1.4", HAVIP]
    assert ips(lab, other) == ["10.0.1.5"]


def test_claiming_an_address_again_changes_nothing(lab: LabUnderTest) -> None:
    eni = lab.eni(lab.subnet(), "10.0.1.4", HAVIP)
    before = len(lab.worlds)
    assign(lab, eni, HAVIP, move=True)
    assert ips(lab, eni) == ["10.0.1.4", HAVIP]
    assert len(lab.worlds) == before


@pytest.mark.parametrize("move", [True, False])
def test_a_primary_address_never_moves(lab: LabUnderTest, move: bool) -> None:
    subnet = lab.subnet()
    one, other = lab.eni(subnet, "10.0.1.4"), lab.eni(subnet, "10.0.1.5")
    assert code_of(lambda: assign(lab, other, "10.0.1.4", move=move)) == "InvalidIPAddress.InUse"
    assert ips(lab, one) == ["10.0.1.4"]


def test_several_addresses_move_together_or_not_at_all(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    one, other = lab.eni(subnet, "10.0.1.4", HAVIP), lab.eni(subnet, "10.0.1.5")
    both = [HAVIP, "10.0.1.4"]  # the second is a primary one
    call = partial(
        lab.ec2.assign_private_ip_addresses,
        NetworkInterfaceId=other,
        PrivateIpAddresses=both,
        AllowReassignment=True,
    )
    assert code_of(call) == "InvalidIPAddress.InUse"
    assert ips(lab, one) == ["10.0.1.4", HAVIP]
    assert ips(lab, other) == ["10.0.1.5"]


def test_an_elastic_address_goes_where_its_private_one_goes(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    lab.gateway(vpc)
    subnet = lab.subnet(vpc=vpc)
    one, other = lab.eni(subnet, "10.0.1.4", HAVIP), lab.eni(subnet, "10.0.1.5")
    elastic = lab.ec2.allocate_address(Domain="vpc")
    lab.ec2.associate_address(
        AllocationId=elastic["AllocationId"], NetworkInterfaceId=one, PrivateIpAddress=HAVIP
    )
    assign(lab, other, HAVIP, move=True)
    assert lab.world.enis[one].public_ips == {}
    assert lab.world.enis[other].public_ips == {IPv4Address(HAVIP): IPv4Address(elastic["PublicIp"])}


def test_unassign(lab: LabUnderTest) -> None:
    eni = lab.eni(lab.subnet(), "10.0.1.4", HAVIP)
    lab.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=[HAVIP])
    assert ips(lab, eni) == ["10.0.1.4"]
    for address in (HAVIP, "10.0.1.4"):  # not there any more; the primary one
        call = partial(
            lab.ec2.unassign_private_ip_addresses, NetworkInterfaceId=eni, PrivateIpAddresses=[address]
        )
        assert code_of(call) == "InvalidParameterValue"


def test_an_address_in_use_is_refused_everywhere(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    lab.eni(subnet, "10.0.1.4")
    assert code_of(lambda: lab.eni(subnet, "10.0.1.4")) == "InvalidIPAddress.InUse"
    assert code_of(lambda: lab.eni(subnet, "10.0.1.5", "10.0.1.4")) == "InvalidIPAddress.InUse"
    assert code_of(lambda: lab.instance(subnet, address="10.0.1.4")) == "InvalidIPAddress.InUse"
    assert not lab.world.instances


def test_the_same_address_in_two_vpcs(lab: LabUnderTest) -> None:
    enis = [lab.eni(lab.subnet(), "10.0.1.4") for _ in range(2)]
    assert {lab.world.enis[e].private_ips for e in enis} == {(IPv4Address("10.0.1.4"),)}


@pytest.mark.parametrize(
    "address", ["10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.255", "10.0.2.4", "10.0.1", "x"]
)
def test_addresses_that_are_not_ours_to_use(lab: LabUnderTest, address: str) -> None:
    subnet = lab.subnet()
    eni = lab.eni(subnet, "10.0.1.4")
    assert code_of(lambda: lab.eni(subnet, address)) == "InvalidParameterValue"
    assert code_of(lambda: assign(lab, eni, address, move=True)) == "InvalidParameterValue"
    assert code_of(lambda: lab.instance(subnet, address=address)) == "InvalidParameterValue"


def test_the_same_address_twice_is_refused(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    assert code_of(lambda: lab.eni(subnet, "10.0.1.4", HAVIP, HAVIP)) == "InvalidParameterValue"
    primary_again = partial(
        lab.ec2.create_network_interface,
        SubnetId=subnet,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.1.4", "Primary": True},
            {"PrivateIpAddress": "10.0.1.4", "Primary": False},
        ],
    )
    assert code_of(primary_again) == "InvalidParameterValue"
    assert lab.world.enis == {}


def test_reserved_addresses_are_given_only_by_name(lab: LabUnderTest) -> None:
    subnet = lab.subnet("10.0.1.0/28")  # 11 usable addresses: .4 to .14
    made = lab.ec2.create_subnet_cidr_reservation(
        SubnetId=subnet,
        Cidr="10.0.1.8/29",
        ReservationType="explicit",
        Description="HaVips",
        TagSpecifications=[
            {"ResourceType": "subnet-cidr-reservation", "Tags": [{"Key": "Name", "Value": "havips"}]}
        ],
    )["SubnetCidrReservation"]
    assert (made["Cidr"], made["ReservationType"], made["Description"]) == (
        "10.0.1.8/29",
        "explicit",
        "HaVips",
    )
    assert made["Tags"] == [{"Key": "Name", "Value": "havips"}]
    chosen = {ips(lab, lab.eni(subnet))[0] for _ in range(4)}
    assert chosen == {"10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.7"}
    assert code_of(lambda: lab.eni(subnet)) == "InsufficientFreeAddressesInSubnet"
    assert ips(lab, lab.eni(subnet, "10.0.1.9")) == ["10.0.1.9"]
    got = lab.ec2.get_subnet_cidr_reservations(SubnetId=subnet)["SubnetIpv4CidrReservations"]
    assert [r["SubnetCidrReservationId"] for r in got] == [made["SubnetCidrReservationId"]]
    lab.ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=made["SubnetCidrReservationId"])
    assert lab.ec2.get_subnet_cidr_reservations(SubnetId=subnet)["SubnetIpv4CidrReservations"] == []
    assert ips(lab, lab.eni(subnet))[0] in {"10.0.1.8", "10.0.1.10"}


def test_a_reservation_lies_in_its_subnet_and_overlaps_no_other(lab: LabUnderTest) -> None:
    subnet = lab.subnet()

    def reserve(cidr: str) -> None:
        lab.ec2.create_subnet_cidr_reservation(SubnetId=subnet, Cidr=cidr, ReservationType="explicit")

    reserve("10.0.1.96/28")
    assert code_of(lambda: reserve("10.0.1.104/29")) == "InvalidParameterValue"
    assert code_of(lambda: reserve("10.0.2.0/28")) == "InvalidParameterValue"


def test_addresses_by_number(lab: LabUnderTest) -> None:
    eni = lab.eni(lab.subnet(), "10.0.1.4")
    answer = lab.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=2)
    new = [item["PrivateIpAddress"] for item in answer["AssignedPrivateIpAddresses"]]
    assert ips(lab, eni) == ["10.0.1.4", *new]
    assert len(set(new)) == 2


def test_the_instance_type_limits_addresses_per_interface(lab: LabUnderTest) -> None:
    eni = lab.primary(lab.instance(lab.subnet(), kind="t3.small"))  # 4 per interface
    lab.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=3)
    assert code_of(lambda: assign(lab, eni, HAVIP, move=True)) == "PrivateIpAddressLimitExceeded"
    assert len(ips(lab, eni)) == 4


def test_an_address_is_not_assigned_twice_in_one_call(lab: LabUnderTest) -> None:
    eni = lab.eni(lab.subnet(), "10.0.1.4")
    twice = partial(lab.ec2.assign_private_ip_addresses, PrivateIpAddresses=["10.0.1.5", "10.0.1.5"])
    assert code_of(partial(twice, NetworkInterfaceId=eni)) == "InvalidParameterValue"
    assert [str(address) for address in lab.world.enis[eni].private_ips] == ["10.0.1.4"]
