"""The proxies, one or a pair: the way out of the tunnels and into each tenant's network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.access import OperatorAccess
from components.claim_role import ClaimRole, ClaimRoleArgs
from components.departure import Departure
from components.firewall import Group
from components.host import Host, HostArgs, Place
from components.host_command import host_command
from components.host_config import HostConfig, HostConfigArgs
from components.host_scripts import Concern, Step, step_script
from components.plan import HostPlan, Plan, TenantPlan
from components.previous import Previous
from components.proxy_pair import ProxyPair, ProxyPairArgs
from components.proxy_states import ProxyInterfaces, digest_output, proxy_states
from components.replacement import Replacements
from components.tags import tagged
from components.turn import Turn, TurnArgs
from components.user_eni import UserEni, UserEniArgs
from components.user_network import UserNetwork

_FORMERLY = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="causeway:proxy:SingleProxy")])


@dataclass(frozen=True, kw_only=True)
class ProxiesArgs:
    """Where proxies stand, how they are reached, and the tenants' networks by name.

    `api_group`: of the API's endpoint, where a pair has one.
    """

    plan: Plan
    previous: Previous
    access: OperatorAccess
    place: Place
    vpc_id: pulumi.Input[str]
    api_group: Group | None
    user_networks: Mapping[str, UserNetwork]


class Proxies(pulumi.ComponentResource):
    """One or two proxies, each with an ENI in every tenant's network, and what makes a pair of two.

    A proxy's resources are the same in both cases, so that becoming a pair replaces none. A change that could
    disturb reaches one proxy after the other, each while the other one forwards.
    """

    hosts: tuple[Host, ...]
    user_enis: dict[str, dict[str, UserEni]]  # by proxy, then by tenant
    first_tunnels: (
        pulumi.Resource
    )  # proxy-0's: the far end of every func host's, before there is a pair and after
    redundancy: pulumi.Input[str]  # as the next run is to know it

    def __init__(self, name: str, args: ProxiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:Proxies", name, None, pulumi.ResourceOptions.merge(_FORMERLY, opts))
        self._child = pulumi.ResourceOptions(parent=self)
        self._args = args
        self._replacements = Replacements(args.access, args.previous.proxies)
        pair = self._make_pair(name)
        spread = self._make_spread(name)
        roles = {proxy.name: self._make_role(proxy) for proxy in args.plan.proxies}
        self.hosts = tuple(self._make_host(proxy, spread, roles) for proxy in args.plan.proxies)
        self.user_enis = {
            proxy.plan.name: {
                tenant.name: self._make_eni(proxy, tenant, pair) for tenant in args.plan.tenants
            }
            for proxy in self.hosts
        }
        before: Sequence[pulumi.Resource] = ()
        for proxy in self.hosts:
            before = self._configure(proxy, roles[proxy.plan.name], pair, before)
        self.register_outputs({})

    def _make_pair(self, name: str) -> ProxyPair | None:
        args = self._args
        if args.plan.pair is None:
            return None
        pair_args = ProxyPairArgs(
            plan=args.plan,
            pair=args.plan.pair,
            vpc_id=args.vpc_id,
            subnet=args.place.subnet,
            api_group=args.api_group,
            user_networks=args.user_networks,
        )
        return ProxyPair(f"{name}-pair", pair_args, self._child)

    def _make_spread(self, name: str) -> pulumi.Output[str]:
        # For one proxy too: an instance cannot be moved into a group without being replaced.
        group = aws.ec2.PlacementGroup(
            f"{name}-spread",
            strategy="spread",  # not two on one rack
            tags=tagged(self._args.plan.tags, f"{name}-spread"),
            opts=self._child,
        )
        name_in_aws: pulumi.Output[str] = group.name
        return name_in_aws

    def _make_role(self, proxy: HostPlan) -> ClaimRole:
        plan = self._args.plan
        before = plan.proxies[proxy.index - 1].name if proxy.index else None
        role_args = ClaimRoleArgs(
            proxy_name=proxy.name,
            instance=self._made_from(proxy),
            hooks=None if plan.pair is None else self._replacements.of_role(proxy.name, before),
            tags=plan.tags,
        )
        return ClaimRole(proxy.name, role_args, self._child)

    def _made_from(self, proxy: HostPlan) -> str:
        """Changes exactly when the instance is stopped or replaced for a change of settings."""
        image = self._args.place.image
        return f"{proxy.instance_type} {image.ami if image.pinned else 'newest'}"

    def _make_host(self, proxy: HostPlan, spread: pulumi.Output[str], roles: Mapping[str, ClaimRole]) -> Host:
        host_args = HostArgs(
            host=proxy,
            place=self._args.place,
            placement_group=spread,
            profile=roles[proxy.name].profile_name,
            hooks=None if self._args.plan.pair is None else self._replacements.of_instance(proxy.name),
            any_source=True,  # ADR 12: of a single proxy too, because it cannot be changed once it has user ENIs
        )
        return Host(proxy.name, host_args, self._child)

    def _make_eni(self, proxy: Host, tenant: TenantPlan, pair: ProxyPair | None) -> UserEni:
        network = self._args.user_networks[tenant.name]
        eni_args = UserEniArgs(
            tenant=tenant,
            subnet_id=network.subnet.id,
            group_id=network.eni_group.id,
            proxy=proxy.plan,
            instance_id=proxy.instance_id,
            reserved=() if pair is None else (pair.havips[tenant.name].reservation,),
            any_source=pair is not None,  # ADR 12
            tags=network.tags,
        )
        # By the place on the proxy that it takes, not by tenant: who gets a place that another tenant leaves in the
        # same update has to wait until it is free, and resources that are removed go last.
        return UserEni(f"{proxy.plan.name}-{tenant.user_device}", eni_args, self._child)

    def _configure(
        self, proxy: Host, role: ClaimRole, pair: ProxyPair | None, before: Sequence[pulumi.Resource]
    ) -> Sequence[pulumi.Resource]:
        """Configure a proxy; what is returned is there once it is done."""
        name, enis = proxy.plan.name, self.user_enis[proxy.plan.name]
        interfaces = ProxyInterfaces(proxy, enis)
        states = proxy_states(self._args.plan, interfaces)
        between = {Concern.USER_ENI: lambda ready: [eni.attach(ready) for eni in enis.values()]}
        turn = None
        after: Sequence[pulumi.Resource] = ()
        if pair is None:
            after = (self._stay_alone(proxy),)
        else:
            allowed = role.allow(interfaces.arns)
            between[Concern.PAIR] = lambda _: [allowed, *pair.ready]
            turn = Turn(
                name,
                TurnArgs(
                    host=proxy,
                    access=self._args.access,
                    digest=digest_output(states, self._made_from(proxy.plan)),
                    after=before,
                ),
                self._child,
            )
            after = (turn.begun,)
        config = HostConfig(
            name,
            HostConfigArgs(
                host=proxy,
                access=self._args.access,
                states=states,
                between=between,
                after=after,
            ),
            self._child,
        )
        if proxy is self.hosts[0]:
            self.first_tunnels = config.told[Concern.TUNNEL]
            self.redundancy = self._args.previous.output(self._args.plan.redundancy, after[0])
        if turn is None:
            return config.done
        ready = turn.end(config.done)
        self._replacements.note(proxy, ready)
        return (ready,)

    def _stay_alone(self, proxy: Host) -> pulumi.Resource:
        """What is left of a pair has to be the one that holds the HaVips, or its connections are cut."""
        access = self._args.access
        here = {known.name for known in self._args.plan.proxies}
        leaving = {name: ssh for name, ssh in self._args.previous.proxies.items() if name not in here}
        return host_command(
            f"{proxy.plan.name}-stays-alone",
            proxy,
            access,
            step_script(Step.STAYS_ALONE, "now"),
            before=access.reachable(proxy),
            parent=self,
            hooks=Departure(access, proxy, leaving).hooks(),
        )
