"""A script on a host by SSH, from the machine that runs the program: for what has to happen ahead of a resource."""

from __future__ import annotations

import io
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import paramiko

SSH_PORT = 22
MOST_SAID_BYTES = 65_536
_CONNECT_S = 15
_NO_STATUS = -1  # paramiko's


class NoWayInError(Exception):
    """Nobody answers there, or lets us in: nothing was run."""


class RefusedError(NoWayInError):
    """Somebody answers there, and does not let us in: nothing was run, on a host that lives."""


class NoAnswerError(Exception):
    """It let us in, and did not come to an end. What was to be run may have been, may be running, or not."""


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
    """How a script ended, and what it said: printable, and no more than the last 64 KiB."""

    status: int
    said: str


def run_script(way: WayIn, script: str, *, within_s: float) -> Done:
    """Run it as root, like a Command does. Raises `NoWayInError`, of which `RefusedError` is one, or `NoAnswerError` if
    it is not done so long after the log-in, whatever it says meanwhile.
    """
    said, status = bytearray(), _NO_STATUS
    with _logged_in(way) as transport, _hung_up_after(within_s, transport) as is_late:
        lost = "the connection was lost"
        try:
            channel = transport.open_session()
            channel.exec_command("sudo bash -s 2>&1")
            with suppress(OSError):  # one that ends before it took all of it says why
                channel.sendall(script.encode())
                channel.shutdown_write()
            while data := channel.recv(MOST_SAID_BYTES):
                said += data
                del said[:-MOST_SAID_BYTES]
            status = channel.recv_exit_status()
        except Exception as error:  # whatever paramiko met in what the host sent; no status then
            lost = f"{lost} ({printable(str(error))})" if str(error) else lost
        text = printable(said.decode(errors="replace")).strip()
        if status == _NO_STATUS:
            why = f"not done within {within_s:g} s" if is_late.is_set() else lost
            raise NoAnswerError(f"{way.host}: {why}; it said: {text or 'nothing'}")
        return Done(status=status, said=text)


def printable(text: str) -> str:
    """Without what would move a terminal's cursor, colour it, or turn its text around; lines remain."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf"))


@contextmanager
def _hung_up_after(within_s: float, transport: paramiko.Transport) -> Iterator[threading.Event]:
    """End all that waits for the other side, and most of paramiko does so without a limit; tells whether it did."""
    is_late = threading.Event()

    def hang_up() -> None:
        is_late.set()
        with suppress(
            OSError, EOFError, paramiko.SSHException
        ):  # the bastion is gone first: it cannot be told
            transport.close()

    timer = threading.Timer(within_s, hang_up)
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


@contextmanager
def _logged_in(way: WayIn) -> Iterator[paramiko.Transport]:
    """Hosts are known by their address alone, as to the command provider."""
    with paramiko.SSHClient() as bastion, paramiko.SSHClient() as ssh:
        try:
            sock = None
            if way.via is not None:
                sock = _connect(bastion, way, way.via).open_channel(
                    "direct-tcpip", (way.host, way.port), ("127.0.0.1", 0), timeout=_CONNECT_S
                )
            ours = _connect(ssh, way, way.host, sock)
        except RefusedError:
            raise
        except Exception as error:  # paramiko passes on whatever its reader met in what the host sent
            raise NoWayInError(f"{way.host}: {printable(str(error))}") from error
        yield ours


def _connect(
    ssh: paramiko.SSHClient, way: WayIn, host: str, sock: paramiko.Channel | None = None
) -> paramiko.Transport:
    ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    try:
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
    except paramiko.AuthenticationException as error:
        raise RefusedError(f"{way.user}@{host}: {printable(str(error))}") from error
    transport = ssh.get_transport()
    if transport is None:
        raise paramiko.SSHException(f"{host} hung up")
    return transport


def _key(text: str) -> paramiko.PKey:
    """Of a kind that settings accept; `doubt_about` has warned of others."""
    for kind in (paramiko.Ed25519Key, paramiko.RSAKey):
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
        return key
    raise paramiko.SSHException("the private key is of no kind that can be read here")
