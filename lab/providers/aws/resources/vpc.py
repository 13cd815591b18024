"""aws:ec2/vpc:Vpc"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidVpcID.NotFound"
ATTRIBUTES = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


class Vpc(ResourceType):
    """A network. Its default group, route table and ACL come and go with it."""

    type_name = "aws:ec2/vpc:Vpc"
    inputs = {
        **REGION,
        **TAGS,
        "cidrBlock": Prop(required=True, replaces=True),
        "enableDnsSupport": Prop(kind=Kind.BOOL, default=True),
        "enableDnsHostnames": Prop(kind=Kind.BOOL, computed=True),
        "instanceTenancy": Prop(default="default", one_of=("default",), replaces=True),
    }
    outputs = frozenset(
        {"arn", "defaultNetworkAclId", "defaultRouteTableId", "defaultSecurityGroupId", "dhcpOptionsId"}
        | {"mainRouteTableId", "ownerId", "tagsAll"}
    )

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        tags = tag_specifications(aws, urn, "vpc", new.get("tags"))
        made = aws.ec2(
            "create_vpc",
            CidrBlock=new["cidrBlock"],
            InstanceTenancy=new["instanceTenancy"],
            TagSpecifications=tags,
        )
        return str(made["Vpc"]["VpcId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        _set_attributes(aws, object_id, new, set(ATTRIBUTES))

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        vpc = aws.find("describe_vpcs", "Vpcs", GONE, VpcIds=[object_id])
        if vpc is None:
            return None
        in_vpc = {"Name": "vpc-id", "Values": [object_id]}
        groups = aws.ec2("describe_security_groups", Filters=[in_vpc, _named("group-name", "default")])
        tables = aws.ec2("describe_route_tables", Filters=[in_vpc, _named("association.main", "true")])
        acls = aws.ec2("describe_network_acls", Filters=[in_vpc, _named("default", "true")])
        main = tables["RouteTables"][0]["RouteTableId"]
        return {
            **read_tags(aws, vpc.get("Tags")),
            **{key: _attribute(aws, object_id, name) for key, name in ATTRIBUTES.items()},
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"vpc/{object_id}"),
            "cidrBlock": vpc["CidrBlock"],
            "instanceTenancy": vpc["InstanceTenancy"],
            "dhcpOptionsId": vpc.get("DhcpOptionsId"),
            "defaultSecurityGroupId": groups["SecurityGroups"][0]["GroupId"],
            "defaultRouteTableId": main,
            "mainRouteTableId": main,
            "defaultNetworkAclId": acls["NetworkAcls"][0]["NetworkAclId"],
            "ownerId": vpc.get("OwnerId") or aws.account,
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        _set_attributes(aws, object_id, new, changed)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "delete_vpc", (GONE,), VpcId=object_id)


def _set_attributes(aws: Aws, vpc_id: str, new: Values, changed: Set[str]) -> None:
    for key, name in ATTRIBUTES.items():
        if key in changed and key in new:
            aws.ec2("modify_vpc_attribute", VpcId=vpc_id, **{name: {"Value": new[key]}})


def _attribute(aws: Aws, vpc_id: str, name: str) -> bool:
    camel = name[0].lower() + name[1:]
    return bool(aws.ec2("describe_vpc_attribute", VpcId=vpc_id, Attribute=camel)[name]["Value"])


def _named(name: str, value: str) -> dict[str, object]:
    return {"Name": name, "Values": [value]}
