"""aws:ec2/natGateway:NatGateway"""

from __future__ import annotations

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = "NatGatewayNotFound"
DEADLINE_S = 300.0


class NatGateway(ResourceType):
    """A way out for addresses without a public one. Done when it is available, removed when it is deleted."""

    type_name = "aws:ec2/natGateway:NatGateway"
    rank = 50
    inputs = {
        **REGION,
        **TAGS,
        "subnetId": Prop(required=True, replaces=True),
        "allocationId": Prop(replaces=True),
        "privateIp": Prop(replaces=True, computed=True),
        "connectivityType": Prop(default="public", one_of=("public", "private"), replaces=True),
    }
    outputs = frozenset({"associationId", "networkInterfaceId", "publicIp", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2(
            "create_nat_gateway",
            SubnetId=new["subnetId"],
            AllocationId=new.get("allocationId"),
            PrivateIpAddress=new.get("privateIp"),
            ConnectivityType=new["connectivityType"],
            TagSpecifications=tag_specifications(aws, urn, "natgateway", new.get("tags")),
        )
        return str(made["NatGateway"]["NatGatewayId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        def available() -> bool:
            state = (_find(aws, object_id) or {}).get("State")
            if state == "failed":
                raise ProviderError(
                    f"{object_id} went to the state failed: is there a route to the internet?"
                )
            return state == "available"

        aws.wait_until(f"{object_id} is available", available, DEADLINE_S)

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        gateway = _find(aws, object_id)
        if gateway is None or gateway["State"] in ("deleting", "deleted"):
            return None
        address: Values = next(iter(gateway.get("NatGatewayAddresses", [])), {})
        return {
            **read_tags(aws, gateway.get("Tags")),
            "region": aws.config.region,
            "subnetId": gateway["SubnetId"],
            "connectivityType": gateway.get("ConnectivityType", "public"),
            "allocationId": address.get("AllocationId"),
            "associationId": address.get("AssociationId"),
            "networkInterfaceId": address.get("NetworkInterfaceId"),
            "privateIp": address.get("PrivateIp"),
            "publicIp": address.get("PublicIp"),
        }

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "delete_nat_gateway", (GONE,), NatGatewayId=object_id)
        aws.wait_until(
            f"{object_id} is deleted",
            lambda: (_find(aws, object_id) or {"State": "deleted"})["State"] == "deleted",
            DEADLINE_S,
        )


def _find(aws: Aws, object_id: str) -> Values | None:
    found: Values | None = aws.find("describe_nat_gateways", "NatGateways", GONE, NatGatewayIds=[object_id])
    return found
