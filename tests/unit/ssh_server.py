"""An SSH server on loopback that runs commands for real, for tests of what connects to hosts."""
# ruff: noqa: ARG002 - the methods and their arguments are paramiko's

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

USER = "admin"


def make_key() -> paramiko.PKey:
    """ECDSA: fast to make."""
    return paramiko.ECDSAKey.generate()


def private_text(key: paramiko.PKey, directory: Path) -> str:
    """A key in the form that settings have it."""
    file = directory / "key"
    key.write_private_key_file(str(file))
    return file.read_text()


@dataclass
class SshServer:
    """Believes one key, and takes environment variables named LC_*, as a stock sshd does."""

    accepts: paramiko.PKey
    host_key: paramiko.PKey = field(default_factory=make_key)
    connections: int = 0
    refuse_first: int = 0  # so many connections are hung up on before the server answers
    starts_commands: bool = True  # else nobody hears what becomes of one
    channels: int | None = None  # so many are opened; then it says goodbye, by what is no text
    forwarded: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def hang_up(self) -> None:
        """End every session, as a host does that is switched off."""
        for transport in self._open:
            transport.close()
        self._open.clear()

    def close(self) -> None:
        """Stop listening, and hang up."""
        self._listener.shutdown(socket.SHUT_RDWR)  # close() alone would leave accept() waiting
        self._thread.join()
        self._listener.close()
        self.hang_up()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections <= self.refuse_first:
                stream.close()
                continue
            transport = paramiko.Transport(stream)
            self._open.append(transport)
            session = _Session(self, transport)
            transport._channel_handler_table = {  # type: ignore[attr-defined]
                **transport._channel_handler_table,  # type: ignore[attr-defined]
                paramiko.common.MSG_CHANNEL_REQUEST: session.request,
            }
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, DiskSftp)
            try:
                transport.start_server(server=session)
            except (OSError, EOFError, paramiko.SSHException):  # the client does not like what it sees
                transport.close()


# A banner and a KEXINIT whose first list of names is no text (RFC 4253, 7.1: lengths, message, cookie, lists, padding).
NO_TEXT = b"SSH-2.0-x\r\n" + struct.pack("!IBB16sI2s4s", 28, 4, 20, b"", 2, b"\xff\xfe", b"")


class _Session(paramiko.ServerInterface):
    def __init__(self, server: SshServer, transport: paramiko.Transport) -> None:
        self._server, self._transport = server, transport
        self._environment: dict[int, dict[str, str]] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def request(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        """Also of a signal for the command, which paramiko's servers refuse."""
        if not self._server.starts_commands:
            return
        body = paramiko.Message(message.get_remainder())
        if body.get_text() != "signal":
            channel._handle_request(message)  # type: ignore[attr-defined]
            return
        body.get_boolean()  # whether a reply is wanted, which it must not be
        os.killpg(self._processes[channel.chanid].pid, signal.Signals[f"SIG{body.get_text()}"])

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == USER and key.get_base64() == self._server.accepts.get_base64()
        return paramiko.common.AUTH_SUCCESSFUL if good else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if self._server.channels is not None:
            self._server.channels -= 1
            if self._server.channels < 0:
                return self._say_no_text()
        return paramiko.common.OPEN_SUCCEEDED

    def _say_no_text(self) -> int:
        goodbye = paramiko.Message()
        goodbye.add_byte(bytes([paramiko.common.MSG_DISCONNECT]))
        goodbye.add_int(2)  # a protocol error (RFC 4253, 11.1)
        goodbye.add_string(b"\xff\xfe")
        goodbye.add_string(b"")
        self._transport._send_message(goodbye)  # type: ignore[attr-defined]
        return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        if not name.startswith(b"LC_"):
            return False
        self._environment.setdefault(channel.chanid, {})[name.decode()] = value.decode()
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        environment = {**os.environ, **self._environment.get(channel.chanid, {})}
        process = subprocess.Popen(
            # As sshd does: a run of the tests in the background of a script has SIGINT ignored, and passes that on.
            ["env", "--default-signal=INT", "sh", "-c", command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._processes[channel.chanid] = process
        threading.Thread(target=_run, args=(channel, process), daemon=True).start()
        return True

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        if self.check_channel_request("direct-tcpip", chanid) != paramiko.common.OPEN_SUCCEEDED:
            return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        self._server.forwarded.append(destination)
        threading.Thread(target=self._forward, args=(chanid, destination), daemon=True).start()
        return paramiko.common.OPEN_SUCCEEDED

    def _forward(self, chanid: int, destination: tuple[str, int]) -> None:
        channel = None
        while channel is None or channel.chanid != chanid:
            if not self._transport.is_active():
                return
            channel = self._transport.accept(10)
        with (
            suppress(EOFError),
            channel,
            socket.create_connection(destination) as stream,
        ):  # the client is gone
            back = threading.Thread(target=_pump, args=(channel, stream), daemon=True)
            back.start()
            _pump(stream, channel)
            back.join()


def _pump(source: socket.socket | paramiko.Channel, target: socket.socket | paramiko.Channel) -> None:
    """Until either side ends or is lost; then the other pump ends too."""
    with suppress(OSError):
        while data := source.recv(32768):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError, EOFError):
            end.shutdown(socket.SHUT_RDWR)


def _run(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    with process:
        assert process.stdin is not None
        readers = [
            threading.Thread(target=_copy, args=(process.stdout, channel.sendall)),
            threading.Thread(target=_copy, args=(process.stderr, channel.sendall_stderr)),
        ]
        for reader in readers:
            reader.start()
        with suppress(BrokenPipeError), process.stdin:  # leaves it closed, even if nobody took the rest
            while data := channel.recv(32768):
                process.stdin.write(data)
        for reader in readers:
            reader.join()
        with suppress(OSError, EOFError):  # the client is gone
            if process.wait() < 0:
                _send_exit_signal(channel, signal.Signals(-process.returncode).name.removeprefix("SIG"))
            else:
                channel.send_exit_status(process.returncode)
        channel.close()


def _send_exit_signal(channel: paramiko.Channel, name: str) -> None:
    """As RFC 4254, 6.10 has it."""
    message = paramiko.Message()
    message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string(name)
    message.add_boolean(False)  # no core was dumped
    message.add_string("")
    message.add_string("")
    channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]


def _copy(source: object, send: object) -> None:
    with suppress(OSError, EOFError):  # the client is gone
        while data := source.read1(32768):  # type: ignore[attr-defined]
            send(data)  # type: ignore[operator]


class DiskSftp(paramiko.SFTPServerInterface):
    """The real file system."""

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(Path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        try:
            Path(path).mkdir()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.common.AUTH_SUCCESSFUL  # 0, as SFTP_OK

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            file = os.fdopen(os.open(path, flags, 0o644), "wb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        handle.writefile = file  # type: ignore[attr-defined]
        handle.filename = path  # type: ignore[attr-defined]
        return handle
