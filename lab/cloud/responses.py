"""EC2's calls: the lab's where moto's will not do, moto's for the rest."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response
from moto.iam.responses import IamResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from lab.cloud.address_calls import AddressResponses
from lab.cloud.elastic_ip_calls import ElasticIpResponses
from lab.cloud.errors import unsupported
from lab.cloud.instance_attributes import InstanceAttributeResponses
from lab.cloud.instance_calls import InstanceResponses
from lab.cloud.interface_calls import InterfaceResponses
from lab.cloud.nat_gateway_calls import NatGatewayResponses
from lab.cloud.network_calls import NetworkResponses
from lab.cloud.pages import page
from lab.cloud.placement_group_calls import PlacementGroupResponses
from lab.cloud.reservation_calls import ReservationResponses
from lab.cloud.security_group_calls import SecurityGroupResponses
from lab.cloud.tags import TagResponses
from lab.cloud.vpc_endpoint_calls import VpcEndpointResponses

Answer = tuple[int, dict[str, Any], Any]


class Ec2Response(
    InstanceResponses,
    InstanceAttributeResponses,
    InterfaceResponses,
    AddressResponses,
    ElasticIpResponses,
    SecurityGroupResponses,
    NetworkResponses,
    NatGatewayResponses,
    VpcEndpointResponses,
    PlacementGroupResponses,
    ReservationResponses,
    TagResponses,
    EC2Response,
):
    """All of EC2."""

    def call_action(self) -> Answer:
        """A dry run is a call that succeeded and is then undone."""
        status, headers, body = super().call_action()
        if int(status) < 400 and self._get_bool_param("DryRun", False):
            status, headers, body = self.serialized(ActionResult(DryRunClientError()))
            status = 412
        return int(status), dict(headers), body

    def serialized(self, action_result: ActionResult) -> Answer:
        """In pages, where the caller asks for them."""
        result = action_result.result
        if isinstance(result, dict):
            operation = get_service_model("ec2").operation_model(self._get_action())
            shown = page(operation, self._get_params(), result)
            action_result = action_result if shown is result else type(action_result)(shown)
        status, headers, body = super().serialized(action_result)
        return int(status), headers, body


class StsResponse(TokenResponse):
    """STS, which must not hand out more than was asked for."""

    def assume_role(self) -> ActionResult:
        """moto would take no notice of managed session policies."""
        if self._get_param("PolicyArns"):
            raise unsupported("managed session policies; give the session's policy itself")
        return super().assume_role()


SERVICES: dict[str, type[Any]] = {
    "ec2": Ec2Response,
    "iam": IamResponse,
    "sts": StsResponse,
    "ssm": SimpleSystemManagerResponse,
}
