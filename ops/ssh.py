"""Commands on hosts, each with a deadline: a host that hangs in the middle of an answer holds nobody up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from lab.ssh import deadline
from ops.answer import MAX_ANSWER_BYTES, one_line, plain
from ops.errors import OpsError

CONNECT_DEADLINE_S = 10.0
COMMAND_DEADLINE_S = 20.0
_KNOWN_HOSTS = threading.Lock()
REMOTE = Path(__file__).parent / "remote"  # what is run on hosts, as real files
Stream = Any  # a socket or a paramiko channel
# What it says there is said by its exceptions, too; without a handler Python prints it as the host sent it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who logs in, by which keys, and where the keys of hosts are remembered (by instance id)."""

    user: str
    key_file: Path | None = None  # None: the agent's keys and OpenSSH's usual files
    known_hosts: Path | None = None  # None: the stream cannot end anywhere else


@dataclass(frozen=True)
class Done:
    """A command that ended, and what it said: plain text, which cannot steer a terminal."""

    status: int
    out: str
    err: str


class _Remembering(paramiko.AutoAddPolicy):
    """Adds to a file that other sessions read and write at the same time: paramiko reads it, and writes it anew."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """At the first meeting."""
        with _KNOWN_HOSTS:
            super().missing_host_key(client, hostname, key)


def connect(stream: Stream, host_id: str, login: Login) -> paramiko.SSHClient:
    """A session over a stream that leads to a host's sshd. A host is believed at the first meeting, as by OpenSSH's
    accept-new, and then known by its instance id: whoever has its address later is another host.
    """
    ssh = paramiko.SSHClient()
    if login.known_hosts is not None:
        login.known_hosts.parent.mkdir(parents=True, exist_ok=True)
        login.known_hosts.touch(mode=0o600)
        with _KNOWN_HOSTS:
            ssh.load_host_keys(str(login.known_hosts))
    ssh.set_missing_host_key_policy(_Remembering())  # at the first meeting only, see above
    own = login.key_file is not None
    try:
        ssh.connect(
            host_id, username=login.user, sock=stream, key_filename=str(login.key_file) if own else None,
            look_for_keys=not own, allow_agent=not own,
            timeout=CONNECT_DEADLINE_S, banner_timeout=CONNECT_DEADLINE_S, auth_timeout=CONNECT_DEADLINE_S,
        )  # fmt: skip
    except paramiko.BadHostKeyException as error:
        stream.close()
        raise OpsError(
            f"{host_id} shows another host key than before",
            hint=f"somebody may stand in between; if you know better, remove it from {login.known_hosts}",
        ) from error
    except Exception as error:  # paramiko passes on whatever its reader met in what the host sent
        stream.close()
        raise OpsError(
            f"nobody may log in: {one_line(str(error))}", hint="is it the key of access.public_key?"
        ) from error
    return ssh


def run(
    ssh: paramiko.SSHClient, line: str, *, stdin: bytes = b"", deadline_s: float = COMMAND_DEADLINE_S
) -> Done:
    """Run a shell line to its end. OpsError when the session ends first, or time does, or for a very long answer."""
    with deadline(ssh, deadline_s) as is_over:
        try:
            channel = open_command(ssh, line)
            channel.sendall(stdin)
            channel.shutdown_write()
            out = all_of(channel.recv)
            err = all_of(channel.recv_stderr)
            status = channel.recv_exit_status()
        except OpsError:
            raise
        except Exception as error:  # likewise
            reason = (
                f"no answer in {deadline_s:g} s"
                if is_over()
                else f"the session ended: {one_line(str(error))}"
            )
            raise OpsError(reason, hint="does the host still run?") from error
    if status == -1:
        reason = (
            f"no answer in {deadline_s:g} s" if is_over() else "the session ended in the middle of a command"
        )
        raise OpsError(reason, hint="does the host still run?")
    return Done(status, plain(out.decode(errors="replace")), plain(err.decode(errors="replace")))


def all_of(receive: Callable[[int], bytes], most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """What comes until the end; OpsError as soon as it is more than any command of ours says."""
    parts, size = [], 0
    while part := receive(1 << 16):
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise OpsError(
                f"its answer is longer than {most_bytes / (1 << 20):g} MiB", hint="log in there and look"
            )
    return b"".join(parts)


def open_command(ssh: paramiko.SSHClient, line: str) -> paramiko.Channel:
    """Start a shell line on a new channel."""
    transport = ssh.get_transport()
    if transport is None:
        raise paramiko.SSHException("the session has ended")
    channel = transport.open_session(timeout=CONNECT_DEADLINE_S)
    channel.exec_command(line)
    return channel


class Sessions:
    """One session per host, kept, and made anew when it has ended. For any number of threads."""

    def __init__(self, log_in: Callable[[str], paramiko.SSHClient]) -> None:
        self._log_in = log_in
        self._sessions: dict[str, paramiko.SSHClient] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def run(
        self, host: str, line: str, *, stdin: bytes = b"", deadline_s: float = COMMAND_DEADLINE_S
    ) -> Done:
        """As `ssh.run`; an error names the host."""
        try:
            return run(self.session(host), line, stdin=stdin, deadline_s=deadline_s)
        except OpsError as error:
            self.forget(host)
            raise OpsError(f"{host}: {error.message.removeprefix(f'{host} ')}", hint=error.hint) from error

    def succeed(
        self, host: str, line: str, *, stdin: bytes = b"", deadline_s: float = COMMAND_DEADLINE_S
    ) -> str:
        """What a shell line printed that must succeed."""
        done = self.run(host, line, stdin=stdin, deadline_s=deadline_s)
        if done.status:
            said = one_line(done.err or done.out) or f"exit status {done.status}"
            raise OpsError(f"{host}: {line}: {said}", hint="log in there and look")
        return done.out

    def session(self, host: str) -> paramiko.SSHClient:
        """The session with a host."""
        with self._lock:
            lock = self._locks.setdefault(host, threading.Lock())
        with lock:
            session = self._sessions.get(host)
            transport = session.get_transport() if session is not None else None
            if session is None or transport is None or not transport.is_active():
                session = self._sessions[host] = self._log_in(host)
            return session

    def forget(self, host: str) -> None:
        """Drop the session with a host that was restarted."""
        session = self._sessions.pop(host, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """End all."""
        for host in list(self._sessions):
            self.forget(host)


def until(what: str, holds: Callable[[], bool], deadline_s: float, poll_s: float = 0.2) -> None:
    """Poll until it holds; OpsError says what was waited for in vain."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() >= end:
            raise OpsError(
                f"waited {deadline_s:g} s in vain for {what}", hint="`python -m ops status` says more"
            )
        time.sleep(poll_s)
