"""aws:ec2/eip:Eip"""

from __future__ import annotations

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = "InvalidAllocationID.NotFound"


class Eip(ResourceType):
    """A public address. What it is associated with is a resource of its own, EipAssociation."""

    type_name = "aws:ec2/eip:Eip"
    rank = 10
    inputs = {**REGION, **TAGS, "domain": Prop(default="vpc", one_of=("vpc",), replaces=True)}
    outputs = frozenset(
        {"allocationId", "arn", "associationId", "instance", "networkInterface", "privateDns", "privateIp"}
        | {"publicDns", "publicIp", "publicIpv4Pool", "networkBorderGroup", "tagsAll"}
    )

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        tags = tag_specifications(aws, urn, "elastic-ip", new.get("tags"))
        made = aws.ec2("allocate_address", Domain=new["domain"], TagSpecifications=tags)
        return str(made["AllocationId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        address = find_address(aws, object_id)
        if address is None:
            return None
        return {
            **read_tags(aws, address.get("Tags")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"elastic-ip/{object_id}"),
            "allocationId": object_id,
            "domain": address["Domain"],
            "publicIp": address["PublicIp"],
            "publicDns": f"ec2-{address['PublicIp'].replace('.', '-')}.compute-1.amazonaws.com",
            "publicIpv4Pool": address.get("PublicIpv4Pool") or "amazon",
            "networkBorderGroup": address.get("NetworkBorderGroup") or aws.config.region,
            # Not yet when it is made: what it leads to is up to an EipAssociation.
            "associationId": address.get("AssociationId") or "",
            "instance": address.get("InstanceId") or "",
            "networkInterface": address.get("NetworkInterfaceId") or "",
            "privateIp": address.get("PrivateIpAddress") or "",
        }

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        address = find_address(aws, object_id)
        if address is not None and address.get("AssociationId"):
            gone = ("InvalidAssociationID.NotFound",)
            ignore_gone(aws, "disassociate_address", gone, AssociationId=address["AssociationId"])
        ignore_gone(aws, "release_address", (GONE,), AllocationId=object_id)


def find_address(aws: Aws, object_id: str) -> Values | None:
    """An elastic address as the API gives it."""
    found: Values | None = aws.find("describe_addresses", "Addresses", GONE, AllocationIds=[object_id])
    return found
