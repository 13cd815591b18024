"""A public NAT gateway: an interface of AWS's own in a public subnet, with an elastic address."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import Subnet
from moto.ec2.utils import random_eip_association_id, random_nat_gateway_id

from lab.cloud.elastic_address import ElasticIp
from lab.cloud.errors import ec2_error
from lab.cloud.interface import Interface
from lab.cloud.interfaces import InterfaceRequest, delete_interface, make_interface
from lab.cloud.private_addresses import AddressRequest
from lab.cloud.tags import forget_tags, tags_of

View = dict[str, Any]


class NatGateway:
    """Available as soon as it is made; `failed` where the VPC has no internet gateway, as on AWS."""

    def __init__(self, backend: EC2Backend, subnet: Subnet, elastic: ElasticIp) -> None:
        self.id = random_nat_gateway_id()
        self.ec2_backend = backend
        self.subnet_id, self.vpc_id = str(subnet.id), str(subnet.vpc_id)
        self.state = "failed"
        self.created: datetime = utcnow()
        self.deleted: datetime | None = None
        self.elastic = elastic
        self.eni: Interface | None = None
        self._address: View = {"AllocationId": elastic.allocation_id, "PublicIp": elastic.public_ip}

    def open(self, subnet: Subnet, private_ip: str | None) -> None:
        """Make its interface, with a private address that is given or chosen, and associate its public one."""
        request = InterfaceRequest(
            subnet=subnet,
            addresses=AddressRequest(primary=private_ip, secondary=()),
            description=f"Interface for NAT Gateway {self.id}",
        )
        self.eni = eni = make_interface(self.ec2_backend, request)
        eni.interface_type, eni._group_set, eni.source_dest_check = "nat_gateway", [], False
        self.elastic.eni, self.elastic.private = eni, str(eni.private_ip_address)
        self.elastic.association_id = random_eip_association_id()
        self._address |= {
            "AssociationId": self.elastic.association_id,
            "NetworkInterfaceId": eni.id,
            "PrivateIp": eni.private_ip_address,
            "IsPrimary": True,
            "Status": "succeeded",
        }
        self.state = "available"

    def close(self) -> None:
        """Its interface goes, its elastic address is free again; it can still be seen."""
        if self.eni is not None:
            eni, self.eni = self.eni, None
            eni.interface_type = "interface"
            delete_interface(self.ec2_backend, eni)
        forget_tags(self.ec2_backend, self.id)  # or who looks for leftovers by their tags would find it
        self.state, self.deleted = "deleted", self.deleted or utcnow()

    def view(self) -> View:
        """As DescribeNatGateways shows it."""
        failed = self.state == "failed"
        why = f"Network {self.vpc_id} has no Internet gateway attached"
        return {
            "NatGatewayId": self.id,
            "SubnetId": self.subnet_id,
            "VpcId": self.vpc_id,
            "State": self.state,
            "ConnectivityType": "public",
            "CreateTime": self.created,
            "DeleteTime": self.deleted,
            "FailureCode": "Gateway.NotAttached" if failed else None,
            "FailureMessage": why if failed else None,
            "NatGatewayAddresses": [self._address],
            "Tags": tags_of(self.ec2_backend, self.id),
        }


def nat_gateways(backend: EC2Backend) -> dict[str, NatGateway]:
    """All of a region, by id: the dict itself."""
    return cast("dict[str, NatGateway]", backend.nat_gateways)


def nat_gateway(backend: EC2Backend, wanted: str, code: str = "NatGatewayNotFound") -> NatGateway:
    """By id; refuses ids that do not exist, with the code that the call has for that."""
    found = nat_gateways(backend).get(wanted)
    if found is None:
        raise ec2_error(code, f"The Nat Gateway {wanted} was not found")
    return found
