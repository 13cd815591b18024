"""Tags of resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from lab.cloud.errors import ec2_error, invalid_value
from lab.cloud.filters import select
from lab.cloud.shown import Shown

LONGEST_KEY, LONGEST_VALUE = 128, 256  # characters
OTHER_TYPES = {"nat": "natgateway", "sgr": "security-group-rule", "scr": "subnet-cidr-reservation"}


def tags_of(backend: EC2Backend, resource_id: str) -> list[dict[str, str]]:
    """In the API's shape."""
    return [{"Key": key, "Value": value} for key, value in backend.tags.get(resource_id, {}).items()]


def require_valid(tags: Mapping[str, str | None]) -> None:
    """Refuse tags that AWS refuses: its own, and those that are too long."""
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise invalid_value(
                f"Value ( {key} ) for parameter key is invalid. "
                "Tag keys starting with 'aws:' are reserved for internal use"
            )
        if not 1 <= len(key) <= LONGEST_KEY:
            raise invalid_value(
                f"Tag key exceeds the maximum length of {LONGEST_KEY} characters, or is empty"
            )
        if value is not None and len(value) > LONGEST_VALUE:
            raise invalid_value(f"Tag value exceeds the maximum length of {LONGEST_VALUE} characters")


def tag_new(backend: EC2Backend, resource_id: str, tags: Mapping[str, str]) -> None:
    """Tags that a resource is made with."""
    if tags:
        backend.create_tags([resource_id], dict(tags))


def forget_tags(backend: EC2Backend, resource_id: str) -> None:
    """The resource is gone."""
    backend.tags.pop(resource_id, None)


def tagged_types(params: Mapping[str, Any]) -> list[str]:
    """Types of resources that `TagSpecifications` has tags for."""
    return [str(s.get("ResourceType")) for s in _specifications(params) if s.get("Tags")]


def _specifications(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*params.get("TagSpecifications", []), *params.get("TagSpecification", [])]


def tags_for(params: Mapping[str, Any], resource_type: str) -> dict[str, str]:
    """What `TagSpecifications` says about a type of resource."""
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in _specifications(params)
        if specification.get("ResourceType") == resource_type
        for tag in specification.get("Tags", [])
    }


def resource_type(resource_id: str) -> str:
    """What an id names, as DescribeTags says it."""
    prefix = resource_id.partition("-")[0]
    return OTHER_TYPES.get(prefix) or str(EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), ""))


def existing_ids(backend: EC2Backend) -> set[str]:
    """Everything that can have tags, now."""
    groups = [group for by_id in backend.groups.values() for group in by_id.values()]
    subnets = [subnet for by_id in backend.subnets.values() for subnet in by_id.values()]
    things: Iterable[Any] = chain(
        groups,
        subnets,
        (rule for group in groups for rule in (*group.ingress_rules, *group.egress_rules)),
        (reservation for subnet in subnets for reservation in subnet._cidr_reservations),
        (instance for r in backend.reservations.values() for instance in r.instances),
        backend.addresses,
        *(
            collection.values()
            for collection in (
                backend.vpcs,
                backend.enis,
                backend.volumes,
                backend.amis,
                backend.key_pairs,
                backend.route_tables,
                backend.internet_gateways,
                backend.nat_gateways,
                backend.network_acls,
                backend.dhcp_options_sets,
                backend.snapshots,
            )
        ),
    )
    return {thing.id for thing in things}


NOT_FOUND = {  # by the prefix of ids: the error, and what it calls them
    "ami": ("InvalidAMIID", "image id"),
    "eipalloc": ("InvalidAllocationID", "allocation ID"),
    "eni": ("InvalidNetworkInterfaceID", "networkInterface ID"),
    "i": ("InvalidInstanceID", "instance ID"),
    "igw": ("InvalidInternetGatewayID", "internetGateway ID"),
    "rtb": ("InvalidRouteTableID", "routeTable ID"),
    "sg": ("InvalidGroup", "security group"),
    "subnet": ("InvalidSubnetID", "subnet ID"),
    "vol": ("InvalidVolume", "volume"),
    "vpc": ("InvalidVpcID", "vpc ID"),
}


def no_such(resource_id: str) -> tuple[str, str]:
    """Code and message of the error for an id that names nothing."""
    prefix = resource_id.partition("-")[0]
    if prefix not in NOT_FOUND:
        return "InvalidID", f"The ID '{resource_id}' is not valid"
    code, what = NOT_FOUND[prefix]
    return f"{code}.NotFound", f"The {what} '{resource_id}' does not exist"


class TagResponses(EC2Response):
    """CreateTags, DeleteTags, DescribeTags."""

    def create_tags(self) -> ActionResult:
        """Also refuses ids that do not exist, of any type."""
        resources = self._get_param("Resources", [])
        for unknown in sorted(set(resources) - existing_ids(self.ec2_backend)):
            raise ec2_error(*no_such(unknown))
        tags = {tag["Key"]: tag.get("Value", "") for tag in self._get_param("Tags", [])}
        self.ec2_backend.create_tags(resources, tags)
        return EmptyResult()

    def delete_tags(self) -> ActionResult:
        """By key, or by key and value; without keys all of them."""
        tags = {tag["Key"]: tag.get("Value") for tag in self._get_param("Tags", [])}
        require_valid(tags)
        for resource in self._get_param("Resources", []):
            own = self.ec2_backend.tags.get(resource, {})
            self.ec2_backend.delete_tags([resource], tags or dict.fromkeys(own))
        return EmptyResult()

    def describe_tags(self) -> ActionResult:
        """Tags of what exists."""
        existing = existing_ids(self.ec2_backend)
        rows = [
            {"ResourceId": resource, "ResourceType": resource_type(resource), "Key": key, "Value": value}
            for resource, tags in self.ec2_backend.tags.items()
            if resource in existing
            for key, value in tags.items()
        ]
        return Shown({"Tags": select(rows, self._filters_from_querystring(), _filter_value)})


def _filter_value(row: Mapping[str, str], name: str) -> str | None:
    if name.startswith("tag:"):
        return row["Value"] if row["Key"] == name.removeprefix("tag:") else None
    columns = {"key": "Key", "value": "Value", "resource-id": "ResourceId", "resource-type": "ResourceType"}
    return row[columns[name]]
