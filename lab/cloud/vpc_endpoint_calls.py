"""The calls about VPC endpoints: interface endpoints of EC2, the one service that answers in the lab's VPCs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from moto.core.responses import ActionResult
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response

from lab.cloud.backend import LabBackend
from lab.cloud.client_tokens import made_before, remember
from lab.cloud.errors import ec2_error, invalid_value, missing, unsupported
from lab.cloud.filters import select, tag_value
from lab.cloud.security_groups import groups_by_id
from lab.cloud.shown import Shown
from lab.cloud.tags import tag_new, tags_for
from lab.cloud.vpc_endpoint import EVERYTHING, Endpoint, endpoint, endpoints, for_anybody

Json = Any
Params = Mapping[str, Any]
REFUSED = (
    "AddRouteTableIds",
    "DnsOptions",
    "RemoveRouteTableIds",
    "ResourceConfigurationArn",
    "RouteTableIds",
    "ServiceNetworkArn",
    "ServiceRegion",
)


class VpcEndpointResponses(EC2Response):
    """Create, modify, delete, describe."""

    def create_vpc_endpoint(self) -> ActionResult:
        """With an interface in each of its subnets. Without groups it gets the VPC's default group."""
        params, backend = _checked(self._get_params()), cast(LabBackend, self.ec2_backend)
        made = endpoints(backend).get(made_before(backend.endpoint_tokens, params) or "")
        if made is None:
            made = _make(backend, params)
            remember(backend.endpoint_tokens, params, made.id)
        return Shown({"VpcEndpoint": made.view(), "ClientToken": params.get("ClientToken")})

    def modify_vpc_endpoint(self) -> ActionResult:
        """Subnets, their addresses, groups, private names. An interface with another address is a new one."""
        params, backend = _checked(self._get_params()), self.ec2_backend
        changed = endpoint(backend, params.get("VpcEndpointId", ""))
        gone = params.get("RemoveSecurityGroupIds", [])
        kept = [str(group.id) for group in changed.groups if group.id not in gone]
        new = [group for group in params.get("AddSecurityGroupIds", []) if group not in kept]
        if not kept and not new:
            raise invalid_value(f"The last security group of {changed.id} cannot be removed")
        changed.protect(groups_by_id(backend, [*kept, *new], changed.vpc_id))
        for subnet_id in params.get("RemoveSubnetIds", []):
            changed.leave(subnet_id)
        added = [s for s in params.get("AddSubnetIds", []) if s not in changed.interfaces]
        _enter(changed, added, _addresses(params, [*added, *changed.interfaces]))
        changed.policy = EVERYTHING if params.get("ResetPolicy") else _policy(params, changed.policy)
        if "PrivateDnsEnabled" in params:
            _name(changed, wanted=bool(params["PrivateDnsEnabled"]))
        return Shown({"Return": True})

    def delete_vpc_endpoints(self) -> ActionResult:
        """Those that exist; the others are told."""
        failed = []
        for wanted in self._get_param("VpcEndpointIds", []):
            gone = endpoints(self.ec2_backend).get(wanted)
            if gone is not None:
                gone.close()
                continue
            message = f"The Vpc Endpoint Id '{wanted}' does not exist"
            error = {"Code": "InvalidVpcEndpoint.NotFound", "Message": message}
            failed.append({"ResourceId": wanted, "Error": error})
        return Shown({"Unsuccessful": failed})

    def describe_vpc_endpoints(self) -> ActionResult:
        """By id and filters."""
        ids = self._get_param("VpcEndpointIds", [])
        named = [endpoint(self.ec2_backend, i) for i in ids] or endpoints(self.ec2_backend).values()
        found = select(named, self._filters_from_querystring(), _filter_value)
        return Shown({"VpcEndpoints": [one.view() for one in found]})


def _checked(params: Params) -> Params:
    for name in REFUSED:
        if params.get(name):
            raise unsupported(f"{name} of a VPC endpoint")
    if params.get("IpAddressType", "ipv4") != "ipv4":
        raise unsupported("IPv6")
    return params


