"""Who may talk to whom, as tables: every protocol named here is needed, and nothing else passes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import pulumi

from components.firewall import Direction, FirewallArgs, Rule, Traffic
from components.plan import (
    ECHO_HTTP_PORT,
    ECHO_TCP_PORT,
    AccessMode,
    CreatedNetwork,
    Plan,
    TenantPlan,
)

FUNC = "func"
PROXY = "proxy"
BASTION = "bastion"
USER_ENI = "eni"
USER_INSTANCE = "instance"

GRE = Traffic(name="gre", protocol="47")
UNREACHABLE = Traffic(name="unreachable", protocol="icmp", from_port=3, to_port=-1)  # path MTU discovery
ECHO = Traffic(name="echo", protocol="icmp", from_port=8, to_port=-1)
SSH = Traffic(name="ssh", protocol="tcp", from_port=22, to_port=22)
HTTP = Traffic(name="http", protocol="tcp", from_port=80, to_port=80)
HTTPS = Traffic(name="https", protocol="tcp", from_port=443, to_port=443)
USER_HTTP = Traffic(name="user-http", protocol="tcp", from_port=ECHO_HTTP_PORT, to_port=ECHO_HTTP_PORT)
USER_ECHO = Traffic(name="user-echo", protocol="tcp", from_port=ECHO_TCP_PORT, to_port=ECHO_TCP_PORT)
ANYTHING = Traffic(name="anything", protocol="-1")

INTERNET = IPv4Network("0.0.0.0/0")


def platform_firewall(plan: Plan, vpc_id: pulumi.Input[str]) -> FirewallArgs:
    """Func hosts and proxies talk GRE to each other; the operator gets in by SSH."""
    groups = {FUNC: "Func hosts: tunnels to the proxies", PROXY: "Proxies: tunnels to the func hosts"}
    if plan.bastion is not None:
        groups[BASTION] = "Bastion: way in of the operator"
    rules = [*_tunnel_rules(), *_ssh_rules(plan), *_package_rules(plan, FUNC, PROXY)]
    return FirewallArgs(vpc_id=vpc_id, groups=groups, rules=rules, tags=plan.tags)


def user_firewall(
    plan: Plan, tenant: TenantPlan, vpc_id: pulumi.Input[str], tags: dict[str, str]
) -> FirewallArgs:
    """The tenant's side of a proxy and, where the stack makes one, the user instance."""
    groups = {USER_ENI: "User ENI of a proxy: what may pass is decided by the filter of the proxy"}
    rules = list(_user_eni_rules(tenant))
    if isinstance(tenant.network, CreatedNetwork):
        groups[USER_INSTANCE] = "User instance: the services that func hosts reach"
        rules += _user_instance_rules(plan, tenant.network)
    return FirewallArgs(vpc_id=vpc_id, groups=groups, rules=rules, tags=tags)


def _tunnel_rules() -> Iterator[Rule]:
    for here, there in ((FUNC, PROXY), (PROXY, FUNC)):
        for direction in Direction:
            yield Rule(group=here, direction=direction, traffic=GRE, peer=there, why="Tunnels")
            yield Rule(
                group=here, direction=direction, traffic=UNREACHABLE, peer=there, why="Path MTU discovery"
            )


def _ssh_rules(plan: Plan) -> Iterator[Rule]:
    if plan.access.mode is AccessMode.PUBLIC:
        yield from _operator_rules(plan, FUNC)
        yield from _operator_rules(plan, PROXY)
        return
    yield from _operator_rules(plan, BASTION)
    for host in (FUNC, PROXY):
        yield Rule(group=host, direction=Direction.INGRESS, traffic=SSH, peer=BASTION, why="Configuration")
        yield Rule(group=BASTION, direction=Direction.EGRESS, traffic=SSH, peer=host, why="Configuration")


def _operator_rules(plan: Plan, group: str) -> Iterator[Rule]:
    for cidr in plan.access.operator_cidrs:
        yield Rule(group=group, direction=Direction.INGRESS, traffic=SSH, peer=cidr, why="Operator")


def _package_rules(plan: Plan, *groups: str) -> Iterator[Rule]:
    if not plan.install_packages:
        return
    for group in groups:
        for traffic in (HTTP, HTTPS):
            yield Rule(
                group=group, direction=Direction.EGRESS, traffic=traffic, peer=INTERNET, why="Debian packages"
            )


def _user_eni_rules(tenant: TenantPlan) -> Iterator[Rule]:
    # All protocols, both ways: a flow that this interface has not seen from its start, as after a change of
    # proxy, passes only where a rule allows it by itself.
    for cidr in tenant.cidrs:
        for direction in Direction:
            yield Rule(
                group=USER_ENI, direction=direction, traffic=ANYTHING, peer=cidr, why="Networks of the tenant"
            )


def _user_instance_rules(plan: Plan, network: CreatedNetwork) -> Iterator[Rule]:
    services = {
        USER_HTTP: "Says who the client is",
        USER_ECHO: "TCP echo",
        ECHO: "Ping",
        UNREACHABLE: "Path MTU discovery",
    }
    for traffic, why in services.items():
        yield Rule(
            group=USER_INSTANCE,
            direction=Direction.INGRESS,
            traffic=traffic,
            peer=network.subnet_cidr,
            why=why,
        )
    if plan.access.mode is AccessMode.PUBLIC:
        yield from _operator_rules(plan, USER_INSTANCE)
