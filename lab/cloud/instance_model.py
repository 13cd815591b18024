"""An instance: its states, and how it looks."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.models.security_groups import SecurityGroup

from lab.cloud.errors import ec2_error
from lab.cloud.instance_limits import limits_of
from lab.cloud.tags import tags_of

Json = Any

if TYPE_CHECKING:
    from lab.cloud.interface import Interface

View = dict[str, Any]
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class LabInstance(Instance):
    """Groups and source/dest check are those of its primary interface, and nowhere else."""

    nics: dict[int, Interface]  # type: ignore[assignment] # by device index; moto's class lacks what Interface has
    boot_count = 0
    public_key: str | None = None
    placement_group = ""  # by name; empty: in none
    impaired = False  # its machine failed while it ran
    credits = "standard"
    ended_at: datetime | None = None

    def __init__(self, *args: Json, **kwargs: Json) -> None:
        self.nics = {}
        super().__init__(*args, **kwargs)

    def prep_nics(self, *_args: object, **_kwargs: object) -> None:
        """Interfaces are attached one by one, after the instance is made."""

    @property
    def primary(self) -> Interface | None:
        """The interface at device index 0; none is left of a terminated instance."""
        return self.nics.get(0)

    @property
    def security_groups(self) -> list[SecurityGroup]:
        """Of the primary interface."""
        return list(self.primary.group_set) if self.primary else []

    @security_groups.setter
    def security_groups(self, groups: list[SecurityGroup]) -> None:
        if self.primary:
            self.primary._group_set = groups

    @property
    def iam_instance_profile(self) -> View | None:
        """The profile of its association; moto keeps the one of the first."""
        association = self.ec2_backend.iam_instance_profile_associations.get(self.id)
        if association is None:
            return None
        profile = association.iam_instance_profile
        return {"Arn": profile.arn, "Id": profile.id}

    @iam_instance_profile.setter
    def iam_instance_profile(self, _value: View | None) -> None:
        """moto sets what is derived here."""

    @property
    def source_dest_check(self) -> bool:
        """Of the primary interface."""
        return bool(self.primary.source_dest_check) if self.primary else True

    @source_dest_check.setter
    def source_dest_check(self, on: bool) -> None:
        if self.primary:
            self.primary.source_dest_check = on

    def go(self, state: str, reason: StateReason | None = None) -> View:
        """Change state; returns the one before, in the API's shape."""
        before = self.state_view()
        self._state = InstanceState(state, CODES[state])
        self.state_reason = reason or StateReason()
        by_user = bool(reason) and self.state_reason.code.startswith("Client")
        self._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if by_user else ""
        return before

    def state_view(self) -> View:
        """Its state in the API's shape."""
        return {"Code": self._state.code, "Name": self._state.name}

    @property
    def user_data_bytes(self) -> bytes:
        """What the guest gets."""
        return base64.b64decode(str(self.user_data)) if self.user_data else b""

    @property
    def system_status(self) -> View:
        """For DescribeInstanceStatus: the machine under the guest."""
        return self._check("impaired" if self.impaired else "ok")

    @property
    def instance_status(self) -> View:
        """For DescribeInstanceStatus: the guest."""
        return self._check("impaired" if self.impaired else "ok")

    def _check(self, status: str) -> View:
        if self.state != "running":
            return {"Status": "not-applicable"}
        passed = "passed" if status == "ok" else "failed"
        return {"Status": status, "Details": [{"Name": "reachability", "Status": passed}]}

    def view(self) -> View:
        """As DescribeInstances shows it."""
        limits = limits_of(self.instance_type)
        return {
            "InstanceId": self.id,
            "ImageId": self.image_id,
            "InstanceType": self.instance_type,
            "AmiLaunchIndex": self.ami_launch_index,
            "Architecture": self.architecture,
            "BootMode": "uefi-preferred",
            "CurrentInstanceBootMode": "legacy-bios",
            "BlockDeviceMappings": self.disk_views(),
            "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
            "ClientToken": self.client_token or "",
            "CpuOptions": {"CoreCount": limits.cores, "ThreadsPerCore": limits.threads_per_core},
            "EbsOptimized": self.ebs_optimized,
            "EnaSupport": True,
            "EnclaveOptions": {"Enabled": False},
            "HibernationOptions": {"Configured": False},
            "Hypervisor": "xen",  # what EC2 says of Nitro, too
            "IamInstanceProfile": self.iam_instance_profile,
            "KeyName": self.key_name,
            "LaunchTime": self.launch_time,
            "MaintenanceOptions": {"AutoRecovery": "default"},
            "MetadataOptions": self.metadata_view(),
            "Monitoring": {"State": self.monitoring_state},
            "Placement": self._placement_view(),
            "PlatformDetails": "Linux/UNIX",
            "RootDeviceName": self.root_device_name,
            "RootDeviceType": "ebs",
            "State": self.state_view(),
            "StateReason": self._state_reason_view(),
            "StateTransitionReason": self._reason,
            "Tags": tags_of(self.ec2_backend, self.id) or None,
            "UsageOperation": "RunInstances",
            "VirtualizationType": "hvm",
            **self._network_view(),
        }

    def metadata_view(self) -> View:
        """The instance metadata service as it is configured."""
        options = self.metadata_options
        return {
            "State": "applied",
            "HttpTokens": options.http_tokens,
            "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
            "HttpEndpoint": options.http_endpoint,
            "HttpProtocolIpv6": options.http_protocol_ipv6,
            "InstanceMetadataTags": options.instance_metadata_tags,
        }

    def disk_views(self) -> list[View]:
        """Its volumes."""
        return [
            {
                "DeviceName": device,
                "Ebs": {
                    "VolumeId": disk.volume_id,
                    "Status": "attached",
                    "AttachTime": disk.attach_time,
                    "DeleteOnTermination": disk.delete_on_termination,
                },
            }
            for device, disk in self.block_device_mapping.items()
        ]

    def _placement_view(self) -> View:
        group = self.ec2_backend.placement_groups.get(self.placement_group)
        return {
            "AvailabilityZone": self.availability_zone,
            "GroupName": self.placement_group,
            "GroupId": group.id if group is not None else None,
            "Tenancy": "default",
        }

    def _state_reason_view(self) -> View | None:
        reason = self.state_reason
        return {"Code": reason.code, "Message": reason.message} if reason.code else None

    def _network_view(self) -> View:
        primary = self.primary
        if primary is None:
            return {"NetworkInterfaces": [], "SecurityGroups": [], "PrivateDnsName": "", "PublicDnsName": ""}
        own, public = primary.view(), primary.association_view(str(primary.private_ip_address)) or {}
        return {
            "NetworkInterfaces": [self.nics[index].instance_view() for index in sorted(self.nics)],
            "PrivateDnsName": own["PrivateDnsName"],
            "PrivateDnsNameOptions": {
                "HostnameType": "ip-name",
                "EnableResourceNameDnsARecord": False,
                "EnableResourceNameDnsAAAARecord": False,
            },
            "PrivateIpAddress": primary.private_ip_address,
            "PublicDnsName": public.get("PublicDnsName", ""),
            "PublicIpAddress": public.get("PublicIp"),
            "SecurityGroups": own["Groups"],
            "SourceDestCheck": self.source_dest_check,
            "SubnetId": primary.subnet_id,
            "VpcId": primary.vpc_id,
        }


def instance(backend: EC2Backend, instance_id: str | None) -> LabInstance:
    """By id; refuses ids that do not exist."""
    for reservation in backend.reservations.values():
        for found in reservation.instances:
            if found.id == instance_id:
                return cast(LabInstance, found)
    if not str(instance_id).startswith("i-"):
        raise ec2_error("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    raise ec2_error("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")


def all_instances(backend: EC2Backend) -> list[LabInstance]:
    """In the order of their launch."""
    return [cast(LabInstance, i) for r in backend.reservations.values() for i in r.instances]
