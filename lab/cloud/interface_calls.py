"""The calls about network interfaces, except those about their addresses."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses import EC2Response

from lab.cloud.client_tokens import made_before, remember
from lab.cloud.errors import ec2_error, invalid_value, missing, unsupported
from lab.cloud.filters import select, tag_value
from lab.cloud.instance_model import instance
from lab.cloud.interface import Interface
from lab.cloud.interfaces import (
    InterfaceRequest,
    attach,
    changeable,
    delete_interface,
    detach,
    interface,
    make_interface,
)
from lab.cloud.private_addresses import address_request
from lab.cloud.security_groups import groups_by_id
from lab.cloud.shown import Shown
from lab.cloud.tags import tags_for

Json = Any


class InterfaceResponses(EC2Response):
    """Create, attach, detach, modify, describe, delete."""

    def create_network_interface(self) -> ActionResult:
        """In a subnet, with addresses that are asked for or chosen."""
        params = self._get_params()
        if any(
            params.get(key)
            for key in ("Ipv6Addresses", "Ipv6AddressCount", "Ipv4Prefixes", "Ipv4PrefixCount")
        ):
            raise unsupported("IPv6 addresses and delegated prefixes")
        tokens = self.ec2_backend.interface_tokens
        made = made_before(tokens, params)
        if made is None or made not in self.ec2_backend.enis:
            request = InterfaceRequest(
                subnet=self.ec2_backend.get_subnet(params.get("SubnetId", "")),
                addresses=address_request(params),
                group_ids=params.get("Groups", []),
                description=params.get("Description", ""),
                tags=tags_for(params, "network-interface"),
            )
            made = make_interface(self.ec2_backend, request).id
            remember(tokens, params, made)
        view = interface(self.ec2_backend, made).view()
        return Shown({"NetworkInterface": view, "ClientToken": params.get("ClientToken")})

    def delete_network_interface(self) -> ActionResult:
        """Only while it is attached nowhere."""
        delete_interface(self.ec2_backend, self._interface())
        return EmptyResult()

    def attach_network_interface(self) -> ActionResult:
        """To a running or stopped instance of the same zone, whatever the VPC."""
        eni = self._interface()
        index = self._get_int_param("DeviceIndex")
        if index is None:
            raise missing("deviceIndex")
        attach(instance(self.ec2_backend, self._get_param("InstanceId")), eni, index)
        return Shown({"AttachmentId": eni.attachment_id, "NetworkCardIndex": 0})

    def detach_network_interface(self) -> ActionResult:
        """Every one but the primary."""
        wanted = self._get_param("AttachmentId")
        eni = next((e for e in self.ec2_backend.enis.values() if e.attachment_id == wanted), None)
        if eni is None:
            raise ec2_error("InvalidAttachmentID.NotFound", f"The attachment ID '{wanted}' does not exist")
        if eni.device_index == 0:
            raise ec2_error(
                "OperationNotPermitted", "The network interface at device index 0 cannot be detached."
            )
        detach(eni)
        return EmptyResult()

    def modify_network_interface_attribute(self) -> ActionResult:
        """Groups, source/dest check, description, fate at termination."""
        eni = changeable(self._interface())
        params = self._get_params()
        if params.get("Groups"):
            eni._group_set = groups_by_id(self.ec2_backend, params["Groups"], eni.vpc_id)
        if (check := self._get_param("SourceDestCheck.Value")) is not None:
            eni.source_dest_check = check
        if (description := self._get_param("Description.Value")) is not None:
            eni.description = description
        if attachment := params.get("Attachment"):
            if eni.instance is None or attachment.get("AttachmentId") != eni.attachment_id:
                raise ec2_error(
                    "InvalidAttachmentID.NotFound",
                    f"The attachment ID '{attachment.get('AttachmentId')}' does not exist",
                )
            eni.delete_on_termination = bool(attachment.get("DeleteOnTermination"))
        return EmptyResult()

    def reset_network_interface_attribute(self) -> ActionResult:  # type: ignore[override] # moto only raises
        """The source/dest check is the one attribute that has a default."""
        changeable(self._interface()).source_dest_check = True
        return EmptyResult()

    def describe_network_interface_attribute(self) -> ActionResult:
        """One attribute, in the shape of its own."""
        eni = self._interface()
        attribute = self._get_param("Attribute")
        shapes: dict[str, Any] = {
            "description": {"Description": {"Value": eni.description}},
            "groupSet": {"Groups": eni.group_views()},
            "sourceDestCheck": {"SourceDestCheck": {"Value": eni.source_dest_check}},
            "attachment": {"Attachment": eni.attachment_view()},
            "associatePublicIpAddress": {"AssociatePublicIpAddress": eni.wants_public_ip},
        }
        if attribute not in shapes:
            raise invalid_value(f"Value ({attribute}) for parameter attribute is invalid. Unknown attribute.")
        return Shown({"NetworkInterfaceId": eni.id, **shapes[attribute]})

    def describe_network_interfaces(self) -> ActionResult:
        """By id and filters."""
        ids = self._get_param("NetworkInterfaceIds", [])
        enis = [interface(self.ec2_backend, i) for i in ids] or list(self.ec2_backend.enis.values())
        found = select(enis, self._filters_from_querystring(), _filter_value)
        return Shown({"NetworkInterfaces": [eni.view() for eni in found]})

    def _interface(self) -> Interface:
        return interface(self.ec2_backend, self._get_param("NetworkInterfaceId", ""))


def _filter_value(eni: Interface, name: str) -> Json:
    attached = eni.attachment_view() or {}
    publics = eni.public_ips
    values = {
        "network-interface-id": eni.id,
        "addresses.private-ip-address": eni.addresses,
        "addresses.primary": [True, len(eni.addresses) == 1],
        "addresses.association.public-ip": list(publics.values()),
        "association.public-ip": list(publics.values()),
        "association.allocation-id": [e.allocation_id for e in eni.elastic_ips.values()],
        "association.association-id": [e.association_id for e in eni.elastic_ips.values()],
        "attachment.attachment-id": attached.get("AttachmentId"),
        "attachment.delete-on-termination": attached.get("DeleteOnTermination"),
        "attachment.device-index": attached.get("DeviceIndex"),
        "attachment.instance-id": attached.get("InstanceId"),
        "attachment.instance-owner-id": attached.get("InstanceOwnerId"),
        "attachment.status": attached.get("Status"),
        "availability-zone": eni.availability_zone,
        "description": eni.description,
        "group-id": [group.id for group in eni._group_set],
        "group-name": [group.name for group in eni._group_set],
        "interface-type": eni.interface_type,
        "mac-address": eni.mac_address,
        "owner-id": eni.owner_id,
        "private-ip-address": eni.addresses,
        "requester-managed": eni.managed,
        "source-dest-check": eni.source_dest_check,
        "status": eni.view()["Status"],
        "subnet-id": eni.subnet_id,
        "vpc-id": eni.vpc_id,
    }
    return values[name] if name in values else tag_value(eni.ec2_backend.tags.get(eni.id, {}), name)
