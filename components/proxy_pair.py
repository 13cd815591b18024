"""What two proxies share: addresses that belong to neither, and the way to the API that moves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.api_endpoint import ApiEndpoint, ApiEndpointArgs
from components.firewall import Group
from components.havip import HaVip, HaVipArgs
from components.plan import PairPlan, Plan
from components.user_network import UserNetwork
from components.validation.pair import PLATFORM
from components.vpc import Subnet


@dataclass(frozen=True, kw_only=True)
class ProxyPairArgs:
    """`api_group`: of the endpoint, where the stack makes one."""

    plan: Plan
    pair: PairPlan
    vpc_id: pulumi.Input[str]
    subnet: Subnet
    api_group: Group | None
    user_networks: Mapping[str, UserNetwork]


class ProxyPair(pulumi.ComponentResource):
    """The HaVips, by tenant, and the platform's; and the API's endpoint."""

    havips: dict[str, HaVip]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ProxyPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:ProxyPair", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.havips = self._make_havips(args)
        reservations = (havip.reservation for havip in self.havips.values())
        self.ready = (*reservations, *self._make_endpoint(name, args))
        self.register_outputs({})

    def _make_havips(self, args: ProxyPairArgs) -> dict[str, HaVip]:
        addresses = {PLATFORM: HaVipArgs(address=args.pair.havip, subnet_id=args.subnet.id)}
        for tenant in args.plan.tenants:
            if tenant.havip is not None:
                subnet_id = args.user_networks[tenant.name].subnet.id
                addresses[tenant.name] = HaVipArgs(address=tenant.havip, subnet_id=subnet_id)
        return {owner: HaVip(f"havip-{owner}", havip, self._child) for owner, havip in addresses.items()}

    def _make_endpoint(self, name: str, args: ProxyPairArgs) -> tuple[pulumi.Resource, ...]:
        api = args.pair.api
        if api.endpoint_address is None or args.api_group is None:
            return ()
        endpoint = ApiEndpoint(
            f"{name}-api",
            ApiEndpointArgs(
                service=api.service,
                address=api.endpoint_address,
                vpc_id=args.vpc_id,
                subnet_id=args.subnet.id,
                group_id=args.api_group.id,
                tags=args.plan.tags,
            ),
            self._child,
        )
        return endpoint.endpoint, *args.api_group.rules
