"""An Instance's inputs as arguments of RunInstances."""

from __future__ import annotations

import base64
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import tag_specifications
from lab.providers.aws.resource import Values
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.provider import Urn

METADATA_NAMES = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "instanceMetadataTags": "InstanceMetadataTags",
}
VOLUME_NAMES = {
    "deleteOnTermination": "DeleteOnTermination",
    "encrypted": "Encrypted",
    "kmsKeyId": "KmsKeyId",
    "iops": "Iops",
    "throughput": "Throughput",
    "volumeSize": "VolumeSize",
    "volumeType": "VolumeType",
}


def run_arguments(aws: Aws, urn: Urn, new: Values) -> dict[str, Any]:
    """Everything that RunInstances can be told; the rest follows once it runs."""
    profile = new.get("iamInstanceProfile")
    return {
        "ImageId": new["ami"],
        "InstanceType": new["instanceType"],
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": new.get("keyName"),
        "UserData": user_data(new),
        "EbsOptimized": new.get("ebsOptimized"),
        "DisableApiTermination": new.get("disableApiTermination"),
        "Monitoring": {"Enabled": True} if new.get("monitoring") else None,
        "IamInstanceProfile": {"Name": profile} if profile else None,
        "Placement": _placement(new),
        "MetadataOptions": metadata_options(new) if "metadataOptions" in new else None,
        "BlockDeviceMappings": _root_volume(aws, new) if "rootBlockDevice" in new else None,
        "TagSpecifications": tag_specifications(aws, urn, "instance", new.get("tags")),
        **_network(new),
    }


def user_data(new: Values) -> str | None:
    """User data as text: botocore encodes it for RunInstances."""
    if "userDataBase64" in new:
        return base64.b64decode(new["userDataBase64"]).decode(errors="surrogateescape")
    text: str | None = new.get("userData")
    return text


def metadata_options(new: Values) -> dict[str, Any]:
    """The options of the metadata service."""
    options = {METADATA_NAMES[key]: value for key, value in new["metadataOptions"].items()}
    if "HttpPutResponseHopLimit" in options:
        options["HttpPutResponseHopLimit"] = int(options["HttpPutResponseHopLimit"])
    return options


def volume(root: Values) -> dict[str, Any]:
    """A volume's properties in the API's names; whole numbers as such."""
    named = {name: root[key] for key, name in VOLUME_NAMES.items() if key in root}
    return {name: int(value) if isinstance(value, float) else value for name, value in named.items()}


def _network(new: Values) -> dict[str, Any]:
    if "primaryNetworkInterface" in new:
        eni = new["primaryNetworkInterface"]["networkInterfaceId"]
        return {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": eni}]}
    subnet, address = new.get("subnetId"), new.get("privateIp")
    groups = new.get("vpcSecurityGroupIds") or None
    if "associatePublicIpAddress" not in new:
        return {"SubnetId": subnet, "PrivateIpAddress": address, "SecurityGroupIds": groups}
    interface = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": new["associatePublicIpAddress"],
        "SubnetId": subnet,
        "PrivateIpAddress": address,
        "Groups": groups,
    }
    return {"NetworkInterfaces": [{key: value for key, value in interface.items() if value is not None}]}


def _placement(new: Values) -> dict[str, str] | None:
    named = {"AvailabilityZone": new.get("availabilityZone"), "GroupName": new.get("placementGroup")}
    return {key: value for key, value in named.items() if value} or None


def _root_volume(aws: Aws, new: Values) -> list[dict[str, Any]]:
    images = aws.ec2("describe_images", ImageIds=[new["ami"]])["Images"]
    if not images:
        raise ProviderError(f"there is no image {new['ami']}")
    return [{"DeviceName": images[0]["RootDeviceName"], "Ebs": volume(new["rootBlockDevice"])}]
