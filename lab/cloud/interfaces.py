"""Making, attaching and ending network interfaces: the rules, apart from the calls that use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import Subnet
from moto.ec2.utils import random_eni_attach_id, random_mac_address

from lab.cloud.errors import ec2_error, invalid_value
from lab.cloud.instance_limits import limits_of
from lab.cloud.instance_model import LabInstance
from lab.cloud.interface import Interface
from lab.cloud.private_addresses import AddressRequest, choose, require_free, require_usable
from lab.cloud.security_groups import groups_by_id
from lab.cloud.tags import forget_tags, tag_new


@dataclass(frozen=True, kw_only=True)
class InterfaceRequest:
    """An interface to be made. Without groups it gets the VPC's default group."""

    subnet: Subnet
    addresses: AddressRequest
    group_ids: Sequence[str] = ()
    description: str = ""
    delete_on_termination: bool = False
    wants_public_ip: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    in_use: str = "The specified address is already in use."  # with {address}: what RunInstances says instead


def make_interface(backend: EC2Backend, request: InterfaceRequest) -> Interface:
    """A new interface, attached to nothing."""
    subnet, asked = request.subnet, request.addresses
    named = [address for address in (asked.primary, *asked.secondary) if address is not None]
    for address in named:
        require_usable(subnet, address)
    require_free(backend, subnet, named, request.in_use)
    default = backend.get_default_security_group(subnet.vpc_id)
    ids = list(request.group_ids) or ([str(default.id)] if default else [])
    groups_by_id(backend, ids, subnet.vpc_id)
    missing_primary = 0 if asked.primary else 1
    chosen = choose(backend, subnet, missing_primary + asked.count, named)
    addresses = [
        *([asked.primary] if asked.primary else chosen[:1]),
        *asked.secondary,
        *chosen[missing_primary:],
    ]
    eni = Interface(  # type: ignore[abstract] # of CloudFormation
        backend,
        subnet,
        addresses[0],
        [{"PrivateIpAddress": address, "Primary": address == addresses[0]} for address in addresses],
        group_ids=ids,
        description=request.description,
        delete_on_termination=request.delete_on_termination,
    )
    eni.wants_public_ip = request.wants_public_ip
    eni.device_index = None
    while eni.mac_address in {other.mac_address for other in backend.enis.values()}:
        eni.mac_address = random_mac_address()  # a host finds its interfaces by MAC
    backend.enis[eni.id] = eni
    tag_new(backend, eni.id, request.tags)
    return eni


def interface(backend: EC2Backend, eni_id: str) -> Interface:
    """By id; refuses ids that do not exist."""
    return cast(Interface, backend.get_network_interface(eni_id))


def changeable(eni: Interface) -> Interface:
    """The interface, if its addresses are the caller's to change."""
    if eni.managed:
        raise ec2_error("OperationNotPermitted", f"{eni.id} is managed by a {eni.interface_type}")
    return eni


def attach(instance: LabInstance, eni: Interface, device_index: int) -> None:
    """Attach a free interface, of any VPC of the zone, at a free device index."""
    if eni.instance is not None or eni.managed:
        raise ec2_error("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
    if instance.state in ("shutting-down", "terminated"):
        raise ec2_error("IncorrectState", f"The instance '{instance.id}' is {instance.state}.")
    if device_index in instance.nics:
        raise invalid_value(
            f"Instance '{instance.id}' already has an interface attached at device index '{device_index}'."
        )
    if eni.availability_zone != instance.availability_zone:
        raise ec2_error(
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance if they are not in the same "
            "availability zone",
        )
    limits = limits_of(instance.instance_type)
    if not 0 <= device_index < limits.interfaces:
        raise ec2_error(
            "AttachmentLimitExceeded",
            f"Device index {device_index} exceeds the limit of {limits.interfaces} interfaces of "
            f"{instance.instance_type}",
        )
    limits.require_interfaces(len(instance.nics) + 1)
    limits.require_addresses(len(eni.addresses))
    instance.nics[device_index] = eni
    eni.instance = instance
    eni.device_index = device_index
    eni.attachment_id = random_eni_attach_id()
    eni.attach_time = utcnow()
    eni.status = "in-use"


def detach(eni: Interface) -> None:
    """Take an interface off its instance."""
    if eni.instance is not None and eni.device_index is not None:
        eni.instance.nics.pop(eni.device_index, None)
    eni.instance = eni.attachment_id = eni.attach_time = eni.device_index = None
    eni.delete_on_termination = False
    eni.status = "available"


def delete_interface(backend: EC2Backend, eni: Interface) -> None:
    """End a detached interface; its elastic addresses are free again."""
    if eni.instance is not None or eni.managed:
        raise ec2_error("InvalidNetworkInterface.InUse", f"Network interface '{eni.id}' is currently in use.")
    for elastic in eni.elastic_ips.values():
        elastic.eni = elastic.association_id = elastic.private = None
    del backend.enis[eni.id]
    forget_tags(backend, eni.id)
