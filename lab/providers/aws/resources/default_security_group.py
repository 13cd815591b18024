"""aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"""

from __future__ import annotations

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import creation_tags, pairs
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values
from lab.providers.aws.resources.security_group import find_group, group_state
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop


class DefaultSecurityGroup(ResourceType):
    """A VPC's own default group, taken over and emptied. It cannot be deleted; it is only let go of."""

    type_name = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    inputs = {**REGION, **TAGS, "vpcId": Prop(required=True, replaces=True)}
    outputs = frozenset({"arn", "description", "name", "ownerId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        filters = [
            {"Name": "vpc-id", "Values": [new["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
        groups = aws.ec2("describe_security_groups", Filters=filters)["SecurityGroups"]
        if not groups:
            raise ProviderError(f"{new['vpcId']} has no default security group")
        return str(groups[0]["GroupId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        group = find_group(aws, object_id)
        if group is None:
            raise ProviderError(f"{object_id} is gone")
        if ingress := group["IpPermissions"]:
            aws.ec2("revoke_security_group_ingress", GroupId=object_id, IpPermissions=ingress)
        if egress := group["IpPermissionsEgress"]:
            aws.ec2("revoke_security_group_egress", GroupId=object_id, IpPermissions=egress)
        # No marks: it was there before, and goes with its VPC.
        tags = {k: v for k, v in creation_tags(aws, urn, new.get("tags")).items() if not k.startswith("lab:")}
        if tags:
            aws.ec2("create_tags", Resources=[object_id], Tags=pairs(tags))

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        group = find_group(aws, object_id)
        return None if group is None else group_state(aws, group)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        return
