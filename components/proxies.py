"""The proxies, in pairs or one by one: the way out of the tunnels and into each tenant's network."""

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
from components.host_config import Digests, HostConfig, HostConfigArgs
from components.host_scripts import Concern, Step, step_script
from components.plan import HostPlan, PairPlan, Plan, TenantPlan
from components.previous import Previous, known_as
from components.proxy_pair import ProxyPair, ProxyPairArgs
from components.proxy_states import ProxyInterfaces, digest_output, proxy_states
from components.replacement import Replacements, made_from
from components.tags import tagged
from components.tunnel_change import pauses
from components.turn import Turn, TurnArgs
from components.user_eni import UserEni, UserEniArgs
from components.user_network import UserNetwork

_FORMERLY = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="causeway:proxy:SingleProxy")])


@dataclass(frozen=True)
class _Configured:
    """A proxy that is told: what its turn begins with, its tunnels, and what is there once it is done."""

    begun: pulumi.Resource
    tunnels: pulumi.Resource
    done: Sequence[pulumi.Resource]


@dataclass(frozen=True)
class _Made:
    """A pair: its hosts, what func hosts wait for, and what the first one's turn begins with."""

    hosts: Sequence[Host]
    first_ends: Sequence[pulumi.Resource]
    changed: pulumi.Resource


@dataclass(frozen=True, kw_only=True)
class ProxiesArgs:
    """Where proxies stand, how they are reached, and the tenants' networks by name.

    `api_group`: of the API's endpoint, where a pair has one. `func_rules`: those of func hosts' group, by which
    they take in what they are sent.
    """

    plan: Plan
    previous: Previous
    access: OperatorAccess
    place: Place
    vpc_id: pulumi.Input[str]
    api_group: Group | None
    func_rules: Sequence[pulumi.Resource]
    user_networks: Mapping[str, UserNetwork]


