"""The calls that launch instances, change their state and show them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.ec2.models.instances import Reservation
from moto.ec2.responses import EC2Response

from lab.cloud import lifecycle
from lab.cloud.errors import invalid_filter, missing
from lab.cloud.filters import Filters, select, tag_value
from lab.cloud.instance_model import LabInstance, View, all_instances, instance
from lab.cloud.launch import run_instances
from lab.cloud.shown import Shown

Json = Any
CONSOLE_BYTES = 64 * 1024


class InstanceResponses(EC2Response):
    """Run, start, stop, reboot, terminate, describe."""

    def run_instances(self) -> ActionResult:
        """Answers `pending`; see lab.cloud.launch."""
        reservation = run_instances(self)
        return Shown(_reservation_view(reservation, _instances(reservation)))

    def start_instances(self) -> ActionResult:
        """Answers `pending`."""
        changes = [_change(i, lifecycle.start(i)) for i in self._named()]
        return Shown({"StartingInstances": changes})

    def stop_instances(self) -> ActionResult:
        """Answers `stopping`."""
        changes = [_change(i, lifecycle.stop(i)) for i in self._named()]
        return Shown({"StoppingInstances": changes})

    def terminate_instances(self) -> ActionResult:
        """Answers `shutting-down`."""
        changes = [_change(i, lifecycle.terminate(i)) for i in self._named()]
        return Shown({"TerminatingInstances": changes})

    def reboot_instances(self) -> ActionResult:
        """The state stays `running`."""
        for found in self._named():
            lifecycle.reboot(found)
        return EmptyResult()

    def describe_instances(self) -> ActionResult:
        """By id and filters."""
        ids = self._get_param("InstanceIds", [])
        for instance_id in ids:
            instance(self.ec2_backend, instance_id)
        matching = {i.id for i in self._matching(ids, self._filters_from_querystring())}
        found = [
            _reservation_view(reservation, chosen)
            for reservation in self.ec2_backend.reservations.values()
            if (chosen := [i for i in _instances(reservation) if i.id in matching])
        ]
        return Shown({"Reservations": found})

    def describe_instance_status(self) -> ActionResult:
        """Running instances, or all where the caller says so."""
        ids = self._get_param("InstanceIds", [])
        for instance_id in ids:
            instance(self.ec2_backend, instance_id)
        everything = self._get_bool_param("IncludeAllInstances", False)
        found = [
            i
            for i in self._matching(ids, self._filters_from_querystring())
            if everything or i.state == "running"
        ]
        views = [
            {
                "InstanceId": i.id,
                "AvailabilityZone": i.availability_zone,
                "InstanceState": i.state_view(),
                "InstanceStatus": i.instance_status,
                "SystemStatus": i.system_status,
            }
            for i in found
        ]
        return Shown({"InstanceStatuses": views})

    def get_console_output(self) -> ActionResult:
        """The end of what its machine has written to the serial console so far."""
        found = instance(self.ec2_backend, self._get_param("InstanceId"))
        written = self.ec2_backend.console_of(found.id)[-CONSOLE_BYTES:]
        output = b64encode(written).decode()
        return Shown({"InstanceId": found.id, "Timestamp": utcnow(), "Output": output})

    def _named(self) -> list[LabInstance]:
        ids = self._get_param("InstanceIds", [])
        if not ids:
            raise missing("InstanceId")
        return [instance(self.ec2_backend, instance_id) for instance_id in ids]

    def _matching(self, ids: Sequence[str], filters: Filters) -> list[LabInstance]:
        named = [i for i in all_instances(self.ec2_backend) if not ids or i.id in ids]
        return select(named, filters, _filter_value)


def _instances(reservation: Reservation) -> list[LabInstance]:
    return [i for i in reservation.instances if isinstance(i, LabInstance)]


def _reservation_view(reservation: Reservation, instances: Sequence[LabInstance]) -> View:
    return {
        "ReservationId": reservation.id,
        "OwnerId": reservation.owner_id,
        "Groups": [],
        "Instances": [i.view() for i in instances],
    }


def _change(changed: LabInstance, before: View) -> View:
    return {"InstanceId": changed.id, "CurrentState": changed.state_view(), "PreviousState": before}


def _filter_value(found: LabInstance, name: str) -> Json:
    if name.startswith("network-interface."):
        return _interface_value(found, name.removeprefix("network-interface."))
    primary = found.primary
    values = {
        "architecture": found.architecture,
        "availability-zone": found.availability_zone,
        "block-device-mapping.device-name": list(found.block_device_mapping),
        "block-device-mapping.volume-id": [d.volume_id for d in found.block_device_mapping.values()],
        "client-token": found.client_token,
        "dns-name": found.public_dns_name if primary else None,
        "group-id": [g.id for g in found.security_groups],
        "group-name": [g.name for g in found.security_groups],
        "iam-instance-profile.arn": (found.iam_instance_profile or {}).get("Arn"),
        "image-id": found.image_id,
        "instance-id": found.id,
        "instance-state-code": found.state_code,
        "instance-state-name": found.state,
        "instance-type": found.instance_type,
        "instance.group-id": [g.id for g in found.security_groups],
        "instance.group-name": [g.name for g in found.security_groups],
        "ip-address": primary.public_ip if primary else None,
        "key-name": found.key_name,
        "launch-time": found.launch_time,
        "metadata-options.http-tokens": found.metadata_options.http_tokens,
        "owner-id": found.owner_id,
        "placement-group-name": found.placement_group or None,
        "private-dns-name": found.private_dns_name if primary else None,
        "private-ip-address": primary.private_ip_address if primary else None,
        "root-device-name": found.root_device_name,
        "root-device-type": "ebs",
        "source-dest-check": found.source_dest_check,
        "subnet-id": primary.subnet_id if primary else None,
        "tenancy": "default",
        "virtualization-type": "hvm",
        "vpc-id": primary.vpc_id if primary else None,
    }
    return values[name] if name in values else tag_value(found.ec2_backend.tags.get(found.id, {}), name)


def _interface_value(found: LabInstance, name: str) -> list[Any]:
    enis = list(found.nics.values())
    values: dict[str, list[Any]] = {
        "network-interface-id": [e.id for e in enis],
        "subnet-id": [e.subnet_id for e in enis],
        "vpc-id": [e.vpc_id for e in enis],
        "mac-address": [e.mac_address for e in enis],
        "group-id": [g.id for e in enis for g in e.group_set],
        "attachment.attachment-id": [e.attachment_id for e in enis],
        "attachment.device-index": [e.device_index for e in enis],
        "addresses.private-ip-address": [a for e in enis for a in e.addresses],
        "addresses.association.public-ip": [p for e in enis for p in e.public_ips.values()],
        "association.public-ip": [p for e in enis for p in e.public_ips.values()],
    }
    if name not in values:
        raise invalid_filter(f"network-interface.{name}")
    return values[name]
