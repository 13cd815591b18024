"""The command line for running stacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lab.errors import LabError
from lab.signals import end_in_order_when_told
from ops.containers import Runtime
from ops.errors import OpsError
from ops.stack import LAB_STACK, Stack, open_stack

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at a running stack, and measure it.",
)
StackName = Annotated[
    str,
    typer.Option("--stack", "-s", help="`lab`: the lab's on this machine; others are the Pulumi CLI's."),
]
LabName = Annotated[
    str, typer.Option("--lab", envvar="CAUSEWAY_LAB_NAME", help="Which lab, for the stack `lab`.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="Private key for SSH; else the stack's private_key_file, else ssh-agent's."),
]
PairNumber = Annotated[
    int | None,
    typer.Option("--pair", help="Which pair, of a stack that has several; `ops status` numbers them."),
]


@app.callback()
def ops() -> None:
    """Look at a running stack, and measure it."""


@app.command()
def status(
    stack: StackName = LAB_STACK,
    lab: LabName = "default",
    key: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Every host, and where each HaVip is; what is wrong comes first. Exit status 1: something is."""
    from ops.status import show
    from ops.status.compare import compare
    from ops.status.gather import look

    with opened(stack, lab, key) as running:
        seen = look(running, closely=True, say=say)
        report = compare(running.outputs, seen)
    if as_json:
        print(json.dumps(show.as_json(report), indent=2))
    else:
        show.print_report(report, wide_console())
    raise typer.Exit(1 if report.problems else 0)


@app.command()
def apply(
    hosts: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST…]", help="None: all func hosts and proxies.")
    ] = None,
    stack: StackName = LAB_STACK,
    lab: LabName = "default",
    key: KeyFile = None,
) -> None:
    """Have hosts apply what `up` has told them once more: it mends what others have changed in their kernels."""
    from ops import apply as again

    with opened(stack, lab, key) as running:
        for name, said in again.apply(running, again.chosen(running, hosts or [])):
            for line in said.splitlines():
                print(f"{name}: {line.removeprefix('causeway: ')}")


@app.command()
def switch(
    stack: StackName = LAB_STACK,
    lab: LabName = "default",
    key: KeyFile = None,
    pair: PairNumber = None,
) -> None:
    """Have the standby take over, as before work on the active proxy. Refused, with the reason, if it cannot."""
    from ops import switch as planned

    with opened(stack, lab, key) as running:
        running.look_at_pair(pair)
        done = planned.switch(running, say)
    print(f"{done.after} is active instead of {done.before}, after {done.took_s:.2f} s")


@app.command()
def drill(
    scenarios: Annotated[list[str] | None, typer.Argument(metavar="[SCENARIO…]", help="None: all.")] = None,
    stack: StackName = LAB_STACK,
    lab: LabName = "default",
    key: KeyFile = None,
    connections: Annotated[int, typer.Option(min=1, max=5000, help="TCP connections, one way.")] = 100,
    runs: Annotated[int, typer.Option(min=1, help="Of each scenario; figures are of all together.")] = 1,
    output: Annotated[Path, typer.Option("--json", help="Where figures and events go as JSON.")] = Path(
        "build/drill.json"
    ),
    pictures: Annotated[
        Path | None, typer.Option(help="Directory for a timeline per scenario, of its worst run.")
    ] = Path("build/drill"),
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            "-c",
            metavar="KEY=VALUE",
            help="Of a lab that was brought up with it, for scenarios that run `up`.",
        ),
    ] = None,
    pair: PairNumber = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the scenarios as runbooks; break nothing.")
    ] = False,
) -> None:
    """Break things on purpose, and measure what connections notice. Exit status 1: a bound was missed."""
    from ops.drill import command

    wanted = command.chosen(scenarios or [])
    if listed:
        command.print_runbooks(wanted, wide_console())
        return
    with opened(stack, lab, key) as running:
        running.look_at_pair(pair)
        request = command.Request(
            scenarios=wanted,
            connections=connections,
            runs=runs,
            json=output,
            pictures=pictures,
            settings=config or (),
        )
        met = command.run_drill(running, request, wide_console())
    raise typer.Exit(0 if met else 1)


@app.command()
def containers(
    runtime: Annotated[
        Runtime,
        typer.Argument(
            help="cni: a network configuration per tenant, for /etc/cni/net.d (nerdctl, podman). docker: a "
            "command per tenant. kubernetes: ip-masq-agent, where every pod may reach every tenant."
        ),
    ],
    tenant: Annotated[str | None, typer.Argument(help="None: all that have a container_cidr.")] = None,
    stack: StackName = LAB_STACK,
    lab: LabName = "default",
    key: KeyFile = None,
) -> None:
    """Print how a container runtime on func hosts gets its containers onto the tenants' bridges."""
    from ops.containers import configuration

    with opened(stack, lab, key) as running:
        print(configuration(running.outputs, runtime, tenant))


@app.command()
def bench(
    output: Annotated[Path, typer.Option("--json", help="Where the figures go as JSON.")] = Path(
        "build/bench.json"
    ),
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Some parts: first-packet, forwarding, growth, hostscripts, image, lab, reconcile.",
        ),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", help="Repetitions of what is short; medians are shown.")] = 5,
) -> None:
    """Measure speed and memory against the stated goals; prints a table and writes JSON."""
    from ops.bench import PARTS, run_bench

    if unknown := sorted({*(only or [])} - set(PARTS)):
        raise OpsError(f"there is no part {unknown[0]!r}", hint=f"there are: {', '.join(PARTS)}")
    run_bench(output, parts=only or list(PARTS), runs=runs)


@contextmanager
def opened(stack: str, lab: str, key: Path | None) -> Iterator[Stack]:
    """A running stack, and no session left in the end."""
    running = open_stack(stack, lab, key)
    try:
        yield running
    finally:
        running.close()


def say(text: str) -> None:
    """What goes on meanwhile, beside the answer; a host's words among it are no markup."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"  [dim]{escape(text)}[/]")


def wide_console() -> Console:
    """Standard output: as wide as the terminal, and in a pipe as wide as it takes."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, width=200)


def main() -> None:
    """Run; what is meant for a person needs no traceback."""
    end_in_order_when_told()
    try:
        app()
    except LabError as error:
        Console(stderr=True, highlight=False).print("[bold red]ops:[/] ", end="")
        print(error, file=sys.stderr)
        sys.exit(1)
