"""What one does with a lab's hosts: look, log in, run commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab import ssh as lab_ssh
from lab.cli.options import Host, Name
from lab.cli.words import leave, words_of
from lab.commands.tools import require_tools
from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths
from lab.patience import problem_of, told_of_problems


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
    client = Client(LabPaths(name))
    with (
        lab_ssh.log_in(client, host, user) as session,
        told_of_problems(lambda: problem_of(client, host)),
    ):
        streams = {"stdin": sys.stdin.buffer, "stdout": sys.stdout.buffer}
        status_code = lab_ssh.passthrough(session, words, **streams)
    leave(status_code)


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


def connect(
    host: Host,
    port: Annotated[int, typer.Argument(help="TCP port.")] = lab_ssh.SSH_PORT,
    name: Name = "default",
) -> None:
    """Join standard input and output to a host's port: `ssh -o ProxyCommand='… -m lab connect %h %p'`."""
    with Client(LabPaths(name)).connect(host, port) as stream:
        lab_ssh.bridge_stdio(stream)


def logs(
    host: Host,
    name: Name = "default",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """Show a host's serial console, or the daemon's log for HOST `daemon`."""
    from lab.commands.logs import print_log

    print_log(LabPaths(name), host, follow=follow)


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
