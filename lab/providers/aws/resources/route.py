"""aws:ec2/route:Route"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.resource import REGION, ResourceType, State, Values, ignore_gone, may_adopt
from lab.providers.aws.resources.route_table import find_route_table
from lab.providers.plugin.errors import CheckFailure
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}


class Route(ResourceType):
    """One route of a table. Untaggable; its id is made of the table's and the destination."""

    type_name = "aws:ec2/route:Route"
    inputs = {
        **REGION,
        "routeTableId": Prop(required=True, replaces=True),
        "destinationCidrBlock": Prop(required=True, replaces=True),
        **{key: Prop(affects=("state", "instanceId")) for key in TARGETS},
    }
    outputs = frozenset({"instanceId", "instanceOwnerId", "origin", "state"})

    def check(self, new: Values) -> list[CheckFailure]:
        given = [key for key in TARGETS if key in new]
        if len(given) == 1:
            return []
        return [CheckFailure("gatewayId", f"a route has exactly one of {', '.join(TARGETS)}; given: {given}")]

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        table, destination = new["routeTableId"], new["destinationCidrBlock"]
        try:
            aws.ec2("create_route", RouteTableId=table, DestinationCidrBlock=destination, **_target(new))
        except AwsError as error:
            if error.code != "RouteAlreadyExists" or not may_adopt(aws, urn, table):
                raise
            aws.ec2("replace_route", RouteTableId=table, DestinationCidrBlock=destination, **_target(new))
        return f"r-{table}_{destination}"

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        table_id, destination = _parts(object_id)
        table = find_route_table(aws, table_id)
        routes = [r for r in (table or {}).get("Routes", []) if r.get("DestinationCidrBlock") == destination]
        if not routes:
            return None
        (route,) = routes
        return {
            **{key: route.get(name) for key, name in TARGETS.items()},
            "region": aws.config.region,
            "routeTableId": table_id,
            "destinationCidrBlock": destination,
            "origin": route.get("Origin", "CreateRoute"),
            "state": route.get("State", "active"),
            "instanceId": route.get("InstanceId", ""),
            "instanceOwnerId": route.get("InstanceOwnerId", ""),
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        table, destination = _parts(object_id)
        aws.ec2("replace_route", RouteTableId=table, DestinationCidrBlock=destination, **_target(new))

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        table, destination = _parts(object_id)
        gone = ("InvalidRoute.NotFound", "InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound")
        ignore_gone(aws, "delete_route", gone, RouteTableId=table, DestinationCidrBlock=destination)


def _target(new: Values) -> dict[str, str]:
    return {name: new[key] for key, name in TARGETS.items() if key in new}


def _parts(object_id: str) -> tuple[str, str]:
    table, _, destination = object_id.removeprefix("r-").partition("_")
    return table, destination
