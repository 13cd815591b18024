"""aws:ec2/routeTableAssociation:RouteTableAssociation"""

from __future__ import annotations

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.resource import REGION, ResourceType, State, Values, ignore_gone, may_adopt
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = "InvalidAssociationID.NotFound"


class RouteTableAssociation(ResourceType):
    """Which table a subnet uses. Untaggable."""

    delete_before_replace = True  # a subnet uses one table at a time
    type_name = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    inputs = {
        **REGION,
        # The real plugin exchanges it in place and takes over the new id; here an object keeps its id.
        "routeTableId": Prop(required=True, replaces=True),
        "subnetId": Prop(required=True, replaces=True),
    }

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        table, subnet = new["routeTableId"], new["subnetId"]
        there = [a for a in _associations(aws, "association.subnet-id", subnet) if a["SubnetId"] == subnet]
        if there and there[0]["RouteTableId"] == table and may_adopt(aws, urn, table):
            return str(there[0]["RouteTableAssociationId"])
        if there:
            # moto would move the subnet silently.
            raise AwsError(
                "AssociateRouteTable",
                "Resource.AlreadyAssociated",
                f"{subnet} is associated with {there[0]['RouteTableId']}",
            )
        made = aws.ec2("associate_route_table", RouteTableId=table, SubnetId=subnet)
        return str(made["AssociationId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        filter_name = "association.route-table-association-id"
        found = [
            a for a in _associations(aws, filter_name, object_id) if a["RouteTableAssociationId"] == object_id
        ]
        if not found:
            return None
        return {
            "region": aws.config.region,
            "routeTableId": found[0]["RouteTableId"],
            "subnetId": found[0]["SubnetId"],
        }

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "disassociate_route_table", (GONE,), AssociationId=object_id)


def _associations(aws: Aws, name: str, value: str) -> list[Values]:
    tables = aws.ec2("describe_route_tables", Filters=[{"Name": name, "Values": [value]}])["RouteTables"]
    return [a for table in tables for a in table["Associations"] if a.get("SubnetId")]
