"""The commands, and what becomes of errors: `python -m lab`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import typer
from rich.console import Console

from lab.cli import faults, hosts, output, stack
from lab.commands.tools import with_system_directories
from lab.errors import LabError, is_full_disk
from lab.paths import home
from lab.signals import end_in_order_when_told

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A one-machine EC2 made of real Debian guests, and Causeway's program run against it.",
    epilog="HOST is a name such as func-0, proxy-0 or user-alpha, an instance id, or an address. "
    "`lab` in messages stands for `.venv/bin/python -m lab`.",
)
WORDS = {"ignore_unknown_options": True, "allow_interspersed_args": False}  # what follows is somebody else's
app.command()(stack.up)
app.command()(stack.preview)
app.command()(stack.down)
app.command()(stack.status)
app.command("exec", context_settings=WORDS)(hosts.execute)
app.command(context_settings=WORDS)(hosts.ssh)
app.command()(hosts.connect)
app.command()(hosts.logs)
app.command(context_settings={"ignore_unknown_options": True})(hosts.capture)
app.command(context_settings=WORDS)(hosts.internet)
app.command()(faults.fault)
app.command()(faults.block)
app.command()(faults.unblock)
app.command()(faults.weather)


def main() -> None:
    """Run; a LabError is for a person and needs no traceback."""
    os.environ["PATH"] = with_system_directories(os.environ.get("PATH", os.defpath))
    if sys.stdin is None:  # closed by the caller
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - until this process ends
    output.name_standard_output()
    end_in_order_when_told()
    interrupted, broken_pipe = 128 + signal.SIGINT, 128 + signal.SIGPIPE  # as shells count
    try:
        status_code = app(standalone_mode=False)
        output.flush()
    except LabError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]lab:[/] ", end="")
        print(error, file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename == output.NAME:
            output.give_up()
            if isinstance(error, BrokenPipeError):  # who reads has seen enough
                sys.exit(broken_pipe)
            print(f"lab: {output.NAME} cannot be written: {error.strerror}", file=sys.stderr)
            print("  → let it go elsewhere, or make room there", file=sys.stderr)
            sys.exit(1)
        if not is_full_disk(error):
            raise
        where = error.filename or home()
        print(
            f"lab: no space left: {where}\n  → make room, then run it again; `lab down` frees a lab's disks",
            file=sys.stderr,
        )
        sys.exit(1)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        status_code = interrupted
    except Exception as error:
        usage = getattr(error, "show", None)  # typer's own usage errors know how to show themselves
        if usage is None:
            raise
        usage()
        sys.exit(2)
    if status_code == interrupted:
        print("lab: interrupted", file=sys.stderr)
    sys.exit(status_code)
