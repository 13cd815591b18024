"""One proxy: the way out of the tunnels and into each tenant's network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.access import OperatorAccess
from components.host import Host, HostArgs, Place
from components.host_config import HostConfig, HostConfigArgs, State
from components.host_scripts import Concern
from components.host_state import (
    forward_state,
    input_state,
    nat_state,
    packages_state,
    tunnel_state,
    user_eni_state,
)
from components.plan import Plan, TenantPlan
from components.user_eni import UserEni, UserEniArgs
from components.user_network import UserNetwork


@dataclass(frozen=True, kw_only=True)
class SingleProxyArgs:
    """Where the proxy stands, how it is reached, and the tenants' networks by name."""

    plan: Plan
    access: OperatorAccess
    place: Place
    user_networks: Mapping[str, UserNetwork]


class SingleProxy(pulumi.ComponentResource):
    """A proxy without a standby: its outage is the path's. One ENI in each tenant's network."""

    hosts: tuple[Host, ...]
    user_enis: dict[str, UserEni]

    def __init__(self, name: str, args: SingleProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:SingleProxy", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        (host,) = args.plan.proxies
        proxy = Host(host.name, HostArgs(host=host, place=args.place), self._child)
        self.hosts = (proxy,)
        self.user_enis = {tenant.name: self._make_eni(proxy, tenant, args) for tenant in args.plan.tenants}
        self._configure(proxy, args)
        self.register_outputs({})

    def _make_eni(self, proxy: Host, tenant: TenantPlan, args: SingleProxyArgs) -> UserEni:
        network = args.user_networks[tenant.name]
        eni_args = UserEniArgs(
            tenant=tenant,
            subnet_id=network.subnet.id,
            group_id=network.eni_group.id,
            proxy_name=proxy.plan.name,
            instance_id=proxy.instance_id,
            tags=network.tags,
        )
        # By the place on the proxy that it takes, not by tenant: who gets a place that another tenant leaves in the
        # same update has to wait until it is free, and resources that are removed go last.
        return UserEni(f"{proxy.plan.name}-{tenant.user_device}", eni_args, self._child)

    def _configure(self, proxy: Host, args: SingleProxyArgs) -> None:
        macs = pulumi.Output.all(**{name: eni.mac_address for name, eni in self.user_enis.items()})
        states: dict[Concern, State | pulumi.Output[State]] = {
            Concern.PACKAGES: packages_state(args.plan),
            Concern.INPUT: macs.apply(lambda known: input_state(args.plan, proxy.plan, known)),
            Concern.USER_ENI: macs.apply(lambda known: user_eni_state(args.plan, known)),
            Concern.TUNNEL: tunnel_state(args.plan, proxy.plan),
            Concern.NAT: nat_state(args.plan),
            Concern.FORWARD: forward_state(args.plan),
        }
        between = {Concern.USER_ENI: lambda ready: [eni.attach(ready) for eni in self.user_enis.values()]}
        HostConfig(
            proxy.plan.name,
            HostConfigArgs(host=proxy, access=args.access, states=states, between=between),
            self._child,
        )
