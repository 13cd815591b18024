"""Who may talk to whom, as tables: every protocol named here is needed, and nothing else passes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import pulumi

from components.firewall import Direction, FirewallArgs, Rule, Traffic
from components.plan import (
    ECHO_HTTP_PORT,
    ECHO_TCP_PORT,
    ECHO_UDP_PORT,
    FOU_PORT,
    AccessMode,
    CreatedNetwork,
    Plan,
    TakeoverPlan,
    TenantPlan,
    TunnelKind,
)

FUNC = "func"
PROXY = "proxy"
BASTION = "bastion"
API = "api"
USER_ENI = "eni"
USER_INSTANCE = "instance"

GRE = Traffic(name="gre", protocol="47")
GRE_FOU = Traffic(name="gre-fou", protocol="udp", from_port=FOU_PORT, to_port=FOU_PORT)
IPIP = Traffic(name="ipip", protocol="4")
TUNNELS = {TunnelKind.GRE: GRE, TunnelKind.GRE_FOU: GRE_FOU, TunnelKind.IPIP: IPIP}
UNREACHABLE = Traffic(name="unreachable", protocol="icmp", from_port=3, to_port=-1)  # path MTU discovery
VRRP = Traffic(name="vrrp", protocol="112")
ECHO = Traffic(name="echo", protocol="icmp", from_port=8, to_port=-1)
SSH = Traffic(name="ssh", protocol="tcp", from_port=22, to_port=22)
HTTP = Traffic(name="http", protocol="tcp", from_port=80, to_port=80)
HTTPS = Traffic(name="https", protocol="tcp", from_port=443, to_port=443)
USER_HTTP = Traffic(name="user-http", protocol="tcp", from_port=ECHO_HTTP_PORT, to_port=ECHO_HTTP_PORT)
USER_ECHO = Traffic(name="user-echo", protocol="tcp", from_port=ECHO_TCP_PORT, to_port=ECHO_TCP_PORT)
USER_ECHO_UDP = Traffic(name="user-echo-udp", protocol="udp", from_port=ECHO_UDP_PORT, to_port=ECHO_UDP_PORT)
ANYTHING = Traffic(name="anything", protocol="-1")

INTERNET = IPv4Network("0.0.0.0/0")


def platform_firewall(plan: Plan, vpc_id: pulumi.Input[str]) -> FirewallArgs:
    """Func hosts and proxies have tunnels to each other, so have the proxies of a pair; the operator gets in by SSH."""
    groups = {FUNC: "Func hosts: tunnels to the proxies", PROXY: "Proxies: tunnels to the func hosts"}
    if plan.bastion is not None:
        groups[BASTION] = "Bastion: way in of the operator"
    rules = [*_tunnel_rules(plan), *_ssh_rules(plan), *_package_rules(plan, FUNC, PROXY)]
    if plan.takeover is not None:
        rules += _pair_rules()
        rules += _api_rules(plan.takeover, rules)
        if plan.takeover.api.endpoint_address is not None:
            groups[API] = "EC2 API endpoint: claims of the proxies"
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


def _tunnel_rules(plan: Plan) -> Iterator[Rule]:
    for here, there in ((FUNC, PROXY), (PROXY, FUNC)):
        for direction in Direction:
            yield Rule(
                group=here, direction=direction, traffic=TUNNELS[plan.tunnel], peer=there, why="Tunnels"
            )
            yield Rule(
                group=here, direction=direction, traffic=UNREACHABLE, peer=there, why="Path MTU discovery"
            )


def _pair_rules() -> Iterator[Rule]:
    reasons = {
        VRRP: "Who of the pair is active",
        GRE: "Synchronisation of connections",
        ECHO: "Whether the other one lives",
    }
    for traffic, why in reasons.items():
        for direction in Direction:
            yield Rule(group=PROXY, direction=direction, traffic=traffic, peer=PROXY, why=why)


def _api_rules(takeover: TakeoverPlan, others: list[Rule]) -> Iterator[Rule]:
    """To the stack's endpoint; on a way of the operator's the API may be anywhere."""
    traffic = next(traffic for traffic in (HTTP, HTTPS) if traffic.from_port == takeover.api.port)
    to_endpoint = takeover.api.endpoint_address is not None
    rule = Rule(
        group=PROXY,
        direction=Direction.EGRESS,
        traffic=traffic,
        peer=API if to_endpoint else INTERNET,
        why="EC2 API: the active proxy claims the HaVips",
    )
    if rule.name not in {other.name for other in others}:  # hosts that install packages have it already
        yield rule
    if to_endpoint:
        yield Rule(group=API, direction=Direction.INGRESS, traffic=traffic, peer=PROXY, why="Proxies")


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
        USER_ECHO_UDP: "UDP echo",
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
