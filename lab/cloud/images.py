"""The one image that the lab's machines are made from, and the parameter by which Debian publishes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.responses import EC2Response
from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

from lab.cloud.errors import ec2_error

Json = Any

IMAGE_ID = "ami-0deb1a13000000064"
ARM_IMAGE_ID = "ami-0deb1a13000000065"  # for previews alone: no guest of the lab could run it
IMAGE_NAME = "debian-13-amd64-20250814-2204"
OWNER = "136693071363"  # Debian's account
ARCHITECTURE = "x86_64"
ROOT_DEVICE = "/dev/xvda"
ROOT_DISK_GB = 8
CREATED = datetime(2025, 8, 14, 22, 4, tzinfo=UTC).replace(tzinfo=None)  # moto's times are naive, in UTC
SSM_PARAMETER = "/aws/service/debian/release/13/latest/amd64"
RESOLVE = "resolve:ssm:"


class DebianImage(Ami):
    """moto's, with a root disk that can be described as AWS does."""

    ena_support = True
    usage_operation = "RunInstances"
    platform_details = "Linux/UNIX"

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root disk."""
        disk = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": ROOT_DISK_GB,
            "VolumeType": "gp3",
            "DeleteOnTermination": True,
            "Encrypted": False,
        }
        return [{"DeviceName": ROOT_DEVICE, "Ebs": disk}]

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Json:
        """Also by what Debian's documentation filters."""
        values = {
            "root-device-type": self.root_device_type,
            "root-device-name": self.root_device_name,
            "image-type": self.image_type,
            "hypervisor": self.hypervisor,
            "ena-support": True,
            "creation-date": self.creation_date,
            "description": self.description,
        }
        return (
            values[filter_name]
            if filter_name in values
            else super().get_filter_value(filter_name, method_name)
        )


def debian_image(backend: Json) -> Ami:
    """The image, public and owned by Debian."""
    return DebianImage(
        backend,
        IMAGE_ID,
        name=IMAGE_NAME,
        description="Debian 13 (lab)",
        owner_id=OWNER,
        public=True,
        virtualization_type="hvm",
        architecture=ARCHITECTURE,
        creation_date=CREATED,
        image_location=f"{OWNER}/{IMAGE_NAME}",
        hypervisor="xen",
        root_device_type="ebs",
        root_device_name=ROOT_DEVICE,
        boot_mode="uefi-preferred",
    )


def known_image(response: EC2Response, wanted: str | None) -> Ami:
    """The image that RunInstances names, by id or by parameter."""
    name = wanted or ""
    if name.startswith(RESOLVE):
        parameter = name.removeprefix(RESOLVE)
        name = IMAGE_ID if parameter == SSM_PARAMETER else parameter
    image = response.ec2_backend.amis.get(name)
    if isinstance(image, Ami):
        return image
    if not name.startswith("ami-"):
        raise ec2_error("InvalidAMIID.Malformed", f'Invalid id: "{name}" (expecting "ami-...")')
    raise ec2_error("InvalidAMIID.NotFound", f"The image id '[{name}]' does not exist")


class LabParameters(SimpleSystemManagerBackend):
    """The parameter store, with the parameter that Debian publishes."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.publish(SSM_PARAMETER, IMAGE_ID)

    def publish(self, parameter: str, image_id: str) -> None:
        """Name an image by a public parameter."""
        self._parameters[parameter] = [
            Parameter(  # type: ignore[abstract] # of CloudFormation
                account_id=self.account_id,
                name=parameter,
                value=image_id,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=CREATED,
                version=1,
                data_type="aws:ec2:image",
            )
        ]


def publish_arm_image(account_id: str, region: str) -> None:
    """Let a stack of arm64 instances find an image, for a preview."""
    parameters = ssm_backends[account_id][region]
    if not isinstance(parameters, LabParameters):
        raise TypeError("moto made a parameter store of its own")
    parameters.publish(SSM_PARAMETER.replace("amd64", "arm64"), ARM_IMAGE_ID)


def install() -> None:
    """Make moto use this parameter store."""
    ssm_backends.backend = LabParameters
