"""aws:ec2/vpcEndpoint:VpcEndpoint"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidVpcEndpointId.NotFound"
DEADLINE_S = 300.0
LISTS = {"subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds", "routeTableIds": "RouteTableIds"}


class VpcEndpoint(ResourceType):
    """A service's address inside a VPC."""

    type_name = "aws:ec2/vpcEndpoint:VpcEndpoint"
    rank = 50
    inputs = {
        **REGION,
        **TAGS,
        "vpcId": Prop(required=True, replaces=True),
        "serviceName": Prop(required=True, replaces=True),
        "vpcEndpointType": Prop(default="Gateway", one_of=("Gateway", "Interface"), replaces=True),
        "privateDnsEnabled": Prop(kind=Kind.BOOL, computed=True),
        **{key: Prop(kind=Kind.STRING_SET, computed=True) for key in LISTS},
        "policy": Prop(kind=Kind.DOCUMENT, computed=True),
    }
    outputs = frozenset({"arn", "networkInterfaceIds", "ownerId", "state", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2(
            "create_vpc_endpoint",
            VpcId=new["vpcId"],
            ServiceName=new["serviceName"],
            VpcEndpointType=new["vpcEndpointType"],
            PrivateDnsEnabled=new.get("privateDnsEnabled"),
            PolicyDocument=new.get("policy"),
            TagSpecifications=tag_specifications(aws, urn, "vpc-endpoint", new.get("tags")),
            **{name: new[key] for key, name in LISTS.items() if new.get(key)},
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        endpoint = aws.find("describe_vpc_endpoints", "VpcEndpoints", GONE, VpcEndpointIds=[object_id])
        if endpoint is None or endpoint["State"].lower() in ("deleting", "deleted"):
            return None
        groups = endpoint.get("Groups", [])
        return {
            **read_tags(aws, endpoint.get("Tags")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"vpc-endpoint/{object_id}"),
            "vpcId": endpoint["VpcId"],
            "serviceName": endpoint["ServiceName"],
            "vpcEndpointType": endpoint.get("VpcEndpointType", "Gateway"),
            "privateDnsEnabled": endpoint.get("PrivateDnsEnabled", False),
            "subnetIds": sorted(endpoint.get("SubnetIds", [])),
            "routeTableIds": sorted(endpoint.get("RouteTableIds", [])),
            "securityGroupIds": sorted(g["GroupId"] for g in groups) or known.get("securityGroupIds"),
            "networkInterfaceIds": sorted(endpoint.get("NetworkInterfaceIds", [])),
            "state": endpoint["State"],
            "ownerId": endpoint.get("OwnerId") or aws.account,
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        arguments: dict[str, Any] = {}
        for key in LISTS.keys() & changed:
            singular = key.removesuffix("s")[0].upper() + key.removesuffix("s")[1:]
            old, wanted = set(state.get(key) or []), set(new.get(key) or [])
            arguments |= {f"Add{singular}s": sorted(wanted - old) or None}
            arguments |= {f"Remove{singular}s": sorted(old - wanted) or None}
        if "policy" in changed:
            arguments["PolicyDocument"] = new.get("policy")
        if "privateDnsEnabled" in changed:
            arguments["PrivateDnsEnabled"] = new.get("privateDnsEnabled")
        if arguments:
            aws.ec2("modify_vpc_endpoint", VpcEndpointId=object_id, **arguments)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        if self.describe(aws, object_id, state) is None:
            return
        aws.ec2("delete_vpc_endpoints", VpcEndpointIds=[object_id])
        aws.wait_until(
            f"{object_id} is deleted", lambda: self.describe(aws, object_id, state) is None, DEADLINE_S
        )
