"""The daemon's unix socket: one thread per connection, one call per connection."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.daemon.client import PROTOCOL, other_version, read_line, send
from lab.errors import LabError

log = logging.getLogger(__name__)
Json = Any
PUMP_BYTES = 256 * 1024


class Call:
    """What an operation may do besides returning its answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def event(self, event: Json) -> None:
        """Tell the caller about progress."""
        with self._lock:
            send(self._connection, {"event": event})

    def fileno(self) -> int:
        """For select: readable means that the caller is gone (it never sends a second line)."""
        return self._connection.fileno()

    def gone(self) -> bool:
        """Whether the caller closed its end."""
        readable, _, _ = select.select([self._connection], [], [], 0)
        return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)


Operation = Callable[[Call, Mapping[str, Json]], Json]
Connect = Callable[[str, int], socket.socket]


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves `operations` by name, and `connect` as a byte stream."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, name: str, operations: Mapping[str, Operation], connect: Connect) -> None:
        path.unlink(missing_ok=True)
        self.name = name
        self.operations = operations
        self.connect = connect
        super().__init__(str(path), Handler)
        path.chmod(0o600)


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    server: ControlServer
    request: socket.socket

    def handle(self) -> None:
        """Read the question, answer it, or become a stream."""
        try:
            line = read_line(self.request)
        except LabError:
            return  # somebody looked whether the socket is there
        try:
            message = json.loads(line)
            if message["op"] != "ping" and message.get("version") != PROTOCOL:
                raise other_version(self.server.name)
            if message["op"] == "connect":
                self._stream(message)
            else:
                operation = self.server.operations[message["op"]]
                send(self.request, {"ok": operation(Call(self.request), message)})
        except (BrokenPipeError, ConnectionResetError):
            log.info("the caller of %s is gone", line[:200])
        except LabError as error:
            self._fail({"error": error.message, "hint": error.hint})
        except Exception as error:
            log.exception("%s failed", line[:200])
            self._fail({"error": f"the daemon failed: {error!r}", "hint": "its log has the traceback"})

    def _fail(self, message: Mapping[str, str]) -> None:
        try:
            send(self.request, message)
        except (BrokenPipeError, ConnectionResetError):
            log.info("nobody is left to hear: %s", message["error"])

    def _stream(self, message: Mapping[str, Json]) -> None:
        with self.server.connect(message["host"], int(message["port"])) as far:
            send(self.request, {"ok": None})
            pump(self.request, far)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until both have closed; a half-closed direction leaves the other running."""
    peer = {one: other, other: one}
    reading = {one, other}
    while reading:
        readable, _, _ = select.select(list(reading), [], [])
        for source in readable:
            try:
                data = source.recv(PUMP_BYTES)
                if data:
                    peer[source].sendall(data)
                    continue
                peer[source].shutdown(socket.SHUT_WR)
            except OSError as error:
                log.debug("a stream ended early: %s", os.strerror(error.errno or 0))
                return
            reading.discard(source)
