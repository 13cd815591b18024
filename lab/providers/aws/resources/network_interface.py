"""aws:ec2/networkInterface:NetworkInterface"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.aws.resources.network_interface_attachment import detach
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidNetworkInterfaceID.NotFound"


class NetworkInterface(ResourceType):
    """An ENI. `privateIps` is every address: an update takes away those that the program does not name."""

    type_name = "aws:ec2/networkInterface:NetworkInterface"
    rank = 40
    inputs = {
        **REGION,
        **TAGS,
        "subnetId": Prop(required=True, replaces=True),
        "description": Prop(),
        "privateIps": Prop(
            kind=Kind.STRING_SET, computed=True, affects=("privateIpLists", "privateIpsCount")
        ),
        "securityGroups": Prop(kind=Kind.STRING_SET, computed=True),
        "sourceDestCheck": Prop(kind=Kind.BOOL, default=True),
    }
    outputs = frozenset(
        {"arn", "attachments", "interfaceType", "macAddress", "ownerId", "privateDnsName", "privateIp"}
        | {"privateIpLists", "privateIpsCount", "tagsAll"}
    )

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        addresses = new.get("privateIps") or []
        listed = [
            {"PrivateIpAddress": address, "Primary": index == 0} for index, address in enumerate(addresses)
        ]
        made = aws.ec2(
            "create_network_interface",
            SubnetId=new["subnetId"],
            Description=new.get("description"),
            Groups=new.get("securityGroups") or None,
            PrivateIpAddress=addresses[0] if len(addresses) == 1 else None,
            PrivateIpAddresses=listed if len(listed) > 1 else None,
            TagSpecifications=tag_specifications(aws, urn, "network-interface", new.get("tags")),
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        if not new["sourceDestCheck"]:
            _modify(aws, object_id, SourceDestCheck={"Value": False})

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        eni = find_interface(aws, object_id)
        if eni is None:
            return None
        addresses = [a["PrivateIpAddress"] for a in eni["PrivateIpAddresses"]]
        attachment = eni.get("Attachment")
        return {
            **read_tags(aws, eni.get("TagSet")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"network-interface/{object_id}"),
            "subnetId": eni["SubnetId"],
            "description": eni.get("Description") or None,
            "privateIp": eni["PrivateIpAddress"],
            "privateIps": sorted(addresses),
            "privateIpLists": addresses,
            "privateIpsCount": len(addresses) - 1,
            "privateDnsName": eni.get("PrivateDnsName", ""),
            "macAddress": eni["MacAddress"],
            "securityGroups": sorted(group["GroupId"] for group in eni["Groups"]),
            "sourceDestCheck": eni["SourceDestCheck"],
            "interfaceType": eni.get("InterfaceType", "interface"),
            "attachments": [_attachment(attachment)] if attachment else [],
            "ownerId": eni.get("OwnerId") or aws.account,
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        if "securityGroups" in changed:
            _modify(aws, object_id, Groups=new.get("securityGroups"))
        if "description" in changed:
            _modify(aws, object_id, Description={"Value": new.get("description", "")})
        if "sourceDestCheck" in changed:
            _modify(aws, object_id, SourceDestCheck={"Value": new["sourceDestCheck"]})
        if "privateIps" in changed:
            _set_addresses(aws, object_id, state, new.get("privateIps") or [])

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        detach(aws, object_id)
        ignore_gone(aws, "delete_network_interface", (GONE,), NetworkInterfaceId=object_id)


def find_interface(aws: Aws, object_id: str) -> Values | None:
    """An ENI as the API gives it."""
    found: Values | None = aws.find(
        "describe_network_interfaces", "NetworkInterfaces", GONE, NetworkInterfaceIds=[object_id]
    )
    return found


def _set_addresses(aws: Aws, object_id: str, state: Values, wanted: list[str]) -> None:
    has = [address for address in state["privateIps"] if address != state["privateIp"]]
    wanted = [address for address in wanted if address != state["privateIp"]]
    if gone := [address for address in has if address not in wanted]:
        aws.ec2("unassign_private_ip_addresses", NetworkInterfaceId=object_id, PrivateIpAddresses=gone)
    if new := [address for address in wanted if address not in has]:
        aws.ec2(
            "assign_private_ip_addresses",
            NetworkInterfaceId=object_id,
            PrivateIpAddresses=new,
            AllowReassignment=False,
        )


def _modify(aws: Aws, object_id: str, **attribute: object) -> None:
    aws.ec2("modify_network_interface_attribute", NetworkInterfaceId=object_id, **attribute)


def _attachment(attachment: Values) -> State:
    return {
        "attachmentId": attachment.get("AttachmentId"),
        "deviceIndex": attachment.get("DeviceIndex"),
        "instance": attachment.get("InstanceId"),
    }
