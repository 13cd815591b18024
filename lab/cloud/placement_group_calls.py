"""The calls about placement groups."""

from __future__ import annotations

from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses import EC2Response

from lab.cloud.backend import LabBackend
from lab.cloud.errors import ec2_error, invalid_value, missing, unsupported
from lab.cloud.filters import select, tag_value
from lab.cloud.instance_model import all_instances
from lab.cloud.placement_group import PlacementGroup, unknown_group
from lab.cloud.shown import Shown
from lab.cloud.tags import forget_tags, tag_new, tags_for

Json = Any
STRATEGIES = ("cluster", "partition", "spread")
MOST_PARTITIONS = 7
FEWEST_PARTITIONS = 2  # without a number


class PlacementGroupResponses(EC2Response):
    """Create, delete, describe."""

    def create_placement_group(self) -> ActionResult:
        """Names are unique in a region."""
        params, groups = self._get_params(), _groups(self)
        name, strategy = params.get("GroupName"), params.get("Strategy", "cluster")
        if not name:
            raise missing("groupName")
        if name in groups:
            raise ec2_error(
                "InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists."
            )
        if strategy not in STRATEGIES:
            raise invalid_value(f"Value ({strategy}) for parameter strategy is invalid.")
        if params.get("SpreadLevel", "rack") != "rack":
            raise unsupported("placement groups that spread over hosts of an Outpost")
        partitions = int(params.get("PartitionCount") or FEWEST_PARTITIONS)
        if not 1 <= partitions <= MOST_PARTITIONS:
            raise invalid_value(f"Value ({partitions}) for parameter partitionCount is invalid: 1 to 7")
        made = PlacementGroup(
            self.ec2_backend, name, strategy, partitions if strategy == "partition" else None
        )
        groups[name] = made
        tag_new(self.ec2_backend, made.id, tags_for(params, "placement-group"))
        return Shown({"PlacementGroup": made.view()})

    def delete_placement_group(self) -> ActionResult:
        """Only while no instance is in it."""
        name, groups = self._get_param("GroupName", ""), _groups(self)
        if name not in groups:
            raise unknown_group(name)
        if any(
            i.placement_group == name and i.state != "terminated" for i in all_instances(self.ec2_backend)
        ):
            raise ec2_error(
                "InvalidPlacementGroup.InUse", f"The placement group {name} is in use and may not be deleted."
            )
        forget_tags(self.ec2_backend, groups.pop(name).id)
        return EmptyResult()

    def describe_placement_groups(self) -> ActionResult:
        """By name, id and filters."""
        groups = _groups(self)
        by_id = {group.id: group for group in groups.values()}
        named = []
        for name in self._get_param("GroupNames", []):
            named.append(_known(groups, name))
        for group_id in self._get_param("GroupIds", []):
            named.append(_known(by_id, group_id))
        found = select(named or groups.values(), self._filters_from_querystring(), _filter_value)
        return Shown({"PlacementGroups": [group.view() for group in found]})


def _groups(response: EC2Response) -> dict[str, PlacementGroup]:
    return cast(LabBackend, response.ec2_backend).placement_groups


def _known(groups: dict[str, PlacementGroup], wanted: str) -> PlacementGroup:
    if wanted not in groups:
        raise unknown_group(wanted)
    return groups[wanted]


def _filter_value(group: PlacementGroup, name: str) -> Json:
    values = {
        "group-arn": group.arn,
        "group-name": group.name,
        "spread-level": group.view()["SpreadLevel"],
        "state": "available",
        "strategy": group.strategy,
    }
    return values[name] if name in values else tag_value(group.ec2_backend.tags.get(group.id, {}), name)
