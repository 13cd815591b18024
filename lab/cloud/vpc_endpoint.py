"""An interface endpoint: a service of AWS's at an address inside a VPC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.models.subnets import Subnet
from moto.ec2.utils import random_vpc_ep_id

from lab.cloud.errors import ec2_error, unsupported
from lab.cloud.interface import Interface
from lab.cloud.interfaces import InterfaceRequest, delete_interface, make_interface
from lab.cloud.policy import Call, Decision, decide
from lab.cloud.private_addresses import AddressRequest
from lab.cloud.tags import forget_tags, tags_of

View = dict[str, Any]
KIND = "vpc_endpoint"  # what its interfaces are
EVERYTHING = json.dumps(
    {"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]}
)  # AWS's own policy, where none is given


class Endpoint:
    """Available as soon as it is made. It has an interface in each of its subnets, all with the same groups."""

    def __init__(self, backend: EC2Backend, vpc_id: str, service: str, groups: list[SecurityGroup]) -> None:
        self.id = random_vpc_ep_id()
        self.ec2_backend = backend
        self.vpc_id, self.service = vpc_id, service
        self.groups = groups
        self.private_dns = False
        self.policy = EVERYTHING  # what passes, whoever calls
        self.created: datetime = utcnow()
        self.interfaces: dict[str, Interface] = {}  # by subnet

    def enter(self, subnet: Subnet, address: str | None) -> None:
        """Answer in a subnet, at an address that is given or chosen; where it answers already, at this one."""
        self.leave(str(subnet.id))
        request = InterfaceRequest(
            subnet=subnet,
            addresses=AddressRequest(primary=address, secondary=()),
            group_ids=[str(group.id) for group in self.groups],
            description=f"VPC Endpoint Interface {self.id}",
        )
        self.interfaces[str(subnet.id)] = eni = make_interface(self.ec2_backend, request)
        eni.interface_type, eni.service = KIND, self.service

    def leave(self, subnet_id: str) -> None:
        """Answer there no more."""
        eni = self.interfaces.pop(subnet_id, None)
        if eni is not None:
            eni.interface_type = "interface"
            delete_interface(self.ec2_backend, eni)

    def protect(self, groups: list[SecurityGroup]) -> None:
        """These groups say who may reach it, from now on."""
        self.groups = groups
        for eni in self.interfaces.values():
            eni._group_set = list(groups)

    def close(self) -> None:
        """Its interfaces go, and so does it."""
        for subnet_id in list(self.interfaces):
            self.leave(subnet_id)
        del endpoints(self.ec2_backend)[self.id]
        forget_tags(self.ec2_backend, self.id)

    def view(self) -> View:
        """As DescribeVpcEndpoints shows it."""
        return {
            "VpcEndpointId": self.id,
            "VpcEndpointType": "Interface",
            "VpcId": self.vpc_id,
            "ServiceName": self.service,
            "State": "available",
            "PolicyDocument": self.policy,
            "RouteTableIds": [],
            "SubnetIds": list(self.interfaces),
            "Groups": [{"GroupId": group.id, "GroupName": group.name} for group in self.groups],
            "IpAddressType": "ipv4",
            "DnsOptions": {"DnsRecordIpType": "ipv4"},
            "PrivateDnsEnabled": self.private_dns,
            "RequesterManaged": False,
            "NetworkInterfaceIds": [eni.id for eni in self.interfaces.values()],
            "DnsEntries": self._dns_entries(),
            "CreationTimestamp": self.created,
            "OwnerId": self.ec2_backend.account_id,
            "Tags": tags_of(self.ec2_backend, self.id),
        }

    def _dns_entries(self) -> list[Mapping[str, str]]:
        """Names as AWS gives them; the lab has no name server that would know them."""
        _com, _amazonaws, region, service = self.service.split(".")
        own = f"{self.id}-{self.id[-8:]}.{service}.{region}.vpce.amazonaws.com"
        names = [own, *([f"{service}.{region}.amazonaws.com"] if self.private_dns else [])]
        return [{"DnsName": name} for name in names]


def lets_through(backend: EC2Backend, eni_id: str, call: Call) -> bool:
    """Whether the policy of the endpoint that has this interface allows a call; one that is gone allows none."""
    having = (e for e in endpoints(backend).values() if eni_id in (eni.id for eni in e.interfaces.values()))
    return any(decide([for_anybody(json.loads(found.policy))], call) is Decision.ALLOW for found in having)


def for_anybody(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy without its principals; refuses one that tells callers apart."""
    told = policy.get("Statement", [])
    statements = told if isinstance(told, list) else [told]
    for statement in statements:
        if statement.get("Principal") not in ("*", {"AWS": "*"}) or "NotPrincipal" in statement:
            raise unsupported("policies of VPC endpoints that tell callers apart")
    bare = [{key: value for key, value in each.items() if key != "Principal"} for each in statements]
    return {**policy, "Statement": bare}


def endpoints(backend: EC2Backend) -> dict[str, Endpoint]:
    """All of a region, by id: the dict itself."""
    return cast("dict[str, Endpoint]", backend.vpc_end_points)


def endpoint(backend: EC2Backend, wanted: str) -> Endpoint:
    """By id; refuses ids that do not exist."""
    found = endpoints(backend).get(wanted)
    if found is None:
        raise ec2_error("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{wanted}' does not exist")
    return found
