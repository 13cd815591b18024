"""Network interfaces: attach, detach, delete, attributes."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address
from typing import Any

import pytest

from lab.cloud.images import IMAGE_ID
from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any


def attach(lab: LabUnderTest, eni: str, instance: str, index: int) -> str:
    made = lab.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=index)
    return made["AttachmentId"]


def view(lab: LabUnderTest, eni: str) -> Json:
    return lab.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]


def test_an_interface_of_another_vpc_attaches_to_a_running_instance(lab: LabUnderTest) -> None:
    instance = lab.instance(lab.subnet("192.168.4.0/24", vpc=lab.vpc("192.168.0.0/16")))
    user_vpc = lab.vpc("172.16.0.0/16")
    eni = lab.eni(lab.subnet("172.16.101.0/24", vpc=user_vpc), "172.16.101.10")
    attachment = attach(lab, eni, instance, 1)
    there = lab.world.enis[eni]
    assert (there.vpc_id, there.instance_id, there.device_index) == (user_vpc, instance, 1)
    shown = view(lab, eni)
    assert shown["Status"] == "in-use"
    assert shown["Attachment"]["AttachmentId"] == attachment
    assert shown["Attachment"]["DeleteOnTermination"] is False
    of_instance = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert [n["NetworkInterfaceId"] for n in of_instance["NetworkInterfaces"]] == [lab.primary(instance), eni]
    lab.ec2.detach_network_interface(AttachmentId=attachment)
    assert lab.world.enis[eni].instance_id is None
    assert view(lab, eni)["Status"] == "available"
    lab.ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert eni not in lab.world.enis


def test_groups_of_an_instance_stay_its_own_with_a_second_interface(lab: LabUnderTest) -> None:
    vpc, other = lab.vpc("192.168.0.0/16"), lab.vpc("172.16.0.0/16")
    subnet, group, foreign = lab.subnet("192.168.4.0/24", vpc=vpc), lab.group(vpc), lab.group(other)
    instance = lab.instance(subnet)
    lab.ec2.modify_instance_attribute(InstanceId=instance, Groups=[group])
    eni = lab.ec2.create_network_interface(
        SubnetId=lab.subnet("172.16.101.0/24", vpc=other), Groups=[foreign]
    )["NetworkInterface"]["NetworkInterfaceId"]
    attach(lab, eni, instance, 1)
    shown = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert [g["GroupId"] for g in shown["SecurityGroups"]] == [group]
    assert [[g["GroupId"] for g in n["Groups"]] for n in shown["NetworkInterfaces"]] == [[group], [foreign]]
    assert [e.group_ids for e in lab.world.enis_of(instance)] == [(group,), (foreign,)]
    assert [g["GroupId"] for g in view(lab, eni)["Groups"]] == [foreign]


def test_not_into_another_zone(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    instance = lab.instance(lab.subnet(vpc=vpc))
    eni = lab.eni(lab.subnet("10.0.2.0/24", vpc=vpc, zone="us-east-1b"))
    assert code_of(lambda: attach(lab, eni, instance, 1)) == "InvalidParameterCombination"
    assert lab.world.enis[eni].instance_id is None


def test_no_more_interfaces_than_the_type_has(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    instance = lab.instance(subnet, kind="c6in.large")  # 3
    enis = [lab.eni(subnet) for _ in range(3)]
    attach(lab, enis[0], instance, 1)
    attach(lab, enis[1], instance, 2)
    assert code_of(lambda: attach(lab, enis[2], instance, 3)) == "AttachmentLimitExceeded"


def test_no_interface_with_more_addresses_than_the_type_has(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    instance = lab.instance(subnet, kind="t3.small")  # 4
    eni = lab.eni(subnet, *(f"10.0.1.{n}" for n in range(10, 15)))
    assert code_of(lambda: attach(lab, eni, instance, 1)) == "PrivateIpAddressLimitExceeded"


def test_a_device_index_and_an_interface_are_used_once(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    instance, other = lab.instance(subnet), lab.instance(subnet)
    eni, second = lab.eni(subnet), lab.eni(subnet)
    attach(lab, eni, instance, 1)
    assert code_of(lambda: attach(lab, second, instance, 1)) == "InvalidParameterValue"
    assert code_of(lambda: attach(lab, second, instance, 0)) == "InvalidParameterValue"
    assert code_of(lambda: attach(lab, eni, other, 1)) == "InvalidNetworkInterface.InUse"
    call = partial(lab.ec2.delete_network_interface, NetworkInterfaceId=eni)
    assert code_of(call) == "InvalidNetworkInterface.InUse"


def test_the_primary_interface_stays(lab: LabUnderTest) -> None:
    eni = lab.primary(lab.instance(lab.subnet()))
    attachment = view(lab, eni)["Attachment"]["AttachmentId"]
    call = partial(lab.ec2.detach_network_interface, AttachmentId=attachment)
    assert code_of(call) == "OperationNotPermitted"


def test_what_does_not_exist(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    eni = lab.eni(subnet)
    describe = lab.ec2.describe_network_interfaces
    assert code_of(lambda: describe(NetworkInterfaceIds=["eni-0"])) == "InvalidNetworkInterfaceID.NotFound"
    assert code_of(lambda: attach(lab, eni, "i-0", 1)) == "InvalidInstanceID.NotFound"
    detach = partial(lab.ec2.detach_network_interface, AttachmentId="eni-attach-0")
    assert code_of(detach) == "InvalidAttachmentID.NotFound"
    create = lab.ec2.create_network_interface
    assert code_of(lambda: create(SubnetId="subnet-0")) == "InvalidSubnetID.NotFound"
    assert code_of(lambda: create(SubnetId=subnet, Groups=["sg-0"])) == "InvalidGroup.NotFound"
    foreign = lab.group(lab.vpc())
    assert code_of(lambda: create(SubnetId=subnet, Groups=[foreign])) == "InvalidParameter"


def test_source_dest_check_is_one_thing_on_instance_and_interface(lab: LabUnderTest) -> None:
    instance = lab.instance(lab.subnet())
    eni = lab.primary(instance)

    def seen() -> set[bool]:
        shown = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        of_eni = lab.ec2.describe_network_interface_attribute(
            NetworkInterfaceId=eni, Attribute="sourceDestCheck"
        )
        of_instance = lab.ec2.describe_instance_attribute(InstanceId=instance, Attribute="sourceDestCheck")
        return {
            shown["SourceDestCheck"],
            shown["NetworkInterfaces"][0]["SourceDestCheck"],
            of_eni["SourceDestCheck"]["Value"],
            of_instance["SourceDestCheck"]["Value"],
            lab.world.enis[eni].source_dest_check,
        }

    assert seen() == {True}
    lab.ec2.modify_instance_attribute(InstanceId=instance, SourceDestCheck={"Value": False})
    assert seen() == {False}
    lab.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": True})
    assert seen() == {True}
    lab.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": False})
    lab.ec2.reset_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck="true")
    assert seen() == {True}


def test_with_two_interfaces_the_interface_must_be_named(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    instance = lab.instance(subnet)
    attach(lab, lab.eni(subnet), instance, 1)
    call = partial(lab.ec2.modify_instance_attribute, InstanceId=instance, SourceDestCheck={"Value": False})
    assert code_of(call) == "InvalidInstanceID"


def test_attributes(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet, group = lab.subnet(vpc=vpc), lab.group(vpc)
    eni = lab.eni(subnet)
    change = partial(lab.ec2.modify_network_interface_attribute, NetworkInterfaceId=eni)
    change(Description={"Value": "user ENI"})
    change(Groups=[group])
    read = partial(lab.ec2.describe_network_interface_attribute, NetworkInterfaceId=eni)
    assert read(Attribute="description")["Description"] == {"Value": "user ENI"}
    assert [g["GroupId"] for g in read(Attribute="groupSet")["Groups"]] == [group]
    assert "Attachment" not in read(Attribute="attachment")
    attachment = attach(lab, eni, lab.instance(subnet), 1)
    assert read(Attribute="attachment")["Attachment"]["AttachmentId"] == attachment
    change(Attachment={"AttachmentId": attachment, "DeleteOnTermination": True})
    assert view(lab, eni)["Attachment"]["DeleteOnTermination"] is True
    change(Description={"Value": ""})
    assert view(lab, eni)["Description"] == ""


@pytest.mark.parametrize(
    "name", ["attachment.instance-id", "vpc-id", "status", "private-ip-address", "tag:Name"]
)
def test_filters(lab: LabUnderTest, name: str) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    instance = lab.instance(subnet, address="10.0.1.9")
    lab.eni(lab.subnet())  # of another VPC
    eni = lab.primary(instance)
    lab.ec2.create_tags(Resources=[eni], Tags=[{"Key": "Name", "Value": "first"}])
    values = {
        "attachment.instance-id": instance,
        "vpc-id": vpc,
        "status": "in-use",
        "private-ip-address": "10.0.1.9",
        "tag:Name": "fir*",
    }
    found = lab.ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": ["x", values[name]]}])
    assert [n["NetworkInterfaceId"] for n in found["NetworkInterfaces"]] == [eni]


def test_an_unknown_filter_is_an_error(lab: LabUnderTest) -> None:
    lab.eni(lab.subnet())
    call = partial(lab.ec2.describe_network_interfaces, Filters=[{"Name": "colour", "Values": ["red"]}])
    assert code_of(call) == "InvalidParameterValue"


def test_a_client_token_makes_one_interface(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    make = partial(lab.ec2.create_network_interface, SubnetId=subnet, ClientToken="once")
    assert (
        make()["NetworkInterface"]["NetworkInterfaceId"] == make()["NetworkInterface"]["NetworkInterfaceId"]
    )
    assert code_of(lambda: make(Description="another")) == "IdempotentParameterMismatch"
    assert len(lab.world.enis) == 1


def test_termination_deletes_what_it_should_and_detaches_the_rest(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    kept_primary, inline = lab.eni(subnet, "10.0.1.4"), "10.0.1.5"
    made = lab.ec2.run_instances(
        ImageId=IMAGE_ID,
        InstanceType="c6in.large",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "NetworkInterfaceId": kept_primary},
            {"DeviceIndex": 1, "SubnetId": subnet, "PrivateIpAddress": inline},
        ],
    )
    instance = made["Instances"][0]["InstanceId"]
    attached_later = lab.eni(subnet, "10.0.1.6")
    attach(lab, attached_later, instance, 2)
    assert [e.private_ips[0] for e in lab.world.enis_of(instance)] == [
        IPv4Address(a) for a in ("10.0.1.4", "10.0.1.5", "10.0.1.6")
    ]
    lab.ec2.terminate_instances(InstanceIds=[instance])
    assert set(lab.world.enis) == {kept_primary, attached_later}
    assert {e.instance_id for e in lab.world.enis.values()} == {None}
    assert lab.world.enis_of(instance) == []
    lab.instance(subnet, address=inline)  # free again
