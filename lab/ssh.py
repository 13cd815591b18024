"""Commands on a lab's hosts, through the daemon's stream and so whatever the network between is like.

The lab's own key logs in as root and as the image's user on every guest, also on those that other clients started;
it exists beside the customer's key pair, as a serial console does.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import paramiko

from lab.daemon.client import Client
from lab.errors import LabError

SSH_PORT = 22
CHUNK_BYTES = 64 * 1024
KEEPALIVE_S = 5
COMMAND_DEADLINE_S = 300.0
UNKNOWN_SIGNAL = 127  # 255 in all, as ssh has it for every signal


def log_in(client: Client, host: str, user: str = "root") -> paramiko.SSHClient:
    """An SSH session on a host of the lab."""
    ssh = paramiko.SSHClient()
    # The stream ends at this very machine's tap: there is nobody in between to impersonate it.
    ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507
    stream = client.connect(host, SSH_PORT)
    try:
        ssh.connect(
            host, username=user, key_filename=str(client.paths.ssh_key), sock=stream,
            look_for_keys=False, allow_agent=False, banner_timeout=30, auth_timeout=30,
        )  # fmt: skip
    except Exception as error:  # paramiko passes on whatever its reader met in what the host sent
        stream.close()
        raise LabError(
            f"{host} does not let anybody log in: {error}",
            hint=f"`lab status` shows its state, `lab logs {host}` its console",
        ) from error
    # A guest that was booted meanwhile knows nothing of us, and only says so when it is sent something.
    if transport := ssh.get_transport():
        transport.set_keepalive(KEEPALIVE_S)
    return ssh


def quote(command: Sequence[str]) -> str:
    """An argv as one shell line: a single word with shell syntax in it is taken as the line itself."""
    if len(command) == 1:
        return command[0]
    return shlex.join(command)


@contextmanager
def deadline(ssh: paramiko.SSHClient, seconds: float) -> Iterator[Callable[[], bool]]:
    """End the session once the time is over, which wakes whatever waits for it; yields whether that happened.

    paramiko itself waits for some answers for ever.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        ssh.close()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over.is_set
    finally:
        timer.cancel()


def run(
    ssh: paramiko.SSHClient,
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    deadline_s: float = COMMAND_DEADLINE_S,
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end and collect; the exit status is the command's. LabError, and no session, once time is over."""
    with deadline(ssh, deadline_s) as is_over:
        try:
            done = run_to_the_end(ssh, command, stdin)
        except (paramiko.SSHException, OSError, EOFError):
            if not is_over():
                raise
    if is_over():
        raise LabError(f"no answer in {deadline_s:g} s to: {quote(command)}", hint="does the host still run?")
    return done


def run_to_the_end(
    ssh: paramiko.SSHClient, command: Sequence[str], stdin: bytes
) -> subprocess.CompletedProcess[bytes]:
    """However long that is."""
    channel = open_command(ssh, command)
    err: list[bytes] = []
    reader = threading.Thread(target=lambda: err.extend(iter(lambda: channel.recv_stderr(CHUNK_BYTES), b"")))
    reader.start()
    writer = threading.Thread(target=feed, args=(channel, stdin))
    writer.start()
    out = b"".join(iter(lambda: channel.recv(CHUNK_BYTES), b""))
    reader.join()
    writer.join()
    return subprocess.CompletedProcess(list(command), channel.recv_exit_status(), out, b"".join(err))


def open_command(ssh: paramiko.SSHClient, command: Sequence[str]) -> paramiko.Channel:
    """Start a command on a new channel."""
    transport = ssh.get_transport()
    if transport is None:
        raise LabError("the SSH session has ended", hint="log in again")
    hear_of_signals(transport)
    channel = transport.open_session()
    channel.exec_command(quote(command))
    return channel


def hear_of_signals(transport: paramiko.Transport) -> None:
    """Give commands that a signal has ended the status that shells give them, 128 + n; paramiko has none for them."""
    by_kind = transport._channel_handler_table  # type: ignore[attr-defined] # it has no public way
    others = by_kind[paramiko.common.MSG_CHANNEL_REQUEST]

    def request(channel: paramiko.Channel, message: paramiko.Message) -> None:
        body = paramiko.Message(message.get_remainder())
        if body.get_text() != "exit-signal":
            others(channel, message)
            return
        body.get_boolean()  # whether a reply is wanted: never, says RFC 4254, 6.10
        name = f"SIG{body.get_text()}"
        channel.exit_status = 128 + signal.Signals.__members__.get(name, UNKNOWN_SIGNAL)
        channel.status_event.set()

    if getattr(others, "__name__", "") != request.__name__:
        own = {**by_kind, paramiko.common.MSG_CHANNEL_REQUEST: request}
        transport._channel_handler_table = own  # type: ignore[attr-defined]


def feed(channel: paramiko.Channel, data: bytes) -> None:
    """Write all of it, then close the command's standard input; a command that ended early does not mind."""
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except OSError:
        return


def passthrough(
    ssh: paramiko.SSHClient, command: Sequence[str], *, stdin: BinaryIO | None, stdout: BinaryIO
) -> int:
    """Run with these streams and this process's stderr; returns the exit status.

    Without `stdin` the command's stays open and silent for as long as this process listens. What interrupts us
    interrupts the command.
    """
    channel = open_command(ssh, command)
    try:
        if stdin is not None:
            threading.Thread(target=feed_stdin, args=(channel, stdin), daemon=True).start()
        errors = threading.Thread(target=drain, args=(channel.recv_stderr, sys.stderr.buffer), daemon=True)
        errors.start()
        drain(channel.recv, stdout)
        errors.join()
        return channel.recv_exit_status()
    except KeyboardInterrupt:
        interrupt(channel)
        raise


def interrupt(channel: paramiko.Channel) -> None:
    """SIGINT to the command and its children, as a terminal's Ctrl-C: RFC 4254, 6.9, which paramiko lacks."""
    message = paramiko.Message()
    message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
    message.add_int(channel.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)  # no reply
    message.add_string("INT")
    transport = channel.get_transport()
    with suppress(OSError, EOFError):  # the command, or its host, has ended: nothing is left to interrupt
        transport._send_user_message(message)  # type: ignore[attr-defined] # it has no public way


def feed_stdin(channel: paramiko.Channel, source: BinaryIO) -> None:
    """Copy standard input as it comes, then say that it ended."""
    try:
        while data := os.read(source.fileno(), CHUNK_BYTES):
            channel.sendall(data)
        channel.shutdown_write()
    except (OSError, ValueError):
        return  # the command ended first


def drain(receive: Callable[[int], bytes], target: BinaryIO) -> None:
    """Copy what a channel gives until it ends."""
    while data := receive(CHUNK_BYTES):
        target.write(data)
        target.flush()


def bridge_stdio(stream: socket.socket) -> None:
    """Be ssh's ProxyCommand: standard input to the stream, the stream to standard output."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sources: list[Any] = [stdin, stream]
    while sources:
        readable, _, _ = select.select(sources, [], [])
        if stdin in readable:
            data = os.read(stdin.fileno(), CHUNK_BYTES)
            if data:
                stream.sendall(data)
            else:
                sources.remove(stdin)
                stream.shutdown(socket.SHUT_WR)
        if stream in readable:
            data = stream.recv(CHUNK_BYTES)
            if not data:
                return
            stdout.write(data)
            stdout.flush()
