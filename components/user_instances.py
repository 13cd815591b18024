"""Stand-ins for a customer's database: where the path ends, in networks that the stack makes itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.access import OperatorAccess
from components.firewall import Group
from components.host import Host, HostArgs, Image
from components.host_config import Digests, HostConfig, HostConfigArgs
from components.host_scripts import Concern
from components.host_state import echo_state
from components.plan import CreatedNetwork, HostPlan, Plan, Role, TenantPlan
from components.user_network import UserNetwork


@dataclass(frozen=True, kw_only=True)
class UserInstancesArgs:
    """The tenants' networks by name, and how hosts in them are reached."""

    plan: Plan
    image: Image
    access: OperatorAccess
    user_networks: Mapping[str, UserNetwork]


class UserInstances(pulumi.ComponentResource):
    """One instance per network of the stack's own: HTTP says who the client is, TCP and UDP echo."""

    hosts: dict[str, Host]
    digests: dict[str, Digests]  # of what each is told, by name

    def __init__(
        self, name: str, args: UserInstancesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("causeway:user:UserInstances", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.hosts = {}
        for tenant in args.plan.tenants:
            network = args.user_networks[tenant.name]
            if isinstance(tenant.network, CreatedNetwork) and network.instance_group is not None:
                host = self._make_host(tenant, tenant.network, network, network.instance_group, args)
                self.hosts[tenant.name] = host
        self.digests = {host.plan.name: self._configure(host, args) for host in self.hosts.values()}
        self.register_outputs({})

    def _make_host(
        self,
        tenant: TenantPlan,
        created: CreatedNetwork,
        network: UserNetwork,
        group: Group,
        args: UserInstancesArgs,
    ) -> Host:
        host = HostPlan(
            name=tenant.user_instance_name,
            role=Role.USER,
            index=tenant.index,
            address=created.instance_address,
            instance_type=created.instance_type,
        )
        place = args.access.place(args.image, network.subnet, group, network.tags)
        return Host(host.name, HostArgs(host=host, place=place), self._child)

    def _configure(self, host: Host, args: UserInstancesArgs) -> Digests:
        # No packages: the image has all that echo needs, and the group lets nothing out to a mirror.
        states = {Concern.ECHO: echo_state()}
        config_args = HostConfigArgs(host=host, access=args.access, states=states)
        return HostConfig(host.plan.name, config_args, self._child).digests
