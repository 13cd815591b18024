"""A placement group: how instances stand to each other. On one machine they stand together, whatever it says."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.utils import random_id

from lab.cloud.errors import ec2_error
from lab.cloud.tags import tags_of

View = dict[str, Any]


class PlacementGroup:
    """Available as soon as it is made; known by its name, tagged by its id."""

    def __init__(self, backend: EC2Backend, name: str, strategy: str, partitions: int | None) -> None:
        self.id = str(random_id(prefix="pg", size=17))
        self.ec2_backend = backend
        self.name, self.strategy = name, strategy
        self.partitions = partitions

    @property
    def arn(self) -> str:
        """Of AWS's form: it has the name, not the id."""
        backend = self.ec2_backend
        return f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:placement-group/{self.name}"

    def view(self) -> View:
        """As DescribePlacementGroups shows it."""
        return {
            "GroupName": self.name,
            "GroupId": self.id,
            "GroupArn": self.arn,
            "State": "available",
            "Strategy": self.strategy,
            "PartitionCount": self.partitions,
            "SpreadLevel": "rack" if self.strategy == "spread" else None,
            "Tags": tags_of(self.ec2_backend, self.id),
        }


def unknown_group(wanted: str) -> Exception:
    """There is none of this name or id."""
    return ec2_error("InvalidPlacementGroup.Unknown", f"The Placement Group '{wanted}' is unknown.")
