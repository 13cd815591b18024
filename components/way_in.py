"""A script on a host by SSH, from the machine that runs the program: for what has to happen ahead of a resource."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko

SSH_PORT = 22
_CONNECT_S = 15


class NoWayInError(Exception):
    """Nobody answers there, or lets us in."""


@dataclass(frozen=True, kw_only=True)
class WayIn:
    """Where a host's SSH is, and the bastion in front of it, if any. The port is another one in tests only."""

    host: str
    user: str
    private_key: str = field(repr=False)
    via: str | None = None
    port: int = SSH_PORT


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a script ended, and all that it said."""

    status: int
    said: str


def run_script(way: WayIn, script: str, *, within_s: float) -> Done:
    """Run it as root, like a Command does. Raises `NoWayInError`; TimeoutError if it is silent for so long."""
    with _logged_in(way) as ssh:
        stdin, stdout, _ = ssh.exec_command("sudo bash -s 2>&1", timeout=within_s)
        stdin.write(script)
        stdin.channel.shutdown_write()
        said = stdout.read().decode(errors="replace")
        return Done(status=stdout.channel.recv_exit_status(), said=said.strip())


@contextmanager
def _logged_in(way: WayIn) -> Iterator[paramiko.SSHClient]:
    """Hosts are known by their address alone, as to the command provider."""
    with paramiko.SSHClient() as bastion, paramiko.SSHClient() as ssh:
        try:
            sock = None
            if way.via is not None:
                _connect(bastion, way, way.via)
                transport = bastion.get_transport()
                if transport is None:
                    raise NoWayInError(f"{way.via}: the bastion hung up")
                sock = transport.open_channel(
                    "direct-tcpip", (way.host, way.port), ("127.0.0.1", 0), timeout=_CONNECT_S
                )
            _connect(ssh, way, way.host, sock)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise NoWayInError(f"{way.host}: {error}") from error
        yield ssh


def _connect(ssh: paramiko.SSHClient, way: WayIn, host: str, sock: paramiko.Channel | None = None) -> None:
    ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    ssh.connect(
        host,
        way.port,
        username=way.user,
        pkey=_key(way.private_key),
        sock=sock,
        look_for_keys=False,
        allow_agent=False,
        timeout=_CONNECT_S,
        banner_timeout=_CONNECT_S,
        auth_timeout=_CONNECT_S,
    )


def _key(text: str) -> paramiko.PKey:
    """Of a kind that settings accept; `doubt_about` has warned of others."""
    for kind in (paramiko.Ed25519Key, paramiko.RSAKey):
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
        return key
    raise paramiko.SSHException("the private key is of no kind that can be read here")
