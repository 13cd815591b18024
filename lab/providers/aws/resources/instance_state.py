"""An instance as the API describes it, in the properties of an Instance."""

from __future__ import annotations

import base64
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags
from lab.providers.aws.resource import State, Values
from lab.providers.aws.resources.instance_run import METADATA_NAMES

GONE = "InvalidInstanceID.NotFound"


def find_instance(aws: Aws, object_id: str) -> Values | None:
    """An instance as the API gives it."""
    reservation = aws.find("describe_instances", "Reservations", GONE, InstanceIds=[object_id])
    instance: Values | None = reservation["Instances"][0] if reservation else None
    return instance


def state_name(aws: Aws, object_id: str) -> str | None:
    """running, stopped …; None when nobody knows the instance any more."""
    instance = find_instance(aws, object_id)
    return str(instance["State"]["Name"]) if instance else None


def instance_state(aws: Aws, object_id: str, known: Values) -> State | None:
    """All properties; None when it is terminated or about to be."""
    instance = find_instance(aws, object_id)
    if instance is None or instance["State"]["Name"] in ("shutting-down", "terminated"):
        return None
    primary = _primary_interface(instance)
    profile = instance.get("IamInstanceProfile", {}).get("Arn")
    return {
        **read_tags(aws, instance.get("Tags")),
        **_address_properties(instance, primary),
        **_user_data(aws, object_id, known),
        "region": aws.config.region,
        "arn": aws.arn("ec2", f"instance/{object_id}"),
        "ami": instance["ImageId"],
        "instanceType": instance["InstanceType"],
        "instanceState": instance["State"]["Name"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
        "placementGroup": instance["Placement"].get("GroupName") or None,
        "keyName": instance.get("KeyName"),
        "iamInstanceProfile": profile.rpartition("/")[2] if profile else None,
        "ebsOptimized": instance.get("EbsOptimized", False),
        "monitoring": instance.get("Monitoring", {}).get("State") in ("enabled", "pending"),
        "disableApiTermination": _termination_protection(aws, object_id),
        "metadataOptions": _metadata_options(instance, known),
        "rootBlockDevice": _root_block_device(aws, instance, known),
    }


def _primary_interface(instance: Values) -> Values:
    interfaces = instance.get("NetworkInterfaces", [])
    return next((i for i in interfaces if i.get("Attachment", {}).get("DeviceIndex") == 0), {})


def _address_properties(instance: Values, primary: Values) -> State:
    """From the primary interface: with a second one attached, the instance's own fields are not reliable."""
    groups = primary.get("Groups") or instance.get("SecurityGroups", [])
    return {
        "subnetId": primary.get("SubnetId") or instance.get("SubnetId"),
        "privateIp": primary.get("PrivateIpAddress") or instance.get("PrivateIpAddress"),
        "privateDns": instance.get("PrivateDnsName", ""),
        "publicIp": instance.get("PublicIpAddress") or "",
        "publicDns": instance.get("PublicDnsName") or "",
        "primaryNetworkInterfaceId": primary.get("NetworkInterfaceId"),
        "vpcSecurityGroupIds": sorted(group["GroupId"] for group in groups),
        "sourceDestCheck": primary.get("SourceDestCheck", instance.get("SourceDestCheck", True)),
    }


def _user_data(aws: Aws, object_id: str, known: Values) -> State:
    """Only if the program gives some: else there is nothing to compare with."""
    key = next((key for key in ("userData", "userDataBase64") if key in known), None)
    if key is None:
        return {}
    answer = aws.ec2("describe_instance_attribute", InstanceId=object_id, Attribute="userData")
    encoded = answer.get("UserData", {}).get("Value", "")
    plain = base64.b64decode(encoded).decode(errors="surrogateescape")
    return {key: encoded if key == "userDataBase64" else plain}


def _termination_protection(aws: Aws, object_id: str) -> bool:
    answer = aws.ec2("describe_instance_attribute", InstanceId=object_id, Attribute="disableApiTermination")
    return bool(answer["DisableApiTermination"]["Value"])


def _metadata_options(instance: Values, known: Values) -> Any:
    answered = instance.get("MetadataOptions")
    if not answered:
        return known.get("metadataOptions")
    return {key: answered[name] for key, name in METADATA_NAMES.items() if name in answered}


def _root_block_device(aws: Aws, instance: Values, known: Values) -> Any:
    root = instance.get("RootDeviceName")
    mapping = next((m for m in instance.get("BlockDeviceMappings", []) if m["DeviceName"] == root), None)
    if mapping is None:
        return known.get("rootBlockDevice")
    volume_id = mapping["Ebs"]["VolumeId"]
    volume = aws.find("describe_volumes", "Volumes", "InvalidVolume.NotFound", VolumeIds=[volume_id]) or {}
    return {
        "deviceName": root,
        "volumeId": volume_id,
        "volumeSize": volume.get("Size"),
        "volumeType": volume.get("VolumeType"),
        "encrypted": volume.get("Encrypted"),
        "kmsKeyId": volume.get("KmsKeyId"),
        "iops": volume.get("Iops"),
        "throughput": volume.get("Throughput"),
        "deleteOnTermination": mapping["Ebs"].get("DeleteOnTermination", True),
        "tags": read_tags(aws, volume.get("Tags"))["tags"],
    }
