"""`lab status` for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.commands.troubles import block_line, weather_line

NARROW_COLUMNS = 110  # fewer than that do not hold everything about a host in one line


def host_table(hosts: list[Any], width: int) -> Table:
    """Hosts, a row each; on a narrow terminal without what is least asked for, and an ENI to a line."""
    narrow = width < NARROW_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    rest = () if narrow else ("state", "MiB")
    for column in ("host", "instance", "machine", "public", "ENI (device index: addresses)", *rest):
        table.add_column(column, no_wrap=True)
    for host in hosts:
        machine = host["machine"]
        rest = () if narrow else (host["state"], str(machine.get("resident_mib", "-")))
        table.add_row(
            escape(host["name"]), host["instance_id"], machine.get("state", host["state"]),
            host["public_ip"] or "-", ("\n" if narrow else "  ").join(named(eni) for eni in host["enis"]), *rest,
        )  # fmt: skip
    return table


def named(eni: Any) -> str:
    """An ENI in a cell."""
    unplugged = "" if eni["plugged"] else " (unplugged)"
    return f"{eni['device_index']}: {', '.join(eni['addresses'])}{unplugged}"


def troubles(state: Any) -> list[str]:
    """What `lab weather` and `lab block` did and nobody undid."""
    weather = [f"weather: {weather_line(place)}" for place in state["weather"]]
    return [escape(line) for line in (*weather, *(f"blocked: {block_line(b)}" for b in state["blocks"]))]


def wide_console() -> Console:
    """Standard output: as wide as the terminal, and in a pipe as wide as it takes."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=240)


def print_status(state: Any) -> None:
    """The lab and its hosts."""
    console = wide_console()
    engine = f", the engine is at {state['engine']!r}" if state["engine"] else ""
    console.print(f"lab [bold]{state['name']}[/]: EC2 at {state['ec2_endpoint']} ({state['region']}){engine}")
    if state["accelerator"]:
        console.print(f"guests run under {state['accelerator']}")
    if state["hosts"]:
        console.print(host_table(state["hosts"], console.width))
        for host in state["hosts"]:
            if problem := host["machine"].get("problem"):
                console.print(f"[red]{escape(host['name'])}[/] {escape(problem)}")
    else:
        console.print("no hosts yet: RunInstances starts one")
    for line in troubles(state):
        console.print(f"[red]{line}[/]", highlight=False)
