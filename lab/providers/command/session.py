"""One command on one channel: input, output as it comes, and what its failure says."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from lab.providers.plugin.errors import ProviderError

CHUNK_BYTES = 32 * 1024
SHOWN_CHARACTERS = 8_000  # of a failed command's output: its end
OnLine = Callable[[str, str], None]


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


def run(
    channel: paramiko.Channel,
    command: str,
    *,
    stdin: str,
    environment: Mapping[str, str],
    on_line: OnLine,
) -> Done:
    """Run to the end. Raises ProviderError with its output if the exit status is not 0."""
    with channel:
        for name, value in environment.items():
            _set_environment(channel, name, value)
        try:
            channel.exec_command(command)
        except paramiko.SSHException as error:
            raise ProviderError(f"the host does not run {command!r}: {error}") from error
        both: list[str] = []
        streams = [
            _Stream("stdout", channel.recv, both, on_line),
            _Stream("stderr", channel.recv_stderr, both, on_line),
        ]
        writer = threading.Thread(target=_feed, args=(channel, stdin.encode()), daemon=True)
        for thread in (writer, *streams):
            thread.start()
        for stream in streams:
            stream.join()
        status = channel.recv_exit_status()
    if status == 0:
        return Done(streams[0].text, streams[1].text)
    how = f"exit status {status}" if status > 0 else "it ended without an exit status: was the host lost?"
    raise ProviderError(f"{command!r} failed ({how}):\n{''.join(both)[-SHOWN_CHARACTERS:].rstrip()}")


class _Stream(threading.Thread):
    """Reads one of the two, keeps it, and hands on whole lines."""

    def __init__(self, name: str, receive: Callable[[int], bytes], both: list[str], on_line: OnLine) -> None:
        super().__init__(name=name, daemon=True)
        self._receive, self._both, self._on_line = receive, both, on_line
        self.text = ""

    def run(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        rest = ""
        parts: list[str] = []
        while chunk := self._receive(CHUNK_BYTES):
            text = decode(chunk)
            parts.append(text)
            self._both.append(text)
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self._on_line(self.name, line)
        if rest:
            self._on_line(self.name, rest)
        self.text = "".join(parts)


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except (OSError, EOFError):
        return  # the command ended without reading all of it, which is its right, or the host is lost


def _set_environment(channel: paramiko.Channel, name: str, value: str) -> None:
    """Ask for a variable, and insist on the answer: paramiko's own method lets sshd ignore it."""
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("env")
    message.add_boolean(True)
    message.add_string(name)
    message.add_string(value)
    inner: Any = channel  # waiting for the answer is no part of its public interface
    inner._event_pending()
    inner.transport._send_user_message(message)
    try:
        inner._wait_for_event()
    except paramiko.SSHException as error:
        raise ProviderError(
            f"the host's sshd refuses the environment variable {name}: its AcceptEnv must name it. Pass values by "
            "stdin, and set addPreviousOutputInEnv to false"
        ) from error
