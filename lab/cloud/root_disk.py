"""The root disk of an instance. The lab's machines have no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment
from moto.ec2.models.instances import Instance
from moto.ec2.utils import random_volume_id

from lab.cloud.errors import invalid_value, unsupported
from lab.cloud.images import ROOT_DEVICE, ROOT_DISK_GB
from lab.cloud.tags import tag_new

GP3_IOPS, GP3_THROUGHPUT = 3000, 125  # what a gp3 volume has at least


@dataclass(frozen=True, kw_only=True)
class RootDisk:
    """As asked for; what was not asked for is the image's."""

    size_gb: int = ROOT_DISK_GB
    type: str = "gp3"
    encrypted: bool = False
    kms_key_id: str | None = None
    iops: int | None = None
    throughput: int | None = None
    delete_on_termination: bool = True


class RootAttachment(VolumeAttachment):
    """moto's says nothing about the volume's fate."""

    delete_on_termination = True


def root_disk(params: Mapping[str, Any]) -> RootDisk:
    """From `BlockDeviceMappings`; refuses further disks."""
    disk = RootDisk()
    for mapping in params.get("BlockDeviceMappings", []):
        device = mapping.get("DeviceName")
        if device != ROOT_DEVICE:
            raise unsupported(f"a disk {device}; the image's only disk is {ROOT_DEVICE}")
        ebs = mapping.get("Ebs", {})
        disk = RootDisk(
            size_gb=int(ebs.get("VolumeSize") or ROOT_DISK_GB),
            type=ebs.get("VolumeType") or "gp3",
            encrypted=bool(ebs.get("Encrypted", False)),
            kms_key_id=ebs.get("KmsKeyId"),
            iops=ebs.get("Iops"),
            throughput=ebs.get("Throughput"),
            delete_on_termination=bool(ebs.get("DeleteOnTermination", True)),
        )
        if disk.size_gb < ROOT_DISK_GB:
            raise invalid_value(
                f"Volume of size {disk.size_gb}GB is smaller than snapshot, expect size >= {ROOT_DISK_GB}GB"
            )
    return disk


def make_root_disk(
    backend: EC2Backend, instance: Instance, disk: RootDisk, tags: Mapping[str, str]
) -> Volume:
    """The volume, attached to its instance."""
    gp3 = disk.type == "gp3"
    volume = Volume(  # type: ignore[abstract] # of CloudFormation
        backend,
        random_volume_id(),
        disk.size_gb,
        backend.get_zone_by_name(str(instance.availability_zone)),
        snapshot_id=backend.amis[instance.image_id].ebs_snapshot.id,
        encrypted=disk.encrypted,
        kms_key_id=_key(backend, disk),
        volume_type=disk.type,
        iops=disk.iops or (GP3_IOPS if gp3 else None),
        throughput=disk.throughput or (GP3_THROUGHPUT if gp3 else None),
    )
    backend.volumes[volume.id] = volume
    volume.attachment = RootAttachment(volume, instance, ROOT_DEVICE, "attached")  # type: ignore[abstract] # of CloudFormation
    volume.attachment.delete_on_termination = disk.delete_on_termination
    instance.block_device_mapping[ROOT_DEVICE] = BlockDeviceType(
        volume_id=volume.id,
        status="in-use",
        size=disk.size_gb,
        attach_time=utcnow(),
        delete_on_termination=disk.delete_on_termination,
        volume_type=disk.type,
    )
    tag_new(backend, volume.id, tags)
    return volume


def _key(backend: EC2Backend, disk: RootDisk) -> str | None:
    """Named by the caller, else the account's default one; the lab keeps no key material."""
    if not disk.encrypted:
        return None
    return disk.kms_key_id or f"arn:aws:kms:{backend.region_name}:{backend.account_id}:alias/aws/ebs"
