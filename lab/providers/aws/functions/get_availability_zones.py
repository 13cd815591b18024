"""aws:index/getAvailabilityZones:getAvailabilityZones"""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import FILTERS, Function, Values, api_filters
from lab.providers.plugin.schema import Kind, Prop


class GetAvailabilityZones(Function):
    """The zones of the region."""

    type_name = "aws:index/getAvailabilityZones:getAvailabilityZones"
    inputs = {
        **FILTERS,
        "state": Prop(one_of=("available", "information", "impaired", "unavailable")),
        "allAvailabilityZones": Prop(kind=Kind.BOOL),
        "excludeNames": Prop(kind=Kind.STRING_SET),
        "excludeZoneIds": Prop(kind=Kind.STRING_SET),
    }

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        zones = aws.ec2(
            "describe_availability_zones",
            Filters=api_filters(given, state=given.get("state")),
            AllAvailabilityZones=given.get("allAvailabilityZones"),
        )["AvailabilityZones"]
        kept = [
            zone
            for zone in sorted(zones, key=lambda z: str(z["ZoneName"]))
            if zone["ZoneName"] not in given.get("excludeNames", [])
            and zone.get("ZoneId") not in given.get("excludeZoneIds", [])
        ]
        return {
            **given,
            "id": aws.config.region,
            "region": aws.config.region,
            "names": [zone["ZoneName"] for zone in kept],
            "zoneIds": [zone["ZoneId"] for zone in kept],
            "groupNames": sorted({zone.get("GroupName") or aws.config.region for zone in kept}),
        }
