"""aws:ec2/internetGateway:InternetGateway"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = "InvalidInternetGatewayID.NotFound"


class InternetGateway(ResourceType):
    """A VPC's way to the internet; attached to at most one VPC."""

    type_name = "aws:ec2/internetGateway:InternetGateway"
    rank = 10
    inputs = {**REGION, **TAGS, "vpcId": Prop(computed=True)}
    outputs = frozenset({"arn", "ownerId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        tags = tag_specifications(aws, urn, "internet-gateway", new.get("tags"))
        made = aws.ec2("create_internet_gateway", TagSpecifications=tags)
        return str(made["InternetGateway"]["InternetGatewayId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        if new.get("vpcId") and _attached_to(aws, object_id) != new["vpcId"]:
            aws.ec2("attach_internet_gateway", InternetGatewayId=object_id, VpcId=new["vpcId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        gateway = _find(aws, object_id)
        if gateway is None:
            return None
        return {
            **read_tags(aws, gateway.get("Tags")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"internet-gateway/{object_id}"),
            "vpcId": _attached_to(aws, object_id),
            "ownerId": gateway.get("OwnerId") or aws.account,
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        if "vpcId" in changed and new.get("vpcId"):
            _detach(aws, object_id)
            aws.ec2("attach_internet_gateway", InternetGatewayId=object_id, VpcId=new["vpcId"])

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        _detach(aws, object_id)
        ignore_gone(aws, "delete_internet_gateway", (GONE,), InternetGatewayId=object_id)


def _find(aws: Aws, object_id: str) -> Values | None:
    found: Values | None = aws.find(
        "describe_internet_gateways", "InternetGateways", GONE, InternetGatewayIds=[object_id]
    )
    return found


def _attached_to(aws: Aws, object_id: str) -> str | None:
    gateway = _find(aws, object_id)
    return next((a["VpcId"] for a in (gateway or {}).get("Attachments", [])), None)


def _detach(aws: Aws, object_id: str) -> None:
    if vpc_id := _attached_to(aws, object_id):
        aws.ec2("detach_internet_gateway", InternetGatewayId=object_id, VpcId=vpc_id)
