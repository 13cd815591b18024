"""moto's EC2 backend with the lab's state, image and defaults in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import moto.core.responses as moto_responses
import moto.ec2.models as moto_models
import moto.ec2.models.core as moto_resources
import moto.ec2.utils as moto_utils
from moto.core.utils import method_names_from_class
from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import Route
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.models.vpcs import VPC

from lab.cloud.client_tokens import Tokens
from lab.cloud.errors import invalid_filter
from lab.cloud.filters import any_matches
from lab.cloud.images import debian_image
from lab.cloud.public_addresses import PublicAddresses
from lab.cloud.route_state import route_state
from lab.cloud.rules import Rule
from lab.cloud.tags import require_valid

Json = Any
VCPU_QUOTA = 64


def no_console(_instance_id: str) -> bytes:
    """What a machine that nobody can see has written."""
    return b""


class LabBackend(EC2Backend):
    """One region."""

    # Of all regions; a new Cloud begins with new ones.
    public_addresses = PublicAddresses()
    console_of: Callable[[str], bytes] = staticmethod(no_console)
    vcpu_quota = VCPU_QUOTA

    def __init__(self, region_name: str, account_id: str) -> None:
        self.launch_tokens: Tokens = {}  # of reservations
        self.interface_tokens: Tokens = {}
        self.nat_tokens: Tokens = {}
        super().__init__(region_name, account_id)

    def _load_amis(self) -> None:
        image = debian_image(self)
        self.amis[image.id] = image

    def create_default_vpc(self) -> VPC:
        """As AWS makes it, with a way to the internet."""
        vpc = super().create_default_vpc()
        gateway = self.create_internet_gateway()
        self.attach_internet_gateway(gateway.id, vpc.id)
        main = self.describe_route_tables(filters={"vpc-id": [vpc.id]})[0]
        self.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)
        return vpc

    def create_security_group(
        self,
        name: str,
        description: str,
        vpc_id: str | None = None,
        tags: dict[str, str] | None = None,
        force: bool = False,
        is_default: bool | None = None,
    ) -> SecurityGroup:
        """Everything out; a default group also lets its own members in."""
        group = super().create_security_group(name, description, vpc_id, tags, force, is_default)
        group.egress_rules = [Rule(group, {"CidrIp": "0.0.0.0/0"}, is_egress=True)]
        if is_default:
            itself = {"GroupId": str(group.id), "UserId": str(group.owner_id)}
            group.ingress_rules = [Rule(group, itself, is_egress=False)]
        return group

    def create_tags(self, resource_ids: list[str], tags: dict[str, str]) -> bool:
        """Of every call that tags something, also while it makes it."""
        require_valid(tags)
        return bool(super().create_tags(resource_ids, tags))

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """moto looks for a resource's tags among those of all, each time by regular expressions."""
        if filters is not None and list(filters) == ["resource-id"]:
            return [
                {"resource_id": resource, "key": key, "value": value}
                for resource in filters["resource-id"]
                for key, value in self.tags.get(resource, {}).items()
            ]
        return super().describe_tags(filters)


def _is_filter_matching(thing: Json, name: str, wanted: Json) -> bool:
    # moto wants several values all at once, or none besides them; EC2 wants any of them.
    return any_matches(thing.get_filter_value(name), wanted)


def install() -> None:
    """Make moto use this backend, from its first region on."""
    moto_models.ec2_backends.backend = LabBackend
    vars(moto_utils)["is_filter_matching"] = _is_filter_matching
    # moto says that the whole call is not implemented.
    vars(moto_resources)["FilterNotImplementedError"] = lambda name, _call: invalid_filter(name)
    # moto lists its hundreds of methods anew for every call.
    vars(moto_responses)["method_names_from_class"] = cache(method_names_from_class)
    Route.state = property(route_state)  # type: ignore[method-assign, assignment]
