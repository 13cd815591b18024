"""What a run that died has made and not saved: found by its marks, and removed.

Only objects of the given stack are looked at, and none whose id the state knows. What cannot be tagged goes
with what it hangs on, or is adopted by the next `up` (see `may_adopt`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import STACK_MARK, URN_MARK
from lab.providers.aws.resource import ResourceType
from lab.providers.aws.resources import RESOURCES

Json = Any
# Types whose Pulumi id is a name, while the tags of EC2 go by another id.
NAMED = {
    "key-pair": ("describe_key_pairs", "KeyPairs", "KeyPairIds", "KeyName"),
    "placement-group": ("describe_placement_groups", "PlacementGroups", "GroupIds", "GroupName"),
}


@dataclass(frozen=True)
class Orphan:
    """An object that no state knows."""

    id: str
    type: ResourceType
    urn: str


def find_orphans(aws: Aws, stack: str, known_ids: Set[str]) -> list[Orphan]:
    """Objects of `stack` (`project/stack`) that no state knows, in the order in which they can be removed."""
    found = [
        orphan
        for orphan in (*_in_ec2(aws, stack), *_in_iam(aws, stack))
        if orphan.id not in known_ids and orphan.type.exists(aws, orphan.id)
    ]
    return sorted(found, key=lambda orphan: (-orphan.type.rank, orphan.id))


def delete_orphans(
    aws: Aws, stack: str, known_ids: Set[str], tell: Callable[[str], None] = lambda _line: None
) -> list[Orphan]:
    """Remove them, telling which; the next `up` makes them anew."""
    orphans = find_orphans(aws, stack, known_ids)
    for orphan in orphans:
        tell(f"removing {orphan.id}, left behind by a run that died ({orphan.urn.rpartition('::')[2]})")
        orphan.type.delete(aws, orphan.id, {})
    return orphans


def _in_ec2(aws: Aws, stack: str) -> Iterator[Orphan]:
    ours = _tagged(aws, STACK_MARK)
    for tag in _tagged(aws, URN_MARK).values():
        object_id = tag["ResourceId"]
        if ours.get(object_id, {}).get("Value") != stack:
            continue
        if kind := NAMED.get(tag["ResourceType"]):
            operation, key, by_id, name = kind
            object_id = aws.ec2(operation, **{by_id: [object_id]})[key][0][name]
        yield from _orphan(object_id, tag["Value"])


def _tagged(aws: Aws, key: str) -> dict[str, Json]:
    tags = aws.pages("ec2", "describe_tags", "Tags", Filters=[{"Name": "key", "Values": [key]}])
    return {tag["ResourceId"]: tag for tag in tags}


def _in_iam(aws: Aws, stack: str) -> Iterator[Orphan]:
    for role in aws.call("iam", "list_roles")["Roles"]:
        tags = aws.call("iam", "list_role_tags", RoleName=role["RoleName"])["Tags"]
        yield from _of_iam(role["RoleName"], tags, stack)
    for profile in aws.call("iam", "list_instance_profiles")["InstanceProfiles"]:
        name = profile["InstanceProfileName"]
        found = aws.call("iam", "get_instance_profile", InstanceProfileName=name)["InstanceProfile"]
        yield from _of_iam(name, found.get("Tags") or [], stack)


def _of_iam(name: str, listed: list[dict[str, str]], stack: str) -> Iterator[Orphan]:
    tags = {tag["Key"]: tag["Value"] for tag in listed}
    if tags.get(STACK_MARK) == stack:
        yield from _orphan(name, tags[URN_MARK])


def _orphan(object_id: str, urn: str) -> Iterator[Orphan]:
    type_name = urn.rpartition("::")[0].replace("$", "::").rpartition("::")[2]
    if type_name in RESOURCES:
        yield Orphan(object_id, RESOURCES[type_name], urn)
