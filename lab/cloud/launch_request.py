"""What RunInstances asks for, checked before anything is made."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response
from moto.ec2.utils import parse_user_data

from lab.cloud.backend import LabBackend
from lab.cloud.errors import ec2_error, invalid_value, unsupported
from lab.cloud.images import known_image
from lab.cloud.instance_limits import InstanceLimits, limits_of
from lab.cloud.placement_group import unknown_group
from lab.cloud.root_disk import RootDisk, root_disk

Params = Mapping[str, Any]
REFUSED = (
    "LaunchTemplate",
    "InstanceMarketOptions",
    "ElasticGpuSpecification",
    "ElasticInferenceAccelerators",
)
MAX_USER_DATA_BYTES = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A checked request."""

    params: Params
    count: int
    image: Ami
    limits: InstanceLimits
    interfaces: Sequence[Params]
    disk: RootDisk
    public_key: str | None
    placement_group: str


def launch_request(response: EC2Response, backend: LabBackend, params: Params) -> Launch:
    """The request as a whole; refuses what AWS refuses, and what the lab lacks."""
    for name in REFUSED:
        if params.get(name):
            raise unsupported(f"{name} in RunInstances")
    image = known_image(response, params.get("ImageId"))
    limits = limits_of(params.get("InstanceType") or "m1.small")
    if image.architecture not in limits.architectures:
        raise invalid_value(
            f"The architecture '{','.join(limits.architectures)}' of the specified instance type does not "
            f"match the architecture '{image.architecture}' of the specified AMI."
        )
    key_name = params.get("KeyName")
    if key_name is not None and key_name not in backend.key_pairs:
        raise ec2_error("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
    minimum, maximum = int(params.get("MinCount", 1)), int(params.get("MaxCount", 1))
    if not 1 <= minimum <= maximum:
        raise invalid_value(f"Value ({minimum}) for parameter minCount is invalid: 1 to maxCount ({maximum})")
    interfaces = _interfaces(backend, params)
    if maximum > 1 and any(i.get("PrivateIpAddress") or i.get("NetworkInterfaceId") for i in interfaces):
        raise ec2_error(
            "InvalidParameterCombination", "An address or interface cannot be given to more than one instance"
        )
    user_data = parse_user_data(params.get("UserData"))
    if user_data is not None and len(b64decode(str(user_data))) > MAX_USER_DATA_BYTES:
        raise invalid_value("User data is limited to 16384 bytes")
    return Launch(
        params=params,
        count=maximum,
        image=image,
        limits=limits,
        interfaces=interfaces,
        disk=root_disk(params),
        placement_group=_placement_group(backend, params.get("Placement", {})),
        public_key=str(backend.key_pairs[key_name].public_key).strip() if key_name else None,
    )


def _placement_group(backend: LabBackend, placement: Params) -> str:
    name, group_id = placement.get("GroupName"), placement.get("GroupId")
    if name and group_id:
        raise ec2_error(
            "InvalidParameterCombination", "The parameters GroupId and GroupName cannot be used together"
        )
    found = next((g for g in backend.placement_groups.values() if (name or group_id) in (g.name, g.id)), None)
    if (name or group_id) and found is None:
        raise unknown_group(str(name or group_id))
    return found.name if found else ""


def _interfaces(backend: LabBackend, params: Params) -> list[Params]:
    """One entry per interface, each with its subnet or its id; the one of the instance itself included."""
    asked = params.get("NetworkInterfaces", [])
    own = {"SubnetId", "PrivateIpAddress", "SecurityGroupIds", "SecurityGroups"} & {
        k for k, v in params.items() if v
    }
    if asked and own:
        raise ec2_error(
            "InvalidParameterCombination",
            f"Network interfaces and an instance-level {min(own)} may not be specified on the same request",
        )
    if asked:
        indexes = [int(item.get("DeviceIndex", 0)) for item in asked]
        if 0 not in indexes or len(set(indexes)) != len(indexes):
            raise invalid_value(
                "Each network interface requires a device index of its own, and one of them is 0."
            )
        return sorted(asked, key=lambda item: int(item.get("DeviceIndex", 0)))
    by_name = [_group_named(backend, params, name) for name in params.get("SecurityGroups", [])]
    address = params.get("PrivateIpAddress")
    return [
        {
            "DeviceIndex": 0,
            "SubnetId": params.get("SubnetId") or _default_subnet(backend, params).id,
            "Groups": [*params.get("SecurityGroupIds", []), *by_name],
            **({"PrivateIpAddress": address} if address else {}),
        }
    ]


def _group_named(backend: LabBackend, params: Params, name: str) -> str:
    vpc = backend.get_subnet(params["SubnetId"]).vpc_id if params.get("SubnetId") else backend.default_vpc.id
    group = backend.get_security_group_by_name_or_id(name, vpc)
    if group is None:
        raise ec2_error("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
    return str(group.id)


def _default_subnet(backend: LabBackend, params: Params) -> Subnet:
    zone = params.get("Placement", {}).get("AvailabilityZone")
    for name, subnet in sorted(backend.get_default_subnets().items()):
        if zone in (None, name):
            return subnet
    raise ec2_error("MissingInput", "No default subnet: please specify a subnet.")
