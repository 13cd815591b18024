"""Talk to a lab's daemon over its unix socket: one JSON line to ask, JSON lines back.

    → {"op": "status", "version": 2}
    ← {"event": …}            any number of them, for calls that take their time
    ← {"ok": …}  or  {"error": "…", "hint": "…"}

`connect` is the exception: after its `ok` the connection is a byte stream to a port of a host.

Both sides may be of different checkouts. Each tells its PROTOCOL, and the daemon refuses every call of another one
but `ping`, which it answers with its own.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from lab.errors import LabError
from lab.paths import LabPaths

Json = Any  # what json.loads gives; shapes are in the service's docstrings
PROTOCOL = 3  # to be raised when a call's message or answer changes


class Client:
    """One lab, as seen from outside."""

    def __init__(self, paths: LabPaths) -> None:
        self.paths = paths

    def answers(self) -> bool:
        """Whether the daemon is there and serves."""
        try:
            self.call("ping")
        except LabError:
            return False
        return True

    def require_same_protocol(self) -> None:
        """Raises the LabError with the way out where it is not; a daemon that is older does not look itself."""
        answer = self.call("ping")
        theirs = answer.get("version") if isinstance(answer, dict) else None
        if theirs != PROTOCOL:
            raise other_version(self.paths.name)

    def call(self, op: str, *, on_event: Callable[[Json], None] | None = None, **arguments: Json) -> Json:
        """Ask, hand events on, return the answer; raises the LabError that the daemon answered with.

        Ending this process, or an exception in `on_event`, closes the connection; the daemon then cancels the call.
        """
        with self._open() as connection:
            send(connection, {"op": op, "version": PROTOCOL, **arguments})
            with connection.makefile("rb") as lines:
                for line in lines:
                    message = json.loads(line)
                    if "event" in message:
                        if on_event is not None:
                            on_event(message["event"])
                        continue
                    return result(message)
        raise LabError(
            f"the daemon of the lab {self.paths.name!r} ended in the middle of {op!r}",
            hint=f"see {self.paths.daemon_log}; `lab down` cleans up",
        )

    def connect(self, host: str, port: int) -> socket.socket:
        """A stream to a TCP port of a host, from inside the lab, whatever its security groups say."""
        connection = self._open()
        try:
            send(connection, {"op": "connect", "version": PROTOCOL, "host": host, "port": port})
            result(json.loads(read_line(connection)))
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.paths.control_socket))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            raise not_running(self.paths) from error
        return connection


def not_running(paths: LabPaths) -> LabError:
    """No daemon: either none was started, or it died."""
    if paths.root.exists():
        return LabError(
            f"the daemon of the lab {paths.name!r} has stopped, and its machines with it",
            hint=f"`lab up` starts anew, `lab down` cleans up; the reason may stand in {paths.daemon_log}",
        )
    return LabError(f"no lab {paths.name!r} is up", hint="start it with `lab up` (`--name` chooses another)")


def other_version(name: str) -> LabError:
    """The daemon is from another version of the lab than who calls it."""
    return LabError(
        f"the daemon of the lab {name!r} is of another version of the lab than this checkout",
        hint="`lab down`, then `lab up` starts one of this version; or use the checkout that it is from",
    )


def send(connection: socket.socket, message: Mapping[str, Json]) -> None:
    """One JSON line."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def read_line(connection: socket.socket) -> bytes:
    """One line and not a byte more: what follows it belongs to somebody else."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise LabError("the lab's daemon closed the connection", hint="see its log")
        line += byte
    return bytes(line)


def result(message: Mapping[str, Json]) -> Json:
    """The answer, or the error it stands for."""
    if "error" in message:
        raise LabError(message["error"], hint=message.get("hint", ""))
    return message["ok"]
