"""aws:ec2/subnet:Subnet"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidSubnetID.NotFound"


class Subnet(ResourceType):
    """A prefix of a VPC in one availability zone."""

    type_name = "aws:ec2/subnet:Subnet"
    rank = 10
    inputs = {
        **REGION,
        **TAGS,
        "vpcId": Prop(required=True, replaces=True),
        "cidrBlock": Prop(required=True, replaces=True),
        "availabilityZone": Prop(replaces=True, computed=True),
        "mapPublicIpOnLaunch": Prop(kind=Kind.BOOL, default=False),
    }
    outputs = frozenset({"arn", "availabilityZoneId", "ownerId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2(
            "create_subnet",
            VpcId=new["vpcId"],
            CidrBlock=new["cidrBlock"],
            AvailabilityZone=new.get("availabilityZone"),
            TagSpecifications=tag_specifications(aws, urn, "subnet", new.get("tags")),
        )
        return str(made["Subnet"]["SubnetId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        if new["mapPublicIpOnLaunch"]:
            _set_public(aws, object_id, public=True)

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        subnet = aws.find("describe_subnets", "Subnets", GONE, SubnetIds=[object_id])
        if subnet is None:
            return None
        return {
            **read_tags(aws, subnet.get("Tags")),
            "region": aws.config.region,
            "arn": subnet.get("SubnetArn") or aws.arn("ec2", f"subnet/{object_id}"),
            "vpcId": subnet["VpcId"],
            "cidrBlock": subnet["CidrBlock"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet.get("AvailabilityZoneId"),
            "mapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"],
            "ownerId": subnet.get("OwnerId") or aws.account,
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        if "mapPublicIpOnLaunch" in changed:
            _set_public(aws, object_id, public=new["mapPublicIpOnLaunch"])

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "delete_subnet", (GONE,), SubnetId=object_id)


def _set_public(aws: Aws, subnet_id: str, *, public: bool) -> None:
    aws.ec2("modify_subnet_attribute", SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": public})
