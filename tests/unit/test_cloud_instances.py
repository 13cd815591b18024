"""Instances: launch, states, attributes, filters."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Address
from typing import Any

import pytest

from lab.cloud.images import IMAGE_ID
from lab.world import InstanceState
from tests.unit.cloud_testing import LabUnderTest, code_of, ec2_client

Json = Any

LAUNCH: dict[str, Any] = {"ImageId": IMAGE_ID, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}


def run(lab: LabUnderTest, **more: Json) -> Json:
    return lab.ec2.run_instances(**{**LAUNCH, **more})["Instances"][0]


def shown(lab: LabUnderTest, instance: str) -> Json:
    return lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def test_states_settle_where_nobody_observes(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet())
    assert instance["State"]["Name"] == "pending"
    named: dict[str, Json] = {"InstanceIds": [instance["InstanceId"]]}
    assert lab.state(instance["InstanceId"]) == "running"
    (change,) = lab.ec2.stop_instances(**named)["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    assert lab.state(instance["InstanceId"]) == "stopped"
    (change,) = lab.ec2.start_instances(**named)["StartingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    (change,) = lab.ec2.terminate_instances(**named)["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    assert lab.state(instance["InstanceId"]) == "terminated"
    assert shown(lab, instance["InstanceId"])["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def reported(lab: LabUnderTest, instance: str, state: InstanceState, becomes: str) -> None:
    lab.cloud.instance_changed(instance, state)
    lab.settle_reports()
    assert lab.state(instance) == becomes


def test_states_follow_what_is_observed(observed_lab: LabUnderTest) -> None:
    lab = observed_lab
    instance = run(lab, SubnetId=lab.subnet())["InstanceId"]
    assert lab.state(instance) == "pending"
    assert lab.world.instances[instance].state is InstanceState.RUNNING
    assert code_of(lambda: lab.ec2.stop_instances(InstanceIds=[instance])) == "IncorrectInstanceState"
    reported(lab, instance, InstanceState.RUNNING, "running")
    lab.ec2.stop_instances(InstanceIds=[instance])
    assert lab.world.instances[instance].state is InstanceState.STOPPED
    reported(lab, instance, InstanceState.RUNNING, "stopping")  # old news
    assert code_of(lambda: lab.ec2.start_instances(InstanceIds=[instance])) == "IncorrectInstanceState"
    reported(lab, instance, InstanceState.STOPPED, "stopped")
    lab.ec2.start_instances(InstanceIds=[instance])
    reported(lab, instance, InstanceState.RUNNING, "running")
    lab.ec2.terminate_instances(InstanceIds=[instance])
    assert lab.state(instance) == "shutting-down"
    assert len(lab.world.enis_of(instance)) == 1  # the machine may still use it
    reported(lab, instance, InstanceState.TERMINATED, "terminated")
    assert lab.world.enis == {}


def test_a_guest_that_powers_off(observed_lab: LabUnderTest) -> None:
    lab = observed_lab
    subnet = lab.subnet()
    stays = run(lab, SubnetId=subnet)["InstanceId"]
    goes = run(lab, SubnetId=subnet, InstanceInitiatedShutdownBehavior="terminate")["InstanceId"]
    for instance in (stays, goes):
        reported(lab, instance, InstanceState.RUNNING, "running")
    reported(lab, stays, InstanceState.STOPPED, "stopped")
    assert lab.world.instances[stays].state is InstanceState.STOPPED
    assert shown(lab, stays)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    reported(lab, goes, InstanceState.STOPPED, "shutting-down")
    assert lab.worlds[-1].instances[goes].state is InstanceState.TERMINATED


def test_a_machine_that_fails(observed_lab: LabUnderTest) -> None:
    lab = observed_lab
    subnet = lab.subnet()
    never, later = run(lab, SubnetId=subnet)["InstanceId"], run(lab, SubnetId=subnet)["InstanceId"]
    reported(lab, later, InstanceState.RUNNING, "running")
    lab.cloud.instance_failed(never, "no memory")
    lab.cloud.instance_failed(later, "crashed")
    lab.settle_reports()
    assert lab.state(never) == "terminated"
    assert "no memory" in shown(lab, never)["StateReason"]["Message"]
    (status,) = lab.ec2.describe_instance_status(InstanceIds=[later])["InstanceStatuses"]
    assert status["InstanceStatus"]["Status"] == "impaired"


def test_waiters(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet())["InstanceId"]
    once: Any = {"Delay": 1, "MaxAttempts": 1}
    for name in ("instance_exists", "instance_running", "instance_status_ok", "system_status_ok"):
        lab.ec2.get_waiter(name).wait(InstanceIds=[instance], WaiterConfig=once)
    lab.ec2.stop_instances(InstanceIds=[instance])
    lab.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=once)
    lab.ec2.terminate_instances(InstanceIds=[instance])
    lab.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=once)


def test_boots_are_counted(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet())["InstanceId"]
    named: dict[str, Json] = {"InstanceIds": [instance]}
    assert lab.world.instances[instance].boot_count == 0
    lab.ec2.reboot_instances(**named)
    assert lab.world.instances[instance].boot_count == 1
    assert lab.state(instance) == "running"
    lab.ec2.stop_instances(**named)
    assert code_of(lambda: lab.ec2.reboot_instances(**named)) == "IncorrectInstanceState"
    lab.ec2.start_instances(**named)
    assert lab.world.instances[instance].boot_count == 2


def test_everything_that_a_launch_says(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet, group = lab.subnet(vpc=vpc), lab.group(vpc)
    key = lab.ec2.create_key_pair(KeyName="me", KeyType="ed25519")
    assert key["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")

    def tags(resource: str) -> dict[str, Any]:
        return {"ResourceType": resource, "Tags": [{"Key": "Name", "Value": f"my {resource}"}]}

    instance = run(
        lab,
        SubnetId=subnet,
        PrivateIpAddress="10.0.1.7",
        SecurityGroupIds=[group],
        KeyName="me",
        UserData="#!/bin/sh\necho hello\n",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
        BlockDeviceMappings=[
            {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 8}}
        ],
        DisableApiTermination=True,
        TagSpecifications=[tags("instance"), tags("volume"), tags("network-interface")],
    )
    there = lab.world.instances[instance["InstanceId"]]
    assert (there.name, there.key_name, there.image_id) == ("my instance", "me", IMAGE_ID)
    assert there.user_data == b"#!/bin/sh\necho hello\n"
    assert there.public_key is not None
    assert there.public_key.startswith("ssh-ed25519 ")
    assert (there.imds_token_required, there.imds_hop_limit) == (True, 2)
    (eni,) = lab.world.enis_of(there.id)
    assert (eni.private_ips, eni.group_ids) == ((IPv4Address("10.0.1.7"),), (group,))
    found = shown(lab, there.id)
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["Tags"] == [{"Key": "Name", "Value": "my instance"}]
    (disk,) = found["BlockDeviceMappings"]
    (volume,) = lab.ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"], volume["Iops"]) == (
        True,
        "gp3",
        8,
        3000,
    )
    assert volume["KmsKeyId"]
    assert volume["Tags"] == [{"Key": "Name", "Value": "my volume"}]
    (attachment,) = volume["Attachments"]
    assert (attachment["InstanceId"], attachment["Device"]) == (there.id, "/dev/xvda")
    assert attachment["DeleteOnTermination"] is True
    name_tags = lab.ec2.describe_tags(Filters=[{"Name": "key", "Values": ["Name"]}])["Tags"]
    assert {t["ResourceType"] for t in name_tags} == {"instance", "volume", "network-interface"}
    end = partial(lab.ec2.terminate_instances, InstanceIds=[there.id])
    assert code_of(end) == "OperationNotPermitted"
    lab.ec2.modify_instance_attribute(InstanceId=there.id, DisableApiTermination={"Value": False})
    end()
    assert lab.ec2.describe_volumes()["Volumes"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "z9.tiny"}, "InvalidParameterValue"),
        ({"InstanceType": "c7gn.medium"}, "InvalidParameterValue"),  # arm64
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0"]}, "InvalidGroup.NotFound"),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "NoSuchEntity"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 8}}]},
            "UnsupportedOperation",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]},
            "InvalidParameterValue",
        ),
        ({"LaunchTemplate": {"LaunchTemplateName": "x"}}, "UnsupportedOperation"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}]}, "InvalidParameterCombination"),
    ],
)
def test_launches_that_cannot_be(lab: LabUnderTest, change: dict[str, Any], code: str) -> None:
    subnet = lab.subnet()
    before = lab.world
    assert code_of(lambda: run(lab, **{"SubnetId": subnet, **change})) == code
    assert lab.world == before
    assert lab.ec2.describe_volumes()["Volumes"] == []


def test_a_root_disk_without_a_size_has_the_images(lab: LabUnderTest) -> None:
    root = {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}
    run(lab, SubnetId=lab.subnet(), BlockDeviceMappings=[root])
    assert [(v["Size"], v["Encrypted"]) for v in lab.ec2.describe_volumes()["Volumes"]] == [(8, True)]


def test_user_data_has_a_limit(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    run(lab, SubnetId=subnet, UserData="#" * 16384)
    assert code_of(lambda: run(lab, SubnetId=subnet, UserData="#" * 16385)) == "InvalidParameterValue"


def test_a_launch_with_interfaces(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet, group = lab.subnet(vpc=vpc), lab.group(vpc)
    lab.gateway(vpc)
    existing = lab.eni(subnet, "10.0.1.9")
    inline = {
        "DeviceIndex": 0,
        "SubnetId": subnet,
        "PrivateIpAddresses": [
            {"PrivateIpAddress": "10.0.1.4", "Primary": True},
            {"PrivateIpAddress": "10.0.1.5", "Primary": False},
        ],
        "Groups": [group],
        "AssociatePublicIpAddress": False,
        "Description": "inline",
        "DeleteOnTermination": False,
    }
    instance = run(lab, NetworkInterfaces=[inline, {"DeviceIndex": 1, "NetworkInterfaceId": existing}])
    first, second = lab.world.enis_of(instance["InstanceId"])
    assert [str(a) for a in first.private_ips] == ["10.0.1.4", "10.0.1.5"]
    assert first.group_ids == (group,)
    assert second.id == existing
    busy = partial(run, lab, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": existing}])
    assert code_of(busy) == "InvalidNetworkInterface.InUse"


def test_a_public_address_on_request(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    lab.gateway(vpc)
    nic = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}
    instance = run(lab, NetworkInterfaces=[nic])
    assert len(lab.world.enis_of(instance["InstanceId"])[0].public_ips) == 1


def test_a_client_token_launches_once(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    one, again = (run(lab, SubnetId=subnet, ClientToken="once") for _ in range(2))
    assert one["InstanceId"] == again["InstanceId"]
    assert len(lab.world.instances) == 1
    other = partial(run, lab, SubnetId=subnet, ClientToken="once", InstanceType="t3.micro")
    assert code_of(other) == "IdempotentParameterMismatch"


def test_several_at_once(lab: LabUnderTest) -> None:
    made = lab.ec2.run_instances(**{**LAUNCH, "MinCount": 2, "MaxCount": 3, "SubnetId": lab.subnet()})
    assert [i["AmiLaunchIndex"] for i in made["Instances"]] == [0, 1, 2]
    assert len({str(e.private_ips[0]) for e in lab.world.enis.values()}) == 3
    assert len({e.mac for e in lab.world.enis.values()}) == 3


def test_a_dry_run_changes_nothing(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    before = lab.world
    assert code_of(lambda: run(lab, SubnetId=subnet, DryRun=True)) == "DryRunOperation"
    assert code_of(lambda: run(lab, SubnetId=subnet, DryRun=True, KeyName="x")) == "InvalidKeyPair.NotFound"
    assert lab.world == before


def test_attributes(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet(), UserData="one")["InstanceId"]
    read = partial(lab.ec2.describe_instance_attribute, InstanceId=instance)
    change = partial(lab.ec2.modify_instance_attribute, InstanceId=instance)
    assert base64.b64decode(read(Attribute="userData")["UserData"]["Value"]) == b"one"
    assert read(Attribute="disableApiTermination")["DisableApiTermination"] == {"Value": False}
    assert read(Attribute="instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"] == {
        "Value": "stop"
    }
    assert read(Attribute="instanceType")["InstanceType"] == {"Value": "t3.small"}
    assert len(read(Attribute="groupSet")["Groups"]) == 1
    assert len(read(Attribute="blockDeviceMapping")["BlockDeviceMappings"]) == 1
    rest = "kernel ramdisk rootDeviceName productCodes ebsOptimized sriovNetSupport enaSupport disableApiStop"
    for attribute in rest.split():
        assert read(Attribute=attribute)["InstanceId"] == instance  # type: ignore[arg-type]
    assert code_of(lambda: change(UserData={"Value": b"two"})) == "IncorrectInstanceState"
    assert code_of(lambda: change(InstanceType={"Value": "t3.micro"})) == "IncorrectInstanceState"
    lab.ec2.stop_instances(InstanceIds=[instance])
    change(UserData={"Value": b"two"})
    change(InstanceType={"Value": "t3.micro"})
    assert lab.world.instances[instance].user_data == b"two"
    assert lab.world.instances[instance].instance_type == "t3.micro"


def test_metadata_options_keep_what_is_not_named(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet(), MetadataOptions={"HttpTokens": "required"})["InstanceId"]
    change = partial(lab.ec2.modify_instance_metadata_options, InstanceId=instance)
    change(HttpPutResponseHopLimit=3)
    there = lab.world.instances[instance]
    assert (there.imds_token_required, there.imds_hop_limit) == (True, 3)
    assert code_of(lambda: change(HttpPutResponseHopLimit=65)) == "InvalidParameterValue"
    assert lab.world.instances[instance].imds_hop_limit == 3


def test_credits(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet())["InstanceId"]
    read = partial(lab.ec2.describe_instance_credit_specifications, InstanceIds=[instance])
    assert read()["InstanceCreditSpecifications"][0]["CpuCredits"] == "unlimited"
    new: Any = {"InstanceId": instance, "CpuCredits": "standard"}
    lab.ec2.modify_instance_credit_specification(InstanceCreditSpecifications=[new])
    assert read()["InstanceCreditSpecifications"][0]["CpuCredits"] == "standard"


@pytest.mark.parametrize(
    "name",
    [
        "tag:Name",
        "instance-state-name",
        "vpc-id",
        "private-ip-address",
        "network-interface.subnet-id",
        "key-name",
    ],
)
def test_filters(lab: LabUnderTest, name: str) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    lab.ec2.create_key_pair(KeyName="me", KeyType="ed25519")
    instance = run(lab, SubnetId=subnet, PrivateIpAddress="10.0.1.9", KeyName="me")["InstanceId"]
    other = run(lab, SubnetId=lab.subnet())["InstanceId"]
    lab.ec2.terminate_instances(InstanceIds=[other])
    lab.ec2.create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "proxy-0"}])
    values = {
        "tag:Name": "proxy-*",
        "instance-state-name": "running",
        "vpc-id": vpc,
        "private-ip-address": "10.0.1.9",
        "network-interface.subnet-id": subnet,
        "key-name": "me",
    }
    found = lab.ec2.describe_instances(Filters=[{"Name": name, "Values": ["x", values[name]]}])
    assert [i["InstanceId"] for r in found["Reservations"] for i in r["Instances"]] == [instance]
    bad = partial(lab.ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}])
    assert code_of(bad) == "InvalidParameterValue"


def test_pages(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    ids = [run(lab, SubnetId=subnet)["InstanceId"] for _ in range(6)]
    pages = lab.ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    seen = [[i["InstanceId"] for r in p["Reservations"] for i in r["Instances"]] for p in pages]
    assert seen == [ids[:5], ids[5:]]


def test_what_does_not_exist(lab: LabUnderTest) -> None:
    assert code_of(lambda: lab.ec2.describe_instances(InstanceIds=["i-0"])) == "InvalidInstanceID.NotFound"
    assert code_of(lambda: lab.ec2.stop_instances(InstanceIds=["x"])) == "InvalidInstanceID.Malformed"
    tag = partial(lab.ec2.create_tags, Tags=[{"Key": "a", "Value": "b"}])
    for prefix, code in (
        ("i", "InvalidInstanceID.NotFound"),
        ("eni", "InvalidNetworkInterfaceID.NotFound"),
        ("sg", "InvalidGroup.NotFound"),
        ("thing", "InvalidID"),
    ):
        assert code_of(partial(tag, Resources=[f"{prefix}-0123456789abcdef0"])) == code


def test_tags_go_with_their_resource(lab: LabUnderTest) -> None:
    eni = lab.eni(lab.subnet())
    lab.ec2.create_tags(Resources=[eni], Tags=[{"Key": "Name", "Value": "x"}])
    lab.ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert lab.ec2.describe_tags()["Tags"] == []


def test_a_name_changes_with_its_tag(lab: LabUnderTest) -> None:
    instance = run(lab, SubnetId=lab.subnet())["InstanceId"]
    assert lab.world.instances[instance].name == instance
    lab.ec2.create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "func-0"}])
    assert lab.worlds[-1].instances[instance].name == "func-0"
    lab.ec2.delete_tags(Resources=[instance], Tags=[{"Key": "Name"}])
    assert lab.world.instances[instance].name == instance


def test_every_region_answers_and_is_in_the_world(lab: LabUnderTest) -> None:
    here = lab.vpc()
    frankfurt = ec2_client("eu-central-1")
    there = frankfurt.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = frankfurt.create_subnet(VpcId=there, CidrBlock="10.0.0.0/24", AvailabilityZone="eu-central-1b")
    made = frankfurt.run_instances(**LAUNCH, SubnetId=subnet["Subnet"]["SubnetId"])
    assert set(lab.world.vpcs) == {here, there}
    assert lab.world.instances[made["Instances"][0]["InstanceId"]].availability_zone == "eu-central-1b"
    assert lab.ec2.describe_instances()["Reservations"] == []


def test_the_console(lab: LabUnderTest) -> None:
    instance = lab.instance(lab.subnet())
    console = partial(lab.ec2.get_console_output, InstanceId=instance)
    assert console()["Output"] == ""
    lab.consoles[instance] = "Debian \x1b[0m ü\r\nlogin: ".encode()
    shown = console()
    assert (shown["InstanceId"], shown["Output"]) == (instance, "Debian \x1b[0m ü\r\nlogin: ")
    assert abs((datetime.now(UTC) - shown["Timestamp"]).total_seconds()) < 60
    lab.consoles[instance] = b"x" + b"0123456789abcdef" * 4096
    assert console()["Output"] == "0123456789abcdef" * 4096  # the last 64 KiB
    unknown = partial(lab.ec2.get_console_output, InstanceId="i-0123456789abcdef0")
    assert code_of(unknown) == "InvalidInstanceID.NotFound"


def test_the_quota(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    launch = partial(lab.ec2.run_instances, **{**LAUNCH, "InstanceType": "c6in.large", "SubnetId": subnet})
    assert code_of(lambda: launch(MaxCount=10**9)) == "InstanceLimitExceeded"
    first = launch(MinCount=31, MaxCount=31)["Instances"][0]["InstanceId"]  # of 2 vCPUs each
    assert code_of(lambda: launch(MinCount=2, MaxCount=2)) == "InstanceLimitExceeded"
    frankfurt = ec2_client("eu-central-1")
    elsewhere = partial(frankfurt.run_instances, **{**LAUNCH, "InstanceType": "c6in.xlarge"})
    assert code_of(elsewhere) == "InstanceLimitExceeded"  # one machine has all regions
    lab.ec2.stop_instances(InstanceIds=[first])
    launch(MinCount=2, MaxCount=2)
    assert code_of(lambda: lab.ec2.start_instances(InstanceIds=[first])) == "InstanceLimitExceeded"
    assert lab.state(first) == "stopped"
