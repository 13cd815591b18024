"""aws:ec2/vpcEndpoint:VpcEndpoint"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values
from lab.providers.plugin.errors import CheckFailure, ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop
from lab.providers.plugin.values import UNKNOWN

GONE = "InvalidVpcEndpointId.NotFound"
DEADLINE_S = 300.0
SUBNET_CONFIGURATION = {"subnetId": Prop(), "ipv4": Prop()}
LISTS = {"subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds", "routeTableIds": "RouteTableIds"}


class VpcEndpoint(ResourceType):
    """A service's address inside a VPC. Done when it is available, removed when its interfaces are gone."""

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
        "subnetConfigurations": Prop(
            kind=Kind.OBJECTS, fields=SUBNET_CONFIGURATION, computed=True, affects=("networkInterfaceIds",)
        ),
        "policy": Prop(kind=Kind.DOCUMENT, computed=True),
    }
    outputs = frozenset({"arn", "dnsEntries", "networkInterfaceIds", "ownerId", "state", "tagsAll"})

    def check(self, new: Values) -> list[CheckFailure]:
        subnets = new.get("subnetIds", [])
        if subnets is UNKNOWN or UNKNOWN in subnets:
            return []
        configured = new.get("subnetConfigurations", [])
        return [
            CheckFailure(
                f"subnetConfigurations[{index}]",
                f"{item.get('subnetId')} must be among subnetIds too, as the cloud demands it",
            )
            for index, item in enumerate([] if configured is UNKNOWN else configured)
            if item is not UNKNOWN and item.get("subnetId") not in (*subnets, UNKNOWN)
        ]

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2(
            "create_vpc_endpoint",
            VpcId=new["vpcId"],
            ServiceName=new["serviceName"],
            VpcEndpointType=new["vpcEndpointType"],
            # The real plugin always says it: unsaid is false, while the API's own default is true.
            PrivateDnsEnabled=new.get("privateDnsEnabled", False),
            PolicyDocument=new.get("policy"),
            SubnetConfigurations=_configurations(new.get("subnetConfigurations")),
            TagSpecifications=tag_specifications(aws, urn, "vpc-endpoint", new.get("tags")),
            **{name: new[key] for key, name in LISTS.items() if new.get(key)},
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        _wait(aws, object_id)

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        endpoint = _find(aws, object_id)
        if endpoint is None or endpoint["State"].lower() in ("deleting", "deleted"):
            return None
        groups = endpoint.get("Groups", [])
        interfaces = sorted(endpoint.get("NetworkInterfaceIds", []))
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
            "networkInterfaceIds": interfaces,
            "subnetConfigurations": _read_configurations(aws, interfaces, known),
            "dnsEntries": [
                {"dnsName": entry["DnsName"], "hostedZoneId": entry.get("HostedZoneId")}
                for entry in endpoint.get("DnsEntries", [])
            ],
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
        if "subnetConfigurations" in changed and "subnetConfigurations" in new:
            there = state.get("subnetConfigurations") or []
            different = [item for item in new["subnetConfigurations"] if item not in there]
            arguments["SubnetConfigurations"] = _configurations(different)
        if arguments:
            aws.ec2("modify_vpc_endpoint", VpcEndpointId=object_id, **arguments)
            _wait(aws, object_id)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        if self.describe(aws, object_id, state) is None:
            return
        aws.ec2("delete_vpc_endpoints", VpcEndpointIds=[object_id])
        aws.wait_until(
            f"{object_id} is deleted", lambda: self.describe(aws, object_id, state) is None, DEADLINE_S
        )


def _find(aws: Aws, object_id: str) -> Values | None:
    found: Values | None = aws.find(
        "describe_vpc_endpoints", "VpcEndpoints", GONE, VpcEndpointIds=[object_id]
    )
    return found


def _wait(aws: Aws, object_id: str) -> None:
    def available() -> bool:
        state = str((_find(aws, object_id) or {}).get("State", "gone")).lower()
        if state in ("failed", "rejected", "expired", "gone"):
            raise ProviderError(f"{object_id} is {state}")
        return state == "available"

    aws.wait_until(f"{object_id} is available", available, DEADLINE_S)


def _configurations(wanted: list[Values] | None) -> list[dict[str, str]] | None:
    named = [{"SubnetId": item.get("subnetId"), "Ipv4": item.get("ipv4")} for item in wanted or []]
    return [{key: value for key, value in item.items() if value} for item in named] or None


def _read_configurations(aws: Aws, interfaces: list[str], known: Values) -> list[State]:
    """From the interfaces, in the order in which the program has them: the API does not repeat them."""
    if not interfaces:
        return []
    enis = aws.ec2("describe_network_interfaces", NetworkInterfaceIds=interfaces)["NetworkInterfaces"]
    there = [{"subnetId": eni["SubnetId"], "ipv4": eni["PrivateIpAddress"]} for eni in enis]
    order = [item.get("subnetId") for item in known.get("subnetConfigurations") or []]
    return sorted(there, key=lambda item: order.index(item["subnetId"]) if item["subnetId"] in order else 99)
