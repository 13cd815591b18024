"""The func hosts: where functions run and every connection begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.access import OperatorAccess
from components.host import Host, HostArgs, Place
from components.host_config import Digests, HostConfig, HostConfigArgs
from components.host_scripts import Concern
from components.host_state import container_state, packages_state, routes_state, tunnel_state
from components.plan import Plan


@dataclass(frozen=True, kw_only=True)
class FuncFleetArgs:
    """Where func hosts stand and how they are reached.

    `after`: what their tunnels lead to. When the remote becomes another address, both ends change in short order.
    """

    plan: Plan
    access: OperatorAccess
    place: Place
    after: Sequence[pulumi.Resource]


class FuncFleet(pulumi.ComponentResource):
    """Every func host, with a tunnel per tenant and the routes into it. None depends on another."""

    hosts: tuple[Host, ...]
    tunnels: tuple[pulumi.Resource, ...]  # what each is told of its own
    digests: dict[str, Digests]  # of what each is told, by name

    def __init__(self, name: str, args: FuncFleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:func:FuncFleet", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.hosts = tuple(
            Host(host.name, HostArgs(host=host, place=args.place), self._child)
            for host in args.plan.func_hosts
        )
        configs = {host.plan.name: self._configure(host, args) for host in self.hosts}
        self.tunnels = tuple(config.told[Concern.TUNNEL] for config in configs.values())
        self.digests = {name: config.digests for name, config in configs.items()}
        self.register_outputs({})

    def _configure(self, host: Host, args: FuncFleetArgs) -> HostConfig:
        states = {
            Concern.PACKAGES: packages_state(args.plan, host.plan),
            Concern.CONTAINER: container_state(args.plan, host.plan),
            Concern.TUNNEL: tunnel_state(args.plan, host.plan),
            Concern.ROUTES: routes_state(args.plan, host.plan),
        }
        return HostConfig(
            host.plan.name,
            HostConfigArgs(
                host=host,
                access=args.access,
                states=states,
                between={Concern.TUNNEL: lambda _: list(args.after)},
            ),
            self._child,
        )
