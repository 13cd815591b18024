"""aws:iam/role:Role"""

from __future__ import annotations

import json
from collections.abc import Set

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.marks import creation_tags, pairs, read_tags
from lab.providers.aws.resource import TAGS, ResourceType, State, Values
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "NoSuchEntity"


class Role(ResourceType):
    """Who may be what. The id is the name."""

    type_name = "aws:iam/role:Role"
    rank = 10
    inputs = {
        "tags": TAGS["tags"],
        "name": Prop(autoname=True, replaces=True),
        "assumeRolePolicy": Prop(kind=Kind.DOCUMENT, required=True),
        "description": Prop(),
        "path": Prop(default="/", replaces=True),
        "maxSessionDuration": Prop(kind=Kind.INT, default=3600),
        "permissionsBoundary": Prop(replaces=True),
        "forceDetachPolicies": Prop(kind=Kind.BOOL, default=False),
    }
    outputs = frozenset({"arn", "createDate", "uniqueId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        aws.call(
            "iam",
            "create_role",
            RoleName=new["name"],
            AssumeRolePolicyDocument=as_text(new["assumeRolePolicy"]),
            Description=new.get("description"),
            Path=new["path"],
            MaxSessionDuration=int(new["maxSessionDuration"]),
            PermissionsBoundary=new.get("permissionsBoundary"),
            Tags=pairs(creation_tags(aws, urn, new.get("tags"))),
        )
        return str(new["name"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        role = find_iam(aws, "get_role", "Role", RoleName=object_id)
        if role is None:
            return None
        document = role["AssumeRolePolicyDocument"]
        return {
            **read_tags(aws, role.get("Tags")),
            "arn": role["Arn"],
            "name": role["RoleName"],
            "path": role["Path"],
            "description": role.get("Description") or None,
            "assumeRolePolicy": document if isinstance(document, str) else json.dumps(document),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "createDate": role["CreateDate"].isoformat(),
            "uniqueId": role["RoleId"],
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        if "tags" in changed:
            update_iam_tags(aws, "role", {"RoleName": object_id}, state, new)
        if "assumeRolePolicy" in changed:
            document = as_text(new["assumeRolePolicy"])
            aws.call("iam", "update_assume_role_policy", RoleName=object_id, PolicyDocument=document)
        if changed & {"description", "maxSessionDuration"}:
            aws.call(
                "iam",
                "update_role",
                RoleName=object_id,
                Description=new.get("description", ""),
                MaxSessionDuration=int(new["maxSessionDuration"]),
            )

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        if find_iam(aws, "get_role", "Role", RoleName=object_id) is None:
            return
        for profile in aws.call("iam", "list_instance_profiles_for_role", RoleName=object_id)[
            "InstanceProfiles"
        ]:
            name = profile["InstanceProfileName"]
            aws.call("iam", "remove_role_from_instance_profile", InstanceProfileName=name, RoleName=object_id)
        if state.get("forceDetachPolicies", not state):
            _strip(aws, object_id)
        aws.call("iam", "delete_role", RoleName=object_id)


def as_text(document: object) -> str:
    """A policy as the API takes it."""
    return document if isinstance(document, str) else json.dumps(document)


def find_iam(aws: Aws, operation: str, key: str, **arguments: str) -> Values | None:
    """An object of IAM, or None when there is none of that name."""
    try:
        found: Values = aws.call("iam", operation, **arguments)[key]
    except AwsError as error:
        if error.code == GONE:
            return None
        raise
    return found


def update_iam_tags(aws: Aws, kind: str, which: Values, state: Values, new: Values) -> None:
    """Make the tags of a role or instance profile equal to the program's; marks stay."""
    old, wanted = state.get("tags") or {}, {**aws.config.default_tags, **(new.get("tags") or {})}
    if gone := [key for key in old if key not in wanted]:
        aws.call("iam", f"untag_{kind}", TagKeys=gone, **which)
    if changed := {key: value for key, value in wanted.items() if old.get(key) != value}:
        aws.call("iam", f"tag_{kind}", Tags=pairs(changed), **which)


def _strip(aws: Aws, role: str) -> None:
    for name in aws.call("iam", "list_role_policies", RoleName=role)["PolicyNames"]:
        aws.call("iam", "delete_role_policy", RoleName=role, PolicyName=name)
    for policy in aws.call("iam", "list_attached_role_policies", RoleName=role)["AttachedPolicies"]:
        aws.call("iam", "detach_role_policy", RoleName=role, PolicyArn=policy["PolicyArn"])
