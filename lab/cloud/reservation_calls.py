"""The calls about subnet CIDR reservations: addresses that AWS does not give out by itself."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import SubnetCidrReservation
from moto.ec2.responses import EC2Response

from lab.cloud.filters import select, tag_value
from lab.cloud.shown import Shown
from lab.cloud.tags import forget_tags, tag_new, tags_for, tags_of

Json = Any


class ReservationResponses(EC2Response):
    """Create, delete and get; an address inside a reservation is assigned only by name."""

    def create_subnet_cidr_reservation(self) -> ActionResult:
        """Within the subnet, overlapping no other."""
        params = self._get_params()
        made = self.ec2_backend.create_subnet_cidr_reservation(
            params.get("SubnetId"), params.get("ReservationType"), params.get("Cidr")
        )
        made.description = params.get("Description", "")
        tag_new(self.ec2_backend, made.id, tags_for(params, "subnet-cidr-reservation"))
        return Shown({"SubnetCidrReservation": _view(self.ec2_backend, made)})

    def delete_subnet_cidr_reservation(self) -> ActionResult:
        """Its addresses are given out again."""
        gone = self.ec2_backend.delete_subnet_cidr_reservation(self._get_param("SubnetCidrReservationId"))
        view = _view(self.ec2_backend, gone)
        forget_tags(self.ec2_backend, gone.id)
        return Shown({"DeletedSubnetCidrReservation": view})

    def get_subnet_cidr_reservations(self) -> ActionResult:
        """Of one subnet."""
        subnet = self.ec2_backend.get_subnet(self._get_param("SubnetId"))
        found = select(subnet._cidr_reservations, self._filters_from_querystring(), _filter_value)
        views = [_view(self.ec2_backend, reservation) for reservation in found]
        return Shown({"SubnetIpv4CidrReservations": views, "SubnetIpv6CidrReservations": []})


def _view(backend: EC2Backend, reservation: SubnetCidrReservation) -> dict[str, Any]:
    return {
        "SubnetCidrReservationId": reservation.id,
        "SubnetId": reservation.subnet_id,
        "Cidr": str(reservation.cidr),
        "ReservationType": reservation.reservation_type,
        "OwnerId": reservation.owner_id,
        "Description": getattr(reservation, "description", ""),
        "Tags": tags_of(backend, reservation.id),
    }


def _filter_value(reservation: SubnetCidrReservation, name: str) -> Json:
    if name in ("reservationType", "reservation-type"):
        return reservation.reservation_type
    if name == "subnet-id":
        return reservation.subnet_id
    return tag_value(reservation.ec2_backend.tags.get(reservation.id, {}), name)
