"""Configuration of a host over SSH: a Command per concern, so that a preview names what changes where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pulumi

from components.access import OperatorAccess
from components.host import Host
from components.host_command import host_command
from components.host_scripts import Concern, configuration_script, state_digest

State = Mapping[str, object]
Digests = dict[str, str | pulumi.Output[str]]  # by concern
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
    waits for all of it, who waits for one of `told` for a concern and those before. `digests`: of the states.
    """

    done: tuple[pulumi.Resource, ...]
    told: dict[Concern, pulumi.Resource]
    digests: Digests

    def __init__(self, name: str, args: HostConfigArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:host:HostConfig", name, None, opts)
        self.told = {}
        self.digests = {
            concern.value: _of_state(state, state_digest) for concern, state in args.states.items()
        }
        before: list[pulumi.Resource] = [*args.access.reachable(args.host), *args.after]
        for concern, state in args.states.items():
            if concern in args.between:
                before = [*before, *args.between[concern](before)]
            command = host_command(
                f"{name}-{concern.replace('_', '-')}",
                args.host,
                args.access,
                _of_state(state, partial(configuration_script, concern)),
                before=before,
                parent=self,
                hooks=args.hooks,
            )
            self.told[concern] = command
            before = [command]
        self.done = tuple(before)
        self.register_outputs({})


def _of_state(state: State | pulumi.Output[State], made: Callable[[State], str]) -> str | pulumi.Output[str]:
    """Plain where the state is, so that it is known in every preview."""
    return state.apply(made) if isinstance(state, pulumi.Output) else made(state)
