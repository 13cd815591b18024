"""The lab as a whole: up, preview, down, status."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lab.cli.options import Config, Name, Refresh, Replace, Stack
from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import LabPaths


def up(
    name: Name = "default",
    empty: Annotated[bool, typer.Option("--empty", help="The cloud alone: an EC2 for any client.")] = False,
    config: Config = None,
    refresh: Refresh = False,
    replace: Replace = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Bring the lab up: API, networks, guests, and the program's stack `lab`; then check the path and draw it."""
    if empty and (config or refresh or replace):
        raise LabError(
            "--empty has no stack to configure", hint="leave out --config, --refresh and --replace"
        )
    from lab.commands.up import bring_up

    bring_up(
        LabPaths(name),
        empty=empty,
        config=config or [],
        refresh=refresh,
        replace=replace or [],
        as_json=as_json,
    )


def preview(
    name: Name = "default",
    stack: Stack = "lab",
    config: Config = None,
    refresh: Refresh = False,
    replace: Replace = None,
    as_json: Annotated[bool, typer.Option("--json", help="The steps as JSON.")] = False,
) -> None:
    """Show what `up` would do; connects to no host. Works for the AWS stacks too, without an account."""
    from lab.commands.preview import show_preview

    show_preview(
        LabPaths(name), stack, config=config or [], refresh=refresh, replace=replace or [], as_json=as_json
    )


def down(name: Name = "default") -> None:
    """Take the lab down. Leaves no process, namespace, tap or state behind, whatever happened before."""
    from lab.commands.down import take_down

    take_down(LabPaths(name))


def status(
    name: Name = "default",
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Endpoint, credentials and hosts."""
    from lab.commands.status import print_status

    state = {"name": name, **Client(LabPaths(name)).call("status")}
    if as_json:
        print(json.dumps(state, indent=2))
    else:
        print_status(state)
