"""The calls about NAT gateways: public ones, each with one address."""

from __future__ import annotations

from typing import Any, cast

from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response

from lab.cloud.backend import LabBackend
from lab.cloud.client_tokens import made_before, remember
from lab.cloud.elastic_address import ElasticIp
from lab.cloud.errors import ec2_error, missing, unsupported
from lab.cloud.filters import select, tag_value
from lab.cloud.nat_gateway import NatGateway, nat_gateway, nat_gateways
from lab.cloud.shown import Shown
from lab.cloud.tags import tag_new, tags_for

Json = Any
REFUSED = (
    "AvailabilityMode",
    "AvailabilityZoneAddresses",
    "SecondaryAllocationIds",
    "SecondaryPrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
)


class NatGatewayResponses(EC2Response):
    """Create, delete, describe."""

    def create_nat_gateway(self) -> ActionResult:
        """In a public subnet, with an elastic address that is associated with nothing."""
        params = self._get_params()
        if params.get("ConnectivityType", "public") != "public" or any(params.get(name) for name in REFUSED):
            raise unsupported("NAT gateways other than public ones with one address")
        backend = cast(LabBackend, self.ec2_backend)
        made = nat_gateways(backend).get(made_before(backend.nat_tokens, params) or "")
        if made is None:
            made = self._make(backend)
            remember(backend.nat_tokens, params, made.id)
        return Shown({"ClientToken": params.get("ClientToken"), "NatGateway": made.view()})

    def delete_nat_gateway(self) -> ActionResult:
        """Routes that lead to it become blackholes."""
        gone = nat_gateway(self.ec2_backend, self._get_param("NatGatewayId", ""))
        gone.close()
        return Shown({"NatGatewayId": gone.id})

    def describe_nat_gateways(self) -> ActionResult:
        """By id and filters."""
        ids = self._get_param("NatGatewayIds", [])
        named = [nat_gateway(self.ec2_backend, i) for i in ids] or nat_gateways(self.ec2_backend).values()
        found = select(named, self._filters_from_querystring(), _filter_value)
        return Shown({"NatGateways": [gateway.view() for gateway in found]})

    def _make(self, backend: LabBackend) -> NatGateway:
        params = self._get_params()
        allocation = params.get("AllocationId")
        if not params.get("SubnetId") or not allocation:
            raise missing("AllocationId" if params.get("SubnetId") else "SubnetId")
        subnet = backend.get_subnet(params["SubnetId"])
        elastics = cast("list[ElasticIp]", backend.addresses)
        elastic = next((e for e in elastics if e.allocation_id == allocation), None)
        if elastic is None:
            raise ec2_error(
                "InvalidAllocationID.NotFound", f"The allocation ID '{allocation}' does not exist"
            )
        if elastic.eni is not None:
            raise ec2_error(
                "Resource.AlreadyAssociated",
                f"resource {allocation} is already associated with associate-id {elastic.association_id}",
            )
        made = NatGateway(backend, subnet, elastic)
        gateways = backend.internet_gateways.values()
        if any(gateway.vpc is not None and gateway.vpc.id == subnet.vpc_id for gateway in gateways):
            made.open(subnet, params.get("PrivateIpAddress"))
        nat_gateways(backend)[made.id] = made
        tag_new(backend, made.id, tags_for(params, "natgateway"))
        return made


def _filter_value(gateway: NatGateway, name: str) -> Json:
    values = {
        "nat-gateway-id": gateway.id,
        "state": gateway.state,
        "subnet-id": gateway.subnet_id,
        "vpc-id": gateway.vpc_id,
    }
    return values[name] if name in values else tag_value(gateway.ec2_backend.tags.get(gateway.id, {}), name)
