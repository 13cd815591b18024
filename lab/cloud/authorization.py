"""Which IAM calls an API call amounts to: the action on each resource that it names, with condition keys.

EC2's resources are those that the parameters name by id, and `TYPE/*` for what a call would make. A call that names
a resource in another way, and every one of another service, is about `*`: it needs a statement for every resource.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.cloud.backend import LabBackend
from lab.cloud.policy import Call
from lab.cloud.tags import tagged_types, tags_for

Json = Any
Keys = Mapping[str, Sequence[str]]

FAMILIES = ("aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/", "ec2:ResourceTag/")
ALWAYS = frozenset(["sts:GetCallerIdentity"])  # whatever the policies say, as on AWS
TYPES = {  # of resources, by the prefix of their ids
    "acl": "network-acl",
    "ami": "image",
    "dopt": "dhcp-options",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "i": "instance",
    "igw": "internet-gateway",
    "key": "key-pair",
    "nat": "natgateway",
    "pg": "placement-group",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
MAKES = {  # what calls make
    "AllocateAddress": ("elastic-ip",),
    "CreateInternetGateway": ("internet-gateway",),
    "CreateKeyPair": ("key-pair",),
    "CreateNatGateway": ("natgateway",),
    "CreateNetworkInterface": ("network-interface",),
    "CreatePlacementGroup": ("placement-group",),
    "CreateRouteTable": ("route-table",),
    "CreateSecurityGroup": ("security-group",),
    "CreateSubnet": ("subnet",),
    "CreateVpc": ("vpc",),
    "CreateVpcEndpoint": ("vpc-endpoint",),
    "ImportKeyPair": ("key-pair",),
    "RunInstances": ("instance", "network-interface", "volume"),
}
ONLY = dict.fromkeys(
    ("CreateRoute", "ReplaceRoute", "DeleteRoute"), ("RouteTableId",)
)  # targets do not count
NAMING = re.compile(r"(Ids?|Groups?|Resources)$")  # parameters that name resources
OTHERWISE = ("AssociationId", "AttachmentId", "GroupName", "KeyName", "PublicIp", "SecurityGroups")
RESOURCE_ID = re.compile(r"([a-z]+)-[0-9a-f]+")


def calls_of(
    service: str, action: str, params: Mapping[str, Json], region: str, backend: LabBackend, caller: Keys
) -> Iterator[Call]:
    """Every one of them must be allowed. `backend` is the region's EC2, `caller` the caller's condition keys."""
    common: Keys = {**caller, "aws:RequestedRegion": [region], "aws:SecureTransport": ["false"]}

    def call(name: str, resource: str, keys: Keys) -> Call:
        return Call(action=name, resource=resource, keys={**common, **keys}, families=FAMILIES)

    name = f"{service}:{action}"
    if service != "ec2":
        if name not in ALWAYS:
            yield call(name, "*", {})
        return
    of_region = {"ec2:Region": [region]}
    for resource in _resources(backend, action, params):
        tags = _tags(action, params, resource)
        keys = {**of_region, **_keys_of(backend, resource), **_tag_keys(tags)}
        yield call(name, _arn(backend, resource), keys)
    if params.get("IamInstanceProfile"):
        yield call("iam:PassRole", "*", {})
    for kind in tagged_types(params):
        keys = {**of_region, **_tag_keys(tags_for(params, kind)), "ec2:CreateAction": [action]}
        yield call("ec2:CreateTags", _arn(backend, f"{kind}/*"), keys)


def _tags(action: str, params: Mapping[str, Json], resource: str) -> Mapping[str, str]:
    """What a call tags a resource with."""
    if action in ("CreateTags", "DeleteTags"):
        return {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags", [])}
    return tags_for(params, resource.removesuffix("/*")) if resource.endswith("/*") else {}


def _tag_keys(tags: Mapping[str, str]) -> Keys:
    named = {f"aws:RequestTag/{key}": [value] for key, value in tags.items()}
    return {"aws:TagKeys": list(tags), **named}


def _resources(backend: LabBackend, action: str, params: Mapping[str, Json]) -> list[str]:
    """Ids, `TYPE/*`, `*`."""
    if action.startswith("Describe") and not action.endswith("Attribute"):
        return ["*"]
    if action in ONLY:
        return [str(params.get(name, "*")) for name in ONLY[action]]
    found = dict.fromkeys(_named(params))
    made = [f"{kind}/*" for kind in MAKES.get(action, ())]
    meant = [i for name in OTHERWISE if params.get(name) for i in _meant(backend, params[name])]
    return [*found, *made, *meant] or ["*"]


def _meant(backend: LabBackend, name: Json) -> list[str]:
    """Ids behind an attachment, an association or a public address; `*` behind any other name."""
    for eni in backend.enis.values():
        if eni.instance is not None and eni.attachment_id == name:
            return [eni.id, eni.instance.id]
    for elastic in backend.addresses:
        if name in (elastic.public_ip, elastic.association_id):
            return [str(elastic.allocation_id), *([elastic.eni.id] if elastic.eni else [])]
    return ["*"]


def _named(params: Mapping[str, Json]) -> Iterator[str]:
    for name, value in params.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from _named(item)
            elif isinstance(item, str) and NAMING.search(name):
                parsed = RESOURCE_ID.fullmatch(item)
                if parsed is not None and parsed[1] in TYPES:
                    yield item


def _arn(backend: LabBackend, resource: str) -> str:
    if resource == "*":
        return resource
    kind = resource if "/" in resource else f"{_type(resource)}/{resource}"
    owner = "" if kind.startswith("image/") else backend.account_id
    return f"arn:aws:ec2:{backend.region_name}:{owner}:{kind}"


def _type(resource_id: str) -> str:
    return TYPES.get(resource_id.partition("-")[0], "unknown")


def _keys_of(backend: LabBackend, resource: str) -> Keys:
    """What conditions can ask about a resource that exists."""
    tags = backend.tags.get(resource, {})
    keys = {
        f"{service}:ResourceTag/{key}": [value] for key, value in tags.items() for service in ("aws", "ec2")
    }
    found: Json = None
    match _type(resource):
        case "network-interface" if found := backend.enis.get(resource):
            keys["ec2:NetworkInterfaceID"] = [resource]
            keys["ec2:Subnet"] = [_arn(backend, found.subnet_id)]
            keys["ec2:AvailabilityZone"] = [str(found.subnet.availability_zone)]
        case "instance" if found := backend.get_instance_by_id(resource):
            keys["ec2:InstanceID"] = [resource]
            keys["ec2:InstanceType"] = [str(found.instance_type)]
            keys["ec2:AvailabilityZone"] = [str(found.availability_zone)]
        case "security-group":
            found = backend.get_security_group_from_id(resource)
        case "route-table":
            found = backend.route_tables.get(resource)
        case "subnet":
            found = next((by_id[resource] for by_id in backend.subnets.values() if resource in by_id), None)
    if vpc_id := getattr(found, "vpc_id", None):
        keys["ec2:Vpc"] = [_arn(backend, str(vpc_id))]
    return keys
