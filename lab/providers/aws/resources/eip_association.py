"""aws:ec2/eipAssociation:EipAssociation"""

from __future__ import annotations

from lab.providers.aws.client import Aws
from lab.providers.aws.resource import REGION, ResourceType, State, Values, ignore_gone, may_adopt
from lab.providers.aws.resources.eip import find_address
from lab.providers.plugin.errors import CheckFailure
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

TARGETS = {"instanceId": "InstanceId", "networkInterfaceId": "NetworkInterfaceId"}


class EipAssociation(ResourceType):
    """Which private address a public one leads to."""

    type_name = "aws:ec2/eipAssociation:EipAssociation"
    inputs = {
        **REGION,
        "allocationId": Prop(required=True, replaces=True),
        "allowReassociation": Prop(kind=Kind.BOOL, replaces=True),
        "instanceId": Prop(replaces=True, computed=True),
        "networkInterfaceId": Prop(replaces=True, computed=True),
        "privateIpAddress": Prop(replaces=True, computed=True),
    }
    outputs = frozenset({"publicIp"})

    def check(self, new: Values) -> list[CheckFailure]:
        if any(key in new for key in TARGETS):
            return []
        return [CheckFailure("networkInterfaceId", f"an association needs one of {', '.join(TARGETS)}")]

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        allocation = new["allocationId"]
        there = find_address(aws, allocation)
        is_there = there is not None and there.get("AssociationId") and _is_same(there, new)
        if there is not None and is_there and may_adopt(aws, urn, allocation):
            return str(there["AssociationId"])
        made = aws.ec2(
            "associate_address",
            AllocationId=allocation,
            PrivateIpAddress=new.get("privateIpAddress"),
            AllowReassociation=new.get("allowReassociation") or None,  # as the real plugin: never false
            **{name: new[key] for key, name in TARGETS.items() if key in new},
        )
        return str(made["AssociationId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        address = find_address(aws, str(known["allocationId"]))
        if address is None or address.get("AssociationId") != object_id:
            return None
        return {
            "region": aws.config.region,
            "allocationId": address["AllocationId"],
            "instanceId": address.get("InstanceId"),
            "networkInterfaceId": address.get("NetworkInterfaceId"),
            "privateIpAddress": address.get("PrivateIpAddress"),
            "publicIp": address["PublicIp"],
        }

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "disassociate_address", ("InvalidAssociationID.NotFound",), AssociationId=object_id)


def _is_same(there: Values, new: Values) -> bool:
    return all(there.get(name) == new[key] for key, name in TARGETS.items() if key in new)
