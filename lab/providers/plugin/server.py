"""A provider as a plugin process: gRPC to the engine on a loopback port, which is all that goes to stdout.

The process ends with the engine that started it, but not in the middle of a call: what a call has begun in
the cloud, it also ends there, so that nothing appears after somebody has looked for what was left behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, TypeVar

import grpc

from lab.providers.plugin.provider import Provider
from lab.providers.plugin.servicer import Servicer

MAX_CALLS = 512  # more than the engine ever has under way; threads start as they are needed
MESSAGE_BYTES = 400 * 1024 * 1024  # the engine's own limit
LAST_CALLS_DEADLINE_S = 20.0

Answer = TypeVar("Answer")


def serve(make_provider: Callable[[EngineLog], Provider]) -> None:
    """Serve until the engine ends. `argv[1]` is the engine's address."""
    # How the engine asks its plugins to end (each has a process group of its own, so no terminal's Ctrl-C does).
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.default_int_handler)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    parent = os.pidfd_open(os.getppid())
    from pulumi.runtime.proto import (
        provider_pb2_grpc,
    )

    engine_log = EngineLog(sys.argv[1] if len(sys.argv) > 1 else "")
    servicer = Servicer(make_provider(engine_log))
    options = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=MAX_CALLS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    os.write(1, f"{port}\n".encode())
    with contextlib.suppress(KeyboardInterrupt):
        select.select([parent], [], [])
    _finish(servicer)


def _finish(servicer: Servicer) -> None:
    deadline = time.monotonic() + LAST_CALLS_DEADLINE_S
    servicer.provider.cancelled.set()
    servicer.wait_until_idle(deadline)
    os._exit(0)  # the engine is gone, nobody waits for the threads of the server


class EngineLog:
    """Lines that the engine shows beside the resource they belong to, while it is worked on."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._stub: Any = None

    def info(self, urn: str, line: str) -> None:
        """A line for the person who watches."""
        from pulumi.runtime.proto import engine_pb2

        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, urn=urn, message=line)
        try:
            self._connected().Log(request)
        except grpc.RpcError as error:
            logging.getLogger(__name__).warning("the engine does not take the line %r: %s", line, error)

    def _connected(self) -> Any:
        with self._lock:
            if self._stub is None:
                from pulumi.runtime.proto import engine_pb2_grpc

                channel = grpc.insecure_channel(self._address)
                self._stub = engine_pb2_grpc.EngineStub(channel)
            return self._stub
