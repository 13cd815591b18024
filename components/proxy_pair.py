"""What two proxies share: addresses that belong to neither, and the way to the API that moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import pulumi

from components.api_endpoint import ApiEndpoint, ApiEndpointArgs
from components.firewall import Group
from components.havip import HaVip, HaVipArgs
from components.plan import ApiPlan, TenantPlan
from components.user_network import UserNetwork
from components.validation.pair import PLATFORM
from components.vpc import Subnet


@dataclass(frozen=True, kw_only=True)
class ProxyPairArgs:
    """`suffix`: of the names of what each pair has one of; `tenants`: those it serves.

    `api_group`: of the endpoint, where this pair is to make one: it serves the others too.
    """

    suffix: str
    havip: IPv4Address
    tenants: Sequence[TenantPlan]
    api: ApiPlan
    api_before: IPv4Address | None
    vpc_id: pulumi.Input[str]
    subnet: Subnet
    api_group: Group | None
    user_networks: Mapping[str, UserNetwork]
    tags: Mapping[str, str]


class ProxyPair(pulumi.ComponentResource):
    """The HaVips, by tenant, and the platform's; and the API's endpoint.

    `reservations` and `endpoint` have to be there before the first claim.
    """

    havips: dict[str, HaVip]
    reservations: tuple[pulumi.Resource, ...]
    endpoint: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ProxyPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:ProxyPair", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.havips = self._make_havips(args)
        self.reservations = tuple(havip.reservation for havip in self.havips.values())
        self.endpoint = self._make_endpoint(name, args)
        self.register_outputs({})

    def _make_havips(self, args: ProxyPairArgs) -> dict[str, HaVip]:
        names = {PLATFORM: f"havip-{PLATFORM}{args.suffix}"}
        addresses = {PLATFORM: HaVipArgs(address=args.havip, subnet_id=args.subnet.id)}
        for tenant in args.tenants:
            if tenant.havip is not None:
                names[tenant.name] = f"havip-{tenant.name}"
                subnet_id = args.user_networks[tenant.name].subnet.id
                addresses[tenant.name] = HaVipArgs(address=tenant.havip, subnet_id=subnet_id)
        return {owner: HaVip(names[owner], havip, self._child) for owner, havip in addresses.items()}

    def _make_endpoint(self, name: str, args: ProxyPairArgs) -> tuple[pulumi.Resource, ...]:
        if args.api.endpoint_address is None or args.api_group is None:
            return ()
        endpoint = ApiEndpoint(
            f"{name}-api",
            ApiEndpointArgs(
                service=args.api.service,
                address=args.api.endpoint_address,
                before=args.api_before,
                vpc_id=args.vpc_id,
                subnet_id=args.subnet.id,
                group_id=args.api_group.id,
                tags=args.tags,
            ),
            self._child,
        )
        return endpoint.endpoint, *args.api_group.rules
