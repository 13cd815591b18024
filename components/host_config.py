"""Configuration of a host over SSH: a Command per concern, so that a preview names what changes where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_command import remote

from components.access import OperatorAccess
from components.host import Host
from components.host_scripts import Concern, configuration_script

State = Mapping[str, object]
Between = Callable[[Sequence[pulumi.Resource]], Sequence[pulumi.Resource]]


@dataclass(frozen=True, kw_only=True)
class HostConfigArgs:
    """`states`: by concern, in the order of applying.

    `between`: makes what has to be there ahead of a concern, given what is ahead of that: the concern before.
    """

    host: Host
    access: OperatorAccess
    states: Mapping[Concern, State | pulumi.Output[State]]
    between: Mapping[Concern, Between] = field(default_factory=dict)


class HostConfig(pulumi.ComponentResource):
    """What a host is told, concern after concern. A replaced host is told everything again.

    Nothing in it is secret but the connection, so that changes can be read in a preview.
    """

    def __init__(self, name: str, args: HostConfigArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:host:HostConfig", name, None, opts)
        connection = args.access.connection(args.host)
        before = args.access.reachable(args.host)
        for concern, state in args.states.items():
            if concern in args.between:
                before = [*before, *args.between[concern](before)]
            before = [self._configure(name, args, concern, state, connection, before)]
        self.register_outputs({})

    def _configure(
        self,
        name: str,
        args: HostConfigArgs,
        concern: Concern,
        state: State | pulumi.Output[State],
        connection: remote.ConnectionArgs,
        before: list[pulumi.Resource],
    ) -> pulumi.Resource:
        command: pulumi.Resource = remote.Command(
            f"{name}-{concern.replace('_', '-')}",
            connection=connection,
            create="sudo bash -s",  # also runs as the update: the script makes the host equal to its state
            stdin=_script(concern, state),
            add_previous_output_in_env=False,  # a stock sshd refuses such variables
            logging=remote.Logging.STDOUT,  # a line per change; what goes wrong is part of the error anyway
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=before,
                # Not replace_with: the engine then deletes the Command ahead of the instance, with a provider
                # that it may not have loaded yet. This one also holds after an interrupted run.
                replacement_trigger=args.host.instance_id,
                deleted_with=args.host.instance,
                # A preview without the private key would else show a change of every Command.
                ignore_changes=None if args.access.connections_are_known else ["connection"],
            ),
        )
        return command


def _script(concern: Concern, state: State | pulumi.Output[State]) -> pulumi.Input[str]:
    """Plain where the state is, so that it is known in every preview."""
    if isinstance(state, pulumi.Output):
        return state.apply(lambda known: configuration_script(concern, known))
    return configuration_script(concern, state)
