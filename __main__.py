"""Causeway's Pulumi program: settings, plan, then components against a packet's way, and exports."""

import pulumi

from components.access import OperatorAccess, OperatorAccessArgs
from components.access_change import announce_access_change
from components.exports import export_stack
from components.firewall import Firewall
from components.firewall_rules import API, BASTION, FUNC, PROXY, platform_firewall
from components.func_fleet import FuncFleet, FuncFleetArgs
from components.lookups import find_image, with_chosen_subnets
from components.networks import ACCESS, platform_vpc
from components.open_connections import announce_disturbances
from components.planning import make_plan
from components.previous import known_as, previous_stack
from components.proxies import Proxies, ProxiesArgs
from components.redundancy_change import announce_change
from components.refusal import require_possible_update
from components.settings_pulumi import private_key, settings_from_pulumi
from components.tunnel_change import announce_tunnel_change
from components.user_instances import UserInstances, UserInstancesArgs
from components.user_network import user_networks
from components.vpc import Vpc

settings = settings_from_pulumi()
plan = with_chosen_subnets(make_plan(settings, pulumi.get_stack()))
previous = previous_stack()
require_possible_update(plan, previous)
announce_access_change(plan, previous)
announce_change(plan, previous)
announce_tunnel_change(plan, previous)
announce_disturbances(plan, previous)
image = find_image(plan)

platform = Vpc("platform", platform_vpc(plan))
firewall = Firewall("platform", platform_firewall(plan, platform.vpc_id))
tenant_networks = user_networks(plan)
access = OperatorAccess(
    "operator",
    OperatorAccessArgs(
        stack=plan.stack,
        access=plan.access,
        private_key=private_key(settings),
        image=image,
        bastion=plan.bastion,
        subnet=platform.subnets.get(ACCESS),
        group=firewall.groups.get(BASTION),
        tags=plan.tags,
    ),
)

proxies = Proxies(
    "proxy",
    ProxiesArgs(
        plan=plan,
        previous=previous,
        access=access,
        place=access.place(image, platform.subnets[PROXY], firewall.groups[PROXY], plan.tags),
        vpc_id=platform.vpc_id,
        api_group=firewall.groups.get(API),
        func_rules=firewall.groups[FUNC].rules,
        user_networks=tenant_networks,
    ),
)
func_fleet = FuncFleet(
    "func",
    FuncFleetArgs(
        plan=plan,
        access=access,
        place=access.place(image, platform.subnets[FUNC], firewall.groups[FUNC], plan.tags),
        after=proxies.first_ends,
    ),
)
user_instances = UserInstances(
    "user", UserInstancesArgs(plan=plan, image=image, access=access, user_networks=tenant_networks)
)

export_stack(
    plan=plan,
    image=image,
    access=access,
    hosts=(*func_fleet.hosts, *proxies.hosts, *user_instances.hosts.values()),
    user_enis=proxies.user_enis,
    made_from=proxies.made_from,
    redundancy=proxies.redundancy,
    api_endpoint=proxies.api_endpoint,
    tunnel=known_as(previous.tunnel, plan.tunnel, func_fleet.tunnels),
    told={**func_fleet.digests, **proxies.digests, **user_instances.digests},
)
