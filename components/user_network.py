"""A tenant's network: made by the stack, or there already."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.firewall import Firewall, Group
from components.firewall_rules import USER_ENI, USER_INSTANCE, user_firewall
from components.networks import USER, user_vpc
from components.plan import CreatedNetwork, ExistingNetwork, Plan, TenantPlan
from components.vpc import Subnet, Vpc


@dataclass(frozen=True, kw_only=True)
class UserNetworkArgs:
    """Whose network, within which plan."""

    plan: Plan
    tenant: TenantPlan


class UserNetwork(pulumi.ComponentResource):
    """What a proxy and a user instance need of a tenant's network.

    In a network that is there already, only the user ENI's security group is made (and, elsewhere, the ENI).
    """

    subnet: Subnet
    eni_group: Group
    instance_group: Group | None
    tags: dict[str, str]

    def __init__(self, name: str, args: UserNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:user:UserNetwork", name, None, opts)
        self.tags = {**args.plan.tags, "causeway:tenant": args.tenant.name}
        vpc_id, self.subnet = self._take_network(name, args.plan, args.tenant.network)
        groups = Firewall(
            name,
            user_firewall(args.plan, args.tenant, vpc_id, self.tags),
            pulumi.ResourceOptions(parent=self),
        ).groups
        self.eni_group, self.instance_group = groups[USER_ENI], groups.get(USER_INSTANCE)
        self.register_outputs({"vpcId": vpc_id, "subnetId": self.subnet.id})

    def _take_network(
        self, name: str, plan: Plan, network: CreatedNetwork | ExistingNetwork
    ) -> tuple[pulumi.Output[str], Subnet]:
        if isinstance(network, ExistingNetwork):
            subnet = Subnet(id=pulumi.Output.from_input(network.subnet_id), ready=())
            return pulumi.Output.from_input(network.vpc_id), subnet
        vpc = Vpc(name, user_vpc(plan, network, self.tags), pulumi.ResourceOptions(parent=self))
        return vpc.vpc_id, vpc.subnets[USER]


def user_networks(plan: Plan) -> dict[str, UserNetwork]:
    """Every tenant's network, by the tenant's name."""
    return {
        tenant.name: UserNetwork(f"tenant-{tenant.name}", UserNetworkArgs(plan=plan, tenant=tenant))
        for tenant in plan.tenants
    }
