"""aws:iam/instanceProfile:InstanceProfile"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import creation_tags, pairs, read_tags
from lab.providers.aws.resource import TAGS, ResourceType, State, Values
from lab.providers.aws.resources.iam_role import find_iam, update_iam_tags
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop


class InstanceProfile(ResourceType):
    """How an instance gets a role. The id is the name."""

    type_name = "aws:iam/instanceProfile:InstanceProfile"
    rank = 20
    inputs = {
        "tags": TAGS["tags"],
        "name": Prop(autoname=True, replaces=True),
        "path": Prop(default="/", replaces=True),
        "role": Prop(),
    }
    outputs = frozenset({"arn", "createDate", "uniqueId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        tags = pairs(creation_tags(aws, urn, new.get("tags")))
        name = new["name"]
        aws.call("iam", "create_instance_profile", InstanceProfileName=name, Path=new["path"], Tags=tags)
        return str(name)

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        _set_role(aws, object_id, new.get("role"))

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        profile = _find(aws, object_id)
        if profile is None:
            return None
        return {
            **read_tags(aws, profile.get("Tags")),
            "arn": profile["Arn"],
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "role": next((role["RoleName"] for role in profile["Roles"]), None),
            "createDate": profile["CreateDate"].isoformat(),
            "uniqueId": profile["InstanceProfileId"],
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        if "tags" in changed:
            update_iam_tags(aws, "instance_profile", {"InstanceProfileName": object_id}, state, new)
        if "role" in changed:
            _set_role(aws, object_id, new.get("role"))

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        if _find(aws, object_id) is not None:
            _set_role(aws, object_id, None)
            aws.call("iam", "delete_instance_profile", InstanceProfileName=object_id)


def _find(aws: Aws, object_id: str) -> Values | None:
    return find_iam(aws, "get_instance_profile", "InstanceProfile", InstanceProfileName=object_id)


def _set_role(aws: Aws, profile: str, role: str | None) -> None:
    """Exactly this role: a profile holds one at most."""
    there = [r["RoleName"] for r in (_find(aws, profile) or {"Roles": []})["Roles"]]
    for name in there:
        if name != role:
            aws.call("iam", "remove_role_from_instance_profile", InstanceProfileName=profile, RoleName=name)
    if role is not None and role not in there:
        aws.call("iam", "add_role_to_instance_profile", InstanceProfileName=profile, RoleName=role)
