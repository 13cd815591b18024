"""aws:ec2/placementGroup:PlacementGroup"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidPlacementGroup.Unknown"


class PlacementGroup(ResourceType):
    """How instances stand to each other. The id is the name, as the real plugin's."""

    type_name = "aws:ec2/placementGroup:PlacementGroup"
    inputs = {
        **REGION,
        "tags": TAGS["tags"],
        "name": Prop(autoname=True, replaces=True),
        "strategy": Prop(required=True, replaces=True, one_of=("cluster", "partition", "spread")),
        "partitionCount": Prop(kind=Kind.INT, computed=True, replaces=True),
        "spreadLevel": Prop(computed=True, replaces=True),
    }
    outputs = frozenset({"arn", "placementGroupId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        aws.ec2(
            "create_placement_group",
            GroupName=new["name"],
            Strategy=new["strategy"],
            PartitionCount=int(new["partitionCount"]) if "partitionCount" in new else None,
            SpreadLevel=new.get("spreadLevel"),
            TagSpecifications=tag_specifications(aws, urn, "placement-group", new.get("tags")),
        )
        return str(new["name"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        group = aws.find("describe_placement_groups", "PlacementGroups", GONE, GroupNames=[object_id])
        if group is None or group.get("State") in ("deleting", "deleted"):
            return None
        return {
            **read_tags(aws, group.get("Tags")),
            "region": aws.config.region,
            "arn": group.get("GroupArn") or aws.arn("ec2", f"placement-group/{object_id}"),
            "name": group["GroupName"],
            "strategy": group["Strategy"],
            "placementGroupId": group.get("GroupId", object_id),
            "partitionCount": group.get("PartitionCount"),
            "spreadLevel": group.get("SpreadLevel"),
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        # Tags go by the group's own id, not by its name.
        super().update(aws, state["placementGroupId"], state, new, changed)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "delete_placement_group", (GONE,), GroupName=object_id)
