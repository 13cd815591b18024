"""QMP for threads: qemu.qmp's asyncio client on one loop that all machines of this process share."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import socket
import threading
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from qemu.qmp import ExecuteError, QMPClient, QMPError

from lab.errors import LabError

ANSWER_S = 10.0
ASK_AGAIN_S = 3.0
Json = Any


class MachineError(LabError):
    """A machine that does not do what it is told."""


class Qmp:
    """The control connection of one QEMU. Every method may be called from any thread."""

    def __init__(self, name: str, connection: socket.socket) -> None:
        self._name = name
        self._client = QMPClient(name)
        self._run(self._client.connect(connection), ANSWER_S, "the first connection")

    def execute(self, command: str, arguments: Mapping[str, Json] | None = None) -> Json:
        """What QEMU returns."""
        return self._run(self._client.execute(command, arguments), ANSWER_S, command)

    def pass_fd(self, name: str, fd: int) -> None:
        """Give QEMU a copy of a file descriptor, under a name that later commands use."""

        async def send() -> None:
            self._client.send_fd_scm(fd)
            await self._client.execute("getfd", {"fdname": name})

        self._run(send(), ANSWER_S, "getfd")

    def remove_device(self, device: str, deadline_s: float) -> None:
        """Ask the guest to release a device; returns when it has, TimeoutError if it does not."""

        async def remove() -> None:
            deadline = time.monotonic() + deadline_s
            with self._client.listener("DEVICE_DELETED") as events:
                await self._client.execute("device_del", {"id": device})
                while True:
                    try:
                        event = await asyncio.wait_for(events.get(), ASK_AGAIN_S)
                    except TimeoutError:
                        if time.monotonic() > deadline:
                            raise
                        # A guest that boots misses the request; while one is at it, QEMU refuses the next.
                        with contextlib.suppress(ExecuteError):
                            await self._client.execute("device_del", {"id": device})
                        continue
                    data: Any = event["data"]
                    if data.get("device") == device:
                        return

        self._run(remove(), deadline_s + ASK_AGAIN_S + ANSWER_S, f"device_del {device}")

    def close(self) -> None:
        """End the connection; QEMU may be gone already."""

        async def disconnect() -> None:
            try:
                await self._client.disconnect()
            except (QMPError, EOFError, OSError):
                return  # it ended before we did

        self._run(disconnect(), ANSWER_S, "close")

    def _run(self, work: Coroutine[Any, Any, Json], deadline_s: float, what: str) -> Json:
        future = asyncio.run_coroutine_threadsafe(work, loop())
        try:
            return future.result(deadline_s)
        except concurrent.futures.TimeoutError as error:
            if future.done():
                raise
            future.cancel()
            raise MachineError(
                f"{self._name} did not answer {what} in {deadline_s:g} s",
                hint="if it hangs, `lab fault resume` wakes it",
            ) from error
        except ExecuteError as error:
            raise MachineError(f"{self._name}: QEMU refused {what}: {error}", hint="see its log") from error
        except (QMPError, EOFError, OSError) as error:
            raise MachineError(
                f"{self._name} is gone: {what}: {error!r}", hint="see its console (`lab logs`)"
            ) from error


_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []
os.register_at_fork(after_in_child=_loops.clear)  # the thread is not copied


def loop() -> asyncio.AbstractEventLoop:
    """Runs in a thread of its own for as long as the process does."""
    with _lock:
        if not _loops:
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[0].run_forever, name="qmp", daemon=True).start()
        return _loops[0]
