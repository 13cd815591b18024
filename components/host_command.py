"""One script on one host, over SSH."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_command import remote

from components.access import OperatorAccess
from components.host import Host


def host_command(
    name: str,
    host: Host,
    access: OperatorAccess,
    script: pulumi.Input[str],
    *,
    before: Sequence[pulumi.Resource],
    parent: pulumi.Resource,
    hooks: pulumi.ResourceHookBinding | None = None,
) -> pulumi.Resource:
    """A Command that runs `script` as root: when the script changes, and when the host was replaced.

    The script makes the host equal to what it says, so the same text creates and updates.
    """
    command: pulumi.Resource = remote.Command(
        name,
        connection=access.connection(host),
        create="sudo bash -s",
        stdin=script,
        add_previous_output_in_env=False,  # a stock sshd refuses such variables
        logging=remote.Logging.STDOUT,  # a line per change; what goes wrong is part of the error anyway
        opts=pulumi.ResourceOptions(
            parent=parent,
            hooks=hooks,
            depends_on=list(before),
            # Not replace_with: the engine then deletes the Command ahead of the instance, with a provider
            # that it may not have loaded yet. This one also holds after an interrupted run.
            replacement_trigger=host.instance_id,
            deleted_with=host.instance,
            # A preview without the private key would else show a change of every Command.
            ignore_changes=None if access.connections_are_known else ["connection"],
        ),
    )
    return command
