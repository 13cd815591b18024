"""aws:ec2/securityGroup:SecurityGroup"""

from __future__ import annotations

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidGroup.NotFound"
IN_USE_DEADLINE_S = 60.0  # an interface that is just going still holds its groups


class SecurityGroup(ResourceType):
    """A group without rules, not even the egress rule that AWS gives a new one. Rules are resources."""

    type_name = "aws:ec2/securityGroup:SecurityGroup"
    rank = 20
    inputs = {
        **REGION,
        **TAGS,
        "vpcId": Prop(required=True, replaces=True),
        "name": Prop(autoname=True, replaces=True),
        "description": Prop(default="Managed by Pulumi", replaces=True),
        "revokeRulesOnDelete": Prop(kind=Kind.BOOL, default=False),
    }
    outputs = frozenset({"arn", "ownerId", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2(
            "create_security_group",
            VpcId=new["vpcId"],
            GroupName=new["name"],
            Description=new["description"],
            TagSpecifications=tag_specifications(aws, urn, "security-group", new.get("tags")),
        )
        return str(made["GroupId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        group = find_group(aws, object_id)
        if group is not None and group["IpPermissionsEgress"]:
            aws.ec2(
                "revoke_security_group_egress", GroupId=object_id, IpPermissions=group["IpPermissionsEgress"]
            )

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        group = find_group(aws, object_id)
        return None if group is None else group_state(aws, group)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        aws.wait_until(
            f"{object_id} is in no use any more", lambda: _deleted(aws, object_id), IN_USE_DEADLINE_S
        )


def group_state(aws: Aws, group: Values) -> State:
    """What a group and a VPC's default group have in common."""
    return {
        **read_tags(aws, group.get("Tags")),
        "region": aws.config.region,
        "arn": aws.arn("ec2", f"security-group/{group['GroupId']}"),
        "vpcId": group["VpcId"],
        "name": group["GroupName"],
        "description": group["Description"],
        "ownerId": group.get("OwnerId") or aws.account,
    }


def find_group(aws: Aws, object_id: str) -> Values | None:
    """A group as the API gives it."""
    found: Values | None = aws.find(
        "describe_security_groups", "SecurityGroups", r"InvalidGroup(Id)?\.NotFound", GroupIds=[object_id]
    )
    return found


def _deleted(aws: Aws, object_id: str) -> bool:
    try:
        aws.ec2("delete_security_group", GroupId=object_id)
    except AwsError as error:
        if error.code == "DependencyViolation":
            return False
        if error.code not in (GONE, "InvalidGroupId.NotFound"):
            raise
    return True
