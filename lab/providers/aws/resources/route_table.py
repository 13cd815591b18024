"""aws:ec2/routeTable:RouteTable"""

from __future__ import annotations

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = r"InvalidRouteTableI[Dd]\.NotFound"  # as the real cloud and moto spell it
NO_ASSOCIATION = "InvalidAssociationID.NotFound"


class RouteTable(ResourceType):
    """A route table; its routes are resources of their own here."""

    type_name = "aws:ec2/routeTable:RouteTable"
    rank = 20
    inputs = {**REGION, **TAGS, "vpcId": Prop(required=True, replaces=True)}
    outputs = frozenset({"arn", "ownerId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        tags = tag_specifications(aws, urn, "route-table", new.get("tags"))
        made = aws.ec2("create_route_table", VpcId=new["vpcId"], TagSpecifications=tags)
        return str(made["RouteTable"]["RouteTableId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        table = find_route_table(aws, object_id)
        if table is None:
            return None
        return {
            **read_tags(aws, table.get("Tags")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"route-table/{object_id}"),
            "vpcId": table["VpcId"],
            "ownerId": table.get("OwnerId") or aws.account,
        }

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        table = find_route_table(aws, object_id)
        for association in (table or {}).get("Associations", []):
            if not association["Main"]:
                # Its subnet may just be deleted, and the association with it.
                identifier = association["RouteTableAssociationId"]
                ignore_gone(aws, "disassociate_route_table", (NO_ASSOCIATION,), AssociationId=identifier)
        gone = ("InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound")
        ignore_gone(aws, "delete_route_table", gone, RouteTableId=object_id)


def find_route_table(aws: Aws, object_id: str) -> Values | None:
    """A route table with its routes and associations, as the API gives it."""
    found: Values | None = aws.find("describe_route_tables", "RouteTables", GONE, RouteTableIds=[object_id])
    return found
