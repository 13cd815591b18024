"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[
    str, typer.Option("--name", envvar="CAUSEWAY_LAB_NAME", help="Which lab; several may run side by side.")
]
Host = Annotated[str, typer.Argument(help="Name, instance id or address of a host.", show_default=False)]
Config = Annotated[
    list[str] | None,
    typer.Option(
        "--config", "-c", metavar="KEY=VALUE", help="Override a setting, such as func_hosts.count=3."
    ),
]
Stack = Annotated[str, typer.Option("--stack", "-s", help="Stack file stacks/Pulumi.STACK.yaml.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Read what really is before comparing.")]
Replace = Annotated[
    list[str] | None,
    typer.Option("--replace", metavar="HOST|URN", help="Make this anew, although nothing of it changed."),
]