def _make(backend: LabBackend, params: Params) -> Endpoint:
    vpc_id, service = params.get("VpcId"), params.get("ServiceName")
    if not vpc_id or not service:
        raise missing("VpcId" if service else "ServiceName")
    backend.get_vpc(vpc_id)
    here = f"com.amazonaws.{backend.region_name}.ec2"
    if params.get("VpcEndpointType", "Gateway") != "Interface" or service != here:
        raise unsupported(f"VPC endpoints other than interface endpoints of {here}")
    default = backend.get_default_security_group(vpc_id)
    ids = params.get("SecurityGroupIds") or ([str(default.id)] if default else [])
    made = Endpoint(backend, vpc_id, service, groups_by_id(backend, ids, vpc_id))
    endpoints(backend)[made.id] = made
    subnets = params.get("SubnetIds", [])
    _enter(made, subnets, _addresses(params, subnets))
    made.policy = _policy(params, EVERYTHING)
    _name(made, wanted=bool(params.get("PrivateDnsEnabled", True)))
    tag_new(backend, made.id, tags_for(params, "vpc-endpoint"))
    return made


def _policy(params: Params, otherwise: str) -> str:
    text = params.get("PolicyDocument")
    if not text:
        return otherwise
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ec2_error("InvalidPolicyDocument", "This policy contains invalid Json")
    for_anybody(document)
    return str(text)


def _enter(made: Endpoint, added: Sequence[str], addresses: Mapping[str, str]) -> None:
    for subnet in (made.ec2_backend.get_subnet(s) for s in dict.fromkeys((*added, *addresses))):
        _require_place(made, subnet)
        made.enter(subnet, addresses.get(str(subnet.id)))


def _name(made: Endpoint, *, wanted: bool) -> None:
    vpc = made.ec2_backend.get_vpc(made.vpc_id)
    if wanted and not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
        raise ec2_error(
            "InvalidParameter",
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes "
            f"set to true for {made.vpc_id}",
        )
    others = (e for e in endpoints(made.ec2_backend).values() if e is not made)
    if wanted and any(e.private_dns and e.vpc_id == made.vpc_id for e in others):
        raise ec2_error(
            "InvalidParameter",
            "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
            f"{made.service} in the VPC {made.vpc_id}",
        )
    made.private_dns = wanted


def _addresses(params: Params, subnets: Sequence[str]) -> dict[str, str]:
    """The addresses that are asked for, by subnet; each of a subnet that the endpoint is in."""
    asked = params.get("SubnetConfigurations", [])
    for item in asked:
        if item.get("Ipv6"):
            raise unsupported("IPv6")
        if item.get("SubnetId") not in subnets:
            raise invalid_value(
                f"The subnet {item.get('SubnetId')} of a subnet configuration is not among the endpoint's"
            )
    return {str(item["SubnetId"]): str(item["Ipv4"]) for item in asked if item.get("Ipv4")}


def _require_place(made: Endpoint, subnet: Subnet) -> None:
    if subnet.vpc_id != made.vpc_id:
        raise invalid_value(f"The subnet {subnet.id} is not in {made.vpc_id}")
    others = (eni for place, eni in made.interfaces.items() if place != subnet.id)
    if any(eni.availability_zone == subnet.availability_zone for eni in others):
        raise ec2_error(
            "DuplicateSubnetsInSameZone",
            f"Found another VPC endpoint subnet in the availability zone of {subnet.id}.",
        )


def _filter_value(found: Endpoint, name: str) -> Json:
    values = {
        "ip-address-type": "ipv4",
        "service-name": found.service,
        "vpc-endpoint-id": found.id,
        "vpc-endpoint-state": "available",
        "vpc-endpoint-type": "Interface",
        "vpc-id": found.vpc_id,
    }
    return values[name] if name in values else tag_value(found.ec2_backend.tags.get(found.id, {}), name)
