"""The lab's command line: up, preview, down, and everything one does with its hosts."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from lab import ssh as lab_ssh
from lab.commands.tools import require_tools, with_system_directories
from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths, home

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A one-machine EC2 made of real Debian guests, and Causeway's program run against it.",
    epilog="HOST is a name such as func-0, proxy-0 or user-alpha, an instance id, or an address. "
    "`lab` in messages stands for `.venv/bin/python -m lab`.",
)

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


@app.command()
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


@app.command()
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


@app.command()
def down(name: Name = "default") -> None:
    """Take the lab down. Leaves no process, namespace, tap or state behind, whatever happened before."""
    from lab.commands.down import take_down

    take_down(LabPaths(name))


@app.command()
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


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(
    host: Host,
    command: Annotated[
        list[str], typer.Argument(metavar="-- CMD…", help="Command and arguments.", show_default=False)
    ],
    name: Name = "default",
    user: Annotated[str, typer.Option("--user", "-u", help="Login.")] = "root",
) -> None:
    """Run a command on a host, with this command's input, output and exit status."""
    words = words_of(command)
    if not words:
        raise LabError("there is no command to run", hint=f"like this: lab exec {host} -- ip address")
    with lab_ssh.log_in(Client(LabPaths(name)), host, user) as session:
        streams = {"stdin": sys.stdin.buffer, "stdout": sys.stdout.buffer}
        status_code = lab_ssh.passthrough(session, words, **streams)
    leave(status_code)


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def ssh(
    host: Host,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- CMD…]", help="Instead of a shell.", show_default=False)
    ] = None,
    name: Name = "default",
    user: Annotated[str, typer.Option("--user", "-u", help="Login.")] = "root",
) -> None:
    """Log in to a host with OpenSSH's client."""
    paths = LabPaths(name)
    Client(paths).call("ping")
    require_tools("ssh")
    # `connect` needs nobody's trust: the stream ends at the guest's own tap.
    proxy = f"{sys.executable} -m lab connect --name {name} %h %p"
    os.chdir(PROJECT)
    os.execvp(
        "ssh",
        ["ssh", "-o", f"ProxyCommand={proxy}", "-i", str(paths.ssh_key), "-l", user,
         "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "LogLevel=ERROR", host, *words_of(command or [])],
    )  # fmt: skip


@app.command()
def connect(
    host: Host,
    port: Annotated[int, typer.Argument(help="TCP port.")] = lab_ssh.SSH_PORT,
    name: Name = "default",
) -> None:
    """Join standard input and output to a host's port: `ssh -o ProxyCommand='… -m lab connect %h %p'`."""
    with Client(LabPaths(name)).connect(host, port) as stream:
        lab_ssh.bridge_stdio(stream)


@app.command()
def logs(
    host: Host,
    name: Name = "default",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """Show a host's serial console, or the daemon's log for HOST `daemon`."""
    from lab.commands.logs import print_log

    print_log(LabPaths(name), host, follow=follow)


@app.command(context_settings={"ignore_unknown_options": True})
def capture(
    host: Host,
    device: Annotated[
        str, typer.Argument(help="eth0, eth1 …: an ENI, seen from the fabric; others: inside the guest.")
    ],
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="[FILTER…]", help="tcpdump's filter.")
    ] = None,
    name: Name = "default",
    count: Annotated[int | None, typer.Option("--count", "-n", help="End after so many packets.")] = None,
    write: Annotated[
        Path | None, typer.Option("--write", "-w", help="pcap file; - is standard output.")
    ] = None,
) -> None:
    """Watch packets with tcpdump."""
    from lab.commands.capture import watch

    leave(watch(LabPaths(name), host, device, filters or [], count=count, write=write))


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def internet(
    command: Annotated[
        list[str], typer.Argument(metavar="-- CMD…", help="Command and arguments.", show_default=False)
    ],
    name: Name = "default",
) -> None:
    """Run a command on this machine inside the lab's internet, where public addresses answer."""
    from lab.daemon.launch import enter

    argv = [*enter(LabPaths(name)), *words_of(command)]
    sys.stdout.flush()
    os.execvp(argv[0], argv)


@app.command()
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


def words_of(command: list[str]) -> list[str]:
    """A command without the `--` before it; what looks like an option there was meant for us."""
    if command[:1] == ["--"]:
        return command[1:]
    if command and command[0].startswith("-"):
        raise LabError(
            f"{command[0]} is not a command", hint="options go before the host, the command after `--`"
        )
    return command


def leave(status_code: int) -> None:
    """Exit with a command's own status, output flushed, and no thread that still reads stdin in the way."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status_code)


def interrupt(_signum: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> None:
    """Run; a LabError is for a person and needs no traceback."""
    os.environ["PATH"] = with_system_directories(os.environ.get("PATH", os.defpath))
    if sys.stdin is None:  # closed by the caller
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - until this process ends
    signal.signal(signal.SIGTERM, interrupt)  # so that what ends us ends what we started, in order
    interrupted = 130  # as shells count: 128 + SIGINT
    try:
        status_code = app(standalone_mode=False)
    except LabError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]lab:[/] ", end="")
        print(error, file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
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
