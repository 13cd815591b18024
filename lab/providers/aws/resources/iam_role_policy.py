"""aws:iam/rolePolicy:RolePolicy"""

from __future__ import annotations

import json
from collections.abc import Set

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.resource import ResourceType, State, Values
from lab.providers.aws.resources.iam_role import GONE, as_text
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop


class RolePolicy(ResourceType):
    """A policy inside a role. Untaggable, and making it twice is making it once. The id is `role:name`."""

    type_name = "aws:iam/rolePolicy:RolePolicy"
    inputs = {
        "role": Prop(required=True, replaces=True),
        "name": Prop(autoname=True, replaces=True),
        "policy": Prop(kind=Kind.DOCUMENT, required=True),
    }

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        _put(aws, new["role"], new["name"], new)
        return f"{new['role']}:{new['name']}"

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        role, _, name = object_id.partition(":")
        try:
            answer = aws.call("iam", "get_role_policy", RoleName=role, PolicyName=name)
        except AwsError as error:
            if error.code == GONE:
                return None
            raise
        document = answer["PolicyDocument"]
        text = document if isinstance(document, str) else json.dumps(document)
        return {"role": role, "name": name, "policy": text}

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        role, _, name = object_id.partition(":")
        _put(aws, role, name, new)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        role, _, name = object_id.partition(":")
        try:
            aws.call("iam", "delete_role_policy", RoleName=role, PolicyName=name)
        except AwsError as error:
            if error.code != GONE:
                raise


def _put(aws: Aws, role: str, name: str, new: Values) -> None:
    aws.call("iam", "put_role_policy", RoleName=role, PolicyName=name, PolicyDocument=as_text(new["policy"]))
