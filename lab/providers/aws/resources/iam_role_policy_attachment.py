"""aws:iam/rolePolicyAttachment:RolePolicyAttachment"""

from __future__ import annotations

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.resource import ResourceType, State, Values
from lab.providers.aws.resources.iam_role import GONE
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop


class RolePolicyAttachment(ResourceType):
    """A managed policy on a role. Attaching it twice is attaching it once."""

    type_name = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    inputs = {
        "role": Prop(required=True, replaces=True),
        "policyArn": Prop(required=True, replaces=True),
    }

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        aws.call("iam", "attach_role_policy", RoleName=new["role"], PolicyArn=new["policyArn"])
        return f"{new['role']}/{new['policyArn']}"

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        role, arn = known["role"], known["policyArn"]
        try:
            attached = aws.call("iam", "list_attached_role_policies", RoleName=role)["AttachedPolicies"]
        except AwsError as error:
            if error.code == GONE:
                return None
            raise
        is_there = any(policy["PolicyArn"] == arn for policy in attached)
        return {"role": role, "policyArn": arn} if is_there else None

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        try:
            aws.call("iam", "detach_role_policy", RoleName=state["role"], PolicyArn=state["policyArn"])
        except AwsError as error:
            if error.code != GONE:
                raise
