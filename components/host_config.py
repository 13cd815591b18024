"""Configuration of a host over SSH: a Command per concern, so that a preview names what changes where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.access import OperatorAccess
from components.host import Host
from components.host_command import host_command
from components.host_scripts import Concern, configuration_script

State = Mapping[str, object]
Between = Callable[[Sequence[pulumi.Resource]], Sequence[pulumi.Resource]]


@dataclass(frozen=True, kw_only=True)
class HostConfigArgs:
    """`states`: by concern, in the order of applying.

    `between`: makes what has to be there ahead of a concern, given what is ahead of that: the concern before.
    `after`: what the first concern waits for, besides that the host can be reached. `hooks`: of every concern.
    """

    host: Host
    access: OperatorAccess
    states: Mapping[Concern, State | pulumi.Output[State]]
    between: Mapping[Concern, Between] = field(default_factory=dict)
    after: Sequence[pulumi.Resource] = ()
    hooks: pulumi.ResourceHookBinding | None = None


class HostConfig(pulumi.ComponentResource):
    """What a host is told, concern after concern. A replaced host is told everything again.

    Nothing in it is secret but the connection, so that changes can be read in a preview. Who waits for `done`
    waits for all of it, who waits for one of `told` for a concern and those before.
    """

    done: tuple[pulumi.Resource, ...]
    told: dict[Concern, pulumi.Resource]

    def __init__(self, name: str, args: HostConfigArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:host:HostConfig", name, None, opts)
        self.told = {}
        before: list[pulumi.Resource] = [*args.access.reachable(args.host), *args.after]
        for concern, state in args.states.items():
            if concern in args.between:
                before = [*before, *args.between[concern](before)]
            command = host_command(
                f"{name}-{concern.replace('_', '-')}",
                args.host,
                args.access,
                _script(concern, state),
                before=before,
                parent=self,
                hooks=args.hooks,
            )
            self.told[concern] = command
            before = [command]
        self.done = tuple(before)
        self.register_outputs({})


def _script(concern: Concern, state: State | pulumi.Output[State]) -> pulumi.Input[str]:
    """Plain where the state is, so that it is known in every preview."""
    if isinstance(state, pulumi.Output):
        return state.apply(lambda known: configuration_script(concern, known))
    return configuration_script(concern, state)
