"""aws:ec2/subnetCidrReservation:SubnetCidrReservation"""

from __future__ import annotations

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import creation_tags, pairs
from lab.providers.aws.resource import REGION, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = "InvalidSubnetCidrReservationID.NotFound"


class SubnetCidrReservation(ResourceType):
    """Addresses of a subnet that the cloud does not hand out by itself."""

    type_name = "aws:ec2/subnetCidrReservation:SubnetCidrReservation"
    rank = 20
    inputs = {
        **REGION,
        "subnetId": Prop(required=True, replaces=True),
        "cidrBlock": Prop(required=True, replaces=True),
        "reservationType": Prop(required=True, replaces=True, one_of=("explicit", "prefix")),
        "description": Prop(replaces=True),
    }
    outputs = frozenset({"ownerId"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        tags = pairs(creation_tags(aws, urn, None))
        made = aws.ec2(
            "create_subnet_cidr_reservation",
            SubnetId=new["subnetId"],
            Cidr=new["cidrBlock"],
            ReservationType=new["reservationType"],
            Description=new.get("description"),
            TagSpecifications=[{"ResourceType": "subnet-cidr-reservation", "Tags": tags}],
        )
        return str(made["SubnetCidrReservation"]["SubnetCidrReservationId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        answer = aws.ec2("get_subnet_cidr_reservations", SubnetId=known["subnetId"])
        everything = answer["SubnetIpv4CidrReservations"]
        found = next((r for r in everything if r["SubnetCidrReservationId"] == object_id), None)
        if found is None:
            return None
        return {
            "region": aws.config.region,
            "subnetId": found["SubnetId"],
            "cidrBlock": found["Cidr"],
            "reservationType": found["ReservationType"],
            "description": found.get("Description") or None,
            "ownerId": found.get("OwnerId") or aws.account,
        }

    def exists(self, aws: Aws, object_id: str) -> bool:
        return True  # it can only be asked for by its subnet; removing one that is gone is no error

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "delete_subnet_cidr_reservation", (GONE,), SubnetCidrReservationId=object_id)
