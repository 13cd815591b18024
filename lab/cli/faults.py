"""What goes wrong on purpose: machines, packets, the API."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from lab.cli.options import Host, Name
from lab.commands.troubles import weather_line
from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import LabPaths


def fault(
    kind: Annotated[
        str, typer.Argument(help="kill, hang, resume, restart, unplug, plug", show_default=False)
    ],
    host: Host,
    device: Annotated[str, typer.Argument(help="For unplug and plug: eth0, eth1 …")] = "eth0",
    name: Name = "default",
) -> None:
    """Do something bad to a machine, or undo it: SIGKILL, SIGSTOP, SIGCONT, boot again, cable out, cable in."""
    kinds = ("kill", "hang", "resume", "restart", "unplug", "plug")
    if kind not in kinds:
        raise LabError(f"there is no fault {kind!r}", hint=f"one of: {', '.join(kinds)}")
    started = time.monotonic()
    Client(LabPaths(name)).call("fault", kind=kind, host=host, device=device)
    what = f"{host} {device}" if kind in ("unplug", "plug") else host
    Console(stderr=True, highlight=False).print(f"{kind} {what}: done in {time.monotonic() - started:.1f} s")


def block(
    hosts: Annotated[
        list[str],
        typer.Argument(
            metavar="HOST [HOST]", help="One: all its packets. Two: those between them.", show_default=False
        ),
    ],
    name: Name = "default",
    protocol: Annotated[
        int | None, typer.Option(min=0, max=255, help="Only of this IP protocol: 47 GRE, 112 VRRP, 17 UDP …")
    ] = None,
    one_way: Annotated[bool, typer.Option("--one-way", help="Only from the first to the second.")] = False,
) -> None:
    """Drop packets on their way, open connections included, until `unblock`."""
    if len(hosts) > 2 or (one_way and len(hosts) != 2):
        raise LabError(
            "a block has one host or two, and a direction only with two", hint="lab block proxy-0 proxy-1"
        )
    Client(LabPaths(name)).call("block", hosts=hosts, protocol=protocol, one_way=one_way)


def unblock(name: Name = "default") -> None:
    """Let everything pass again."""
    Client(LabPaths(name)).call("unblock")


def weather(
    action: Annotated[
        str | None, typer.Argument(help="Of the API, as AssignPrivateIpAddresses; none is every action.")
    ] = None,
    name: Name = "default",
    address: Annotated[
        str | None,
        typer.Option(
            "--address", "-a", help="Only of calls that name this private address, or network interface."
        ),
    ] = None,
    down: Annotated[bool, typer.Option("--down", help="Answered with 503, and nothing happens.")] = False,
    delay: Annotated[float, typer.Option("--delay", min=0, help="Seconds before a call is looked at.")] = 0.0,
    effect: Annotated[
        float,
        typer.Option(
            "--effect", min=0, help="Seconds from the answer until networks and IMDS see the address."
        ),
    ] = 0.0,
    refuse: Annotated[
        str,
        typer.Option(
            metavar="CODE", help="Answered with this error, as RequestLimitExceeded; nothing happens."
        ),
    ] = "",
    only_list: Annotated[bool, typer.Option("--list", help="Change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The weather as JSON.")] = False,
) -> None:
    """Make the EC2 API slow, late, refusing or unavailable; without options, as it should be again. Says what holds.

    As on AWS: lab weather AssignPrivateIpAddresses --delay 1.8 --effect 1
    """
    given = {"unavailable": down, "delay_s": delay, "effect_s": effect, "refusal": refuse}
    condition = {key: value for key, value in given.items() if value}
    if only_list and (condition or action or address):
        raise LabError("--list changes nothing", hint="leave out the rest, or --list")
    change: dict[str, Any] = (
        {} if only_list else {"action": action, "address": address, "condition": condition}
    )
    listed = Client(LabPaths(name)).call("weather", **change)
    if as_json:
        print(json.dumps(listed, indent=2))
    else:
        print("\n".join(map(weather_line, listed)) or "fair")