class Proxies(pulumi.ComponentResource):
    """One or two proxies per pair, each with an ENI in the network of every tenant that the pair serves.

    A proxy's resources are the same in both cases, so that becoming a pair replaces none. A change that could
    disturb reaches one proxy of a pair after the other, each while the other one forwards.
    """

    hosts: tuple[Host, ...]
    user_enis: dict[str, dict[str, UserEni]]  # by proxy, then by tenant
    digests: dict[str, Digests]  # of what each is told, by name
    # Of each pair's first proxy the tunnels: the far end of every func host's, before there are two and after. In a run
    # in which no end takes in what the other sends until both have changed, all of it: the other one makes way.
    first_ends: tuple[pulumi.Resource, ...]
    made_from: dict[str, str]  # by proxy, as its mark has it
    redundancy: pulumi.Input[str]  # as the next run is to know it
    api_endpoint: pulumi.Input[str] | None  # its address, likewise; None: the stack makes none

    def __init__(self, name: str, args: ProxiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:Proxies", name, None, pulumi.ResourceOptions.merge(_FORMERLY, opts))
        self._child = pulumi.ResourceOptions(parent=self)
        self._args = args
        self._replacements = Replacements(args.access, args.previous.proxies)
        self._endpoint: tuple[pulumi.Resource, ...] = ()
        self.user_enis, self.digests = {}, {}
        self.made_from = {
            proxy.name: made_from(proxy, args.place.image, args.previous.machines.get(proxy.name))
            for pair in args.plan.pairs
            for proxy in pair.proxies
        }
        made = [self._make_pair(name, pair) for pair in args.plan.pairs]
        self.hosts = tuple(host for pair in made for host in pair.hosts)
        self.first_ends = tuple(end for pair in made for end in pair.first_ends)
        address = args.plan.takeover.api.endpoint_address if args.plan.takeover else None
        self.api_endpoint = (
            None if address is None else known_as(args.previous.api_endpoint, address, self._endpoint)
        )
        changed = [pair.changed for pair in made]
        self.redundancy = known_as(args.previous.redundancy, args.plan.redundancy, changed)
        self.register_outputs({})

    def _make_pair(self, name: str, plan: PairPlan) -> _Made:
        shared = self._make_shared(name, plan)
        spread = self._make_spread(name, plan)
        tenants = self._args.plan.tenants_of(plan.number)
        before: Sequence[pulumi.Resource] = ()
        hosts, configured = [], []
        for proxy in plan.proxies:
            role = self._make_role(proxy, before)
            host = self._make_host(proxy, spread, role)
            self.user_enis[proxy.name] = {
                tenant.name: self._make_eni(host, tenant, shared) for tenant in tenants
            }
            hosts.append(host)
            configured.append(self._configure(host, role, shared, before))
            before = configured[-1].done
        first = configured[0]
        waits = pauses(self._args.previous, self._args.plan.tunnel)
        return _Made(hosts, first.done if waits else (first.tunnels,), first.begun)

    def _make_shared(self, name: str, plan: PairPlan) -> ProxyPair | None:
        args = self._args
        if plan.havip is None or args.plan.takeover is None:
            return None
        pair_args = ProxyPairArgs(
            suffix=plan.suffix,
            havip=plan.havip,
            tenants=args.plan.tenants_of(plan.number),
            api=args.plan.takeover.api,
            api_before=args.previous.api_endpoint,
            vpc_id=args.vpc_id,
            subnet=args.place.subnet,
            api_group=None if plan.number else args.api_group,
            user_networks=args.user_networks,
            tags=args.plan.tags,
        )
        pair = ProxyPair(f"{name}-pair{plan.suffix}", pair_args, self._child)
        self._endpoint = self._endpoint or pair.endpoint
        return pair

    def _make_spread(self, name: str, plan: PairPlan) -> pulumi.Output[str]:
        # For one proxy too: an instance cannot be moved into a group without being replaced.
        group = aws.ec2.PlacementGroup(
            f"{name}-spread{plan.suffix}",
            strategy="spread",  # not two on one rack; a group of its own per pair, as it takes seven in a zone
            tags=tagged(self._args.plan.tags, f"{name}-spread{plan.suffix}"),
            opts=self._child,
        )
        name_in_aws: pulumi.Output[str] = group.name
        return name_in_aws

    def _make_role(self, proxy: HostPlan, before: Sequence[pulumi.Resource]) -> ClaimRole:
        """`before`: what ends the turn of the proxy before, for which the role's hook waits.

        So does the engine, once there was such a proxy: hooks that wait each keep one of its workers, and as many pairs
        as workers would wait for ever. The first two proxies of a pair are made side by side.
        """
        plan = self._args.plan
        peer = plan.peer_of(proxy)
        role_args = ClaimRoleArgs(
            proxy_name=proxy.name,
            instance=self.made_from[proxy.name],
            hooks=None
            if peer is None
            else self._replacements.of_role(
                proxy.name, peer.name if proxy.side else None, self._staying(proxy)
            ),
            after=before if proxy.name in self._args.previous.proxies else (),
            tags=plan.tags,
        )
        return ClaimRole(proxy.name, role_args, self._child)

    def _staying(self, proxy: HostPlan) -> list[str]:
        return [tenant.namespace for tenant in self._args.plan.tenants_of(proxy.pair)]

    def _make_host(self, proxy: HostPlan, spread: pulumi.Output[str], role: ClaimRole) -> Host:
        is_alone = self._args.plan.peer_of(proxy) is None
        host_args = HostArgs(
            host=proxy,
            place=self._args.place,
            placement_group=spread,
            profile=role.profile_name,
            hooks=None if is_alone else self._replacements.of_instance(proxy.name),
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
            was=self._args.previous.path_at(tenant.pair, tenant.slot),
            any_source=pair is not None,  # ADR 12
            tags=network.tags,
        )
        # By the place on the proxy that it takes, not by tenant: who gets a place that another tenant leaves in the
        # same update has to wait until it is free, and resources that are removed go last.
        return UserEni(f"{proxy.plan.name}-user{tenant.slot}", eni_args, self._child)

    def _configure(
        self, proxy: Host, role: ClaimRole, pair: ProxyPair | None, before: Sequence[pulumi.Resource]
    ) -> _Configured:
        name, enis = proxy.plan.name, self.user_enis[proxy.plan.name]
        interfaces = ProxyInterfaces(proxy, enis)
        states = proxy_states(self._args.plan, interfaces)
        between = {Concern.USER_ENI: lambda ready: [eni.attach(ready) for eni in enis.values()]}
        turn = hooks = None
        if pair is None:
            begun, hooks = self._stay_alone(proxy)
        else:
            turn = Turn(
                name,
                TurnArgs(
                    host=proxy,
                    access=self._args.access,
                    digest=digest_output(states, self.made_from[name]),
                    staying=self._staying(proxy.plan),
                    after=before,
                ),
                self._child,
            )
            begun = turn.begun
            claims = [role.allow(name, arn, after=begun) for name, arn in interfaces.arns.items()]
            ready = (*claims, *pair.reservations, *self._endpoint)
            between[Concern.PAIR] = lambda _: list(ready)
        config = HostConfig(
            name,
            HostConfigArgs(
                host=proxy,
                access=self._args.access,
                states=states,
                between=between,
                after=(begun, *self._args.func_rules),
                hooks=hooks,
            ),
            self._child,
        )
        self.digests[name] = config.digests
        tunnels = config.told[Concern.TUNNEL]
        if turn is None:
            return _Configured(begun, tunnels, config.done)
        end = turn.end(config.done)
        self._replacements.note(proxy, end)
        return _Configured(begun, tunnels, (end,))

    def _stay_alone(self, proxy: Host) -> tuple[pulumi.Resource, pulumi.ResourceHookBinding | None]:
        """What is left of a pair has to be the one that holds the HaVips, or its connections are cut.

        The hooks are those of all that the proxy is told from now on.
        """
        access, known = self._args.access, self._args.previous.proxies
        leaving = {name: login for name, login in known.items() if name == proxy.plan.second}
        hooks = Departure(access, proxy, known, leaving, self._staying(proxy.plan)).hooks()
        first = host_command(
            f"{proxy.plan.name}-stays-alone",
            proxy,
            access,
            step_script(Step.STAYS_ALONE, "now"),
            before=access.reachable(proxy),
            parent=self,
            hooks=hooks,
        )
        return first, hooks
