"""The calls about elastic IP addresses."""

from __future__ import annotations

from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses import EC2Response
from moto.ec2.utils import random_eip_association_id

from lab.cloud.backend import LabBackend
from lab.cloud.elastic_address import ElasticIp
from lab.cloud.errors import ec2_error, invalid_value, missing, unsupported
from lab.cloud.filters import select, tag_value
from lab.cloud.instance_model import instance
from lab.cloud.interface import Interface
from lab.cloud.interfaces import changeable, interface
from lab.cloud.shown import Shown
from lab.cloud.tags import forget_tags, tag_new, tags_for

Json = Any


class ElasticIpResponses(EC2Response):
    """Allocate, associate, disassociate, release, describe."""

    def allocate_address(self) -> ActionResult:
        """From the lab's own public prefix."""
        if self._get_param("Address") or self._get_param("PublicIpv4Pool") not in (None, "amazon"):
            raise unsupported("choosing a public address")
        backend = self._backend()
        elastic = ElasticIp(  # type: ignore[abstract] # of CloudFormation
            backend, "vpc", backend.public_addresses.take()
        )
        backend.addresses.append(elastic)
        tag_new(backend, str(elastic.allocation_id), tags_for(self._get_params(), "elastic-ip"))
        return Shown(elastic.allocation)

    def associate_address(self) -> ActionResult:
        """With a private address of an interface whose VPC has an internet gateway; from another, unless forbidden."""
        elastic, eni = self._elastic(), changeable(self._target())
        if elastic.eni is not None:
            changeable(elastic.eni)
        private = str(self._get_param("PrivateIpAddress") or eni.private_ip_address)
        if private not in eni.addresses:
            raise invalid_value(f"The private IP address {private} is not assigned to interface {eni.id}")
        self._require_gateway(eni)
        if elastic.eni is eni and elastic.private_ip_address == private:
            return Shown({"AssociationId": elastic.association_id})
        may_move = self._get_bool_param("AllowReassociation", True)  # in a VPC it is the default
        there = eni.elastic_ips.get(private)
        if elastic.eni is not None and not may_move:
            raise ec2_error(
                "Resource.AlreadyAssociated",
                f"resource {elastic.allocation_id} is already associated with "
                f"associate-id {elastic.association_id}",
            )
        if there is not None and not may_move:
            raise ec2_error(
                "Resource.AlreadyAssociated",
                f"resource {eni.id} is already associated with associate-id {there.association_id}",
            )
        if there is not None:
            there.eni = there.association_id = there.private = None
        if private == eni.private_ip_address:
            eni.stop_public(self._backend().public_addresses)
        elastic.eni, elastic.private = eni, private
        elastic.association_id = random_eip_association_id()
        return Shown({"AssociationId": elastic.association_id})

    def disassociate_address(self) -> ActionResult:
        """The interface may get an automatic address instead, as on AWS."""
        wanted, public = self._get_param("AssociationId"), self._get_param("PublicIp")
        for elastic in self._all():
            if elastic.eni is not None and (elastic.association_id == wanted or elastic.public_ip == public):
                eni = changeable(cast(Interface, elastic.eni))
                elastic.eni = elastic.association_id = elastic.private = None
                if eni.instance is not None and eni.instance.state == "running":
                    eni.start_public(self._backend().public_addresses)
                return EmptyResult()
        raise ec2_error(
            "InvalidAssociationID.NotFound", f"The association ID '{wanted or public}' does not exist"
        )

    def release_address(self) -> ActionResult:
        """Only while it is associated with nothing."""
        elastic = self._elastic()
        if elastic.eni is not None:
            raise ec2_error("InvalidIPAddress.InUse", f"Address {elastic.public_ip} is in use.")
        backend = self._backend()
        backend.addresses.remove(elastic)
        backend.public_addresses.give_back(elastic.public_ip)
        forget_tags(backend, str(elastic.allocation_id))
        return EmptyResult()

    def describe_addresses(self) -> ActionResult:
        """By allocation, address and filters."""
        allocations, publics = self._get_param("AllocationIds", []), self._get_param("PublicIps", [])
        known = {e.allocation_id for e in self._all()} | {e.public_ip for e in self._all()}
        for wanted in allocations:
            if wanted not in known:
                raise ec2_error(
                    "InvalidAllocationID.NotFound", f"The allocation ID '{wanted}' does not exist"
                )
        for wanted in publics:
            if wanted not in known:
                raise ec2_error("InvalidAddress.NotFound", f"Address '{wanted}' not found.")
        named = [
            e
            for e in self._all()
            if (not allocations or e.allocation_id in allocations) and (not publics or e.public_ip in publics)
        ]
        found = select(named, self._filters_from_querystring(), _filter_value)
        return Shown({"Addresses": [elastic.view() for elastic in found]})

    def _backend(self) -> LabBackend:
        return cast(LabBackend, self.ec2_backend)

    def _all(self) -> list[ElasticIp]:
        return cast("list[ElasticIp]", self.ec2_backend.addresses)

    def _elastic(self) -> ElasticIp:
        allocation, public = self._get_param("AllocationId"), self._get_param("PublicIp")
        if not allocation and not public:
            raise missing("AllocationId")
        for elastic in self._all():
            if elastic.allocation_id == allocation or elastic.public_ip == public:
                return elastic
        if allocation:
            raise ec2_error(
                "InvalidAllocationID.NotFound", f"The allocation ID '{allocation}' does not exist"
            )
        raise ec2_error("InvalidAddress.NotFound", f"Address '{public}' not found.")

    def _target(self) -> Interface:
        if eni_id := self._get_param("NetworkInterfaceId"):
            return interface(self.ec2_backend, eni_id)
        if not self._get_param("InstanceId"):
            raise missing("NetworkInterfaceId or InstanceId")
        found = instance(self.ec2_backend, self._get_param("InstanceId"))
        if len(found.nics) > 1:
            raise ec2_error(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{found.id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        if found.primary is None or found.state not in ("pending", "running", "stopping", "stopped"):
            raise ec2_error("IncorrectInstanceState", f"The instance '{found.id}' is {found.state}.")
        return found.primary

    def _require_gateway(self, eni: Interface) -> None:
        gateways = self.ec2_backend.internet_gateways.values()
        if not any(g.vpc is not None and g.vpc.id == eni.vpc_id for g in gateways):
            raise ec2_error(
                "Gateway.NotAttached", f"Network {eni.vpc_id} is not attached to any internet gateway"
            )


def _filter_value(elastic: ElasticIp, name: str) -> Json:
    view = elastic.view()
    keys = {
        "allocation-id": "AllocationId",
        "association-id": "AssociationId",
        "domain": "Domain",
        "instance-id": "InstanceId",
        "network-border-group": "NetworkBorderGroup",
        "network-interface-id": "NetworkInterfaceId",
        "network-interface-owner-id": "NetworkInterfaceOwnerId",
        "private-ip-address": "PrivateIpAddress",
        "public-ip": "PublicIp",
    }
    if name in keys:
        return view[keys[name]]
    return tag_value(elastic.ec2_backend.tags.get(elastic.allocation_id, {}), name)
