"""The Pulumi engine as a child of the daemon: it sees the lab's internet, and ends with the lab.

The program that it runs is that of the caller's checkout, and so is the Python: the daemon's own checkout may differ,
or be gone.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

from lab.daemon.control import Call
from lab.errors import LabError
from lab.paths import LabPaths

log = logging.getLogger(__name__)
Json = Any
CANCEL_DEADLINE_S = 60.0  # the engine finishes what it has begun; a dial to a dead host is bounded by itself


class EngineCall:
    """Runs one engine operation at a time; its caller's end cancels it, in the engine's own clean way."""

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._action = ""
        self._cancelling = threading.Event()

    def current(self) -> str | None:
        """What the engine is at, or None."""
        return self._action if self._lock.locked() else None

    def cancel(self) -> None:
        """Ask a running operation to stop and save its state: its standard input ends."""
        self._cancelling.set()
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.closed:
            process.stdin.close()

    def run(self, call: Call, message: Mapping[str, Json]) -> Json:
        """Run `message["request"]` (see lab.daemon.engine_child) and hand its events to the caller."""
        if not self._lock.acquire(blocking=False) and not self._free_soon(call):
            raise LabError(
                f"the lab {self._paths.name!r} is busy with {self._action!r}",
                hint="wait until it has ended, or end it with Ctrl-C where it runs",
            )
        try:
            self._action = str(message["request"]["action"])
            return self._run(call, message)
        finally:
            self._process = None
            self._cancelling.clear()
            self._lock.release()

    def _free_soon(self, call: Call) -> bool:
        """Wait for a run that was interrupted to come to its end; holds the lock if true."""
        if not self._cancelling.is_set():
            return False
        message = "an interrupted run is still ending what it had begun"
        call.event({"phase": "message", "name": "", "severity": "info", "message": message})
        return self._lock.acquire(timeout=2 * CANCEL_DEADLINE_S)

    def _run(self, call: Call, message: Mapping[str, Json]) -> Json:
        with start_child(message) as process:
            self._process = process
            assert process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(json.dumps({"name": self._paths.name, **message["request"]}).encode() + b"\n")
            process.stdin.flush()
            threading.Thread(target=self._watch, args=(call, process), daemon=True).start()
            for line in process.stdout:
                answer = json.loads(line)
                if "event" in answer:
                    self._tell(call, answer["event"])
                elif "error" in answer:
                    raise LabError(answer["error"], hint=answer["hint"])
                else:
                    return answer["ok"]
        raise LabError(
            f"the engine ended without an answer (status {process.returncode})",
            hint=f"see {self._paths.daemon_log}",
        )

    def _tell(self, call: Call, event: Json) -> None:
        try:
            call.event(event)
        except OSError:
            self.cancel()  # nobody listens any more; the engine still saves what it did

    def _watch(self, call: Call, process: subprocess.Popen[bytes]) -> None:
        """Cancel as soon as the caller is gone."""
        ended = os.pidfd_open(process.pid)
        try:
            readable, _, _ = select.select([call.fileno(), ended], [], [])
            if ended in readable:
                return
            log.info("the caller is gone: cancelling %s", self._action)
            self.cancel()
            if not select.select([ended], [], [], CANCEL_DEADLINE_S)[0]:
                log.error("the engine did not stop in %s s: killing it", CANCEL_DEADLINE_S)
                os.killpg(process.pid, signal.SIGKILL)
        finally:
            os.close(ended)


def start_child(message: Mapping[str, Json]) -> subprocess.Popen[bytes]:
    """lab.daemon.engine_child of the checkout `message["project"]`, run by the Python `message["python"]`."""
    try:
        return subprocess.Popen(
            [message["python"], "-m", "lab.daemon.engine_child"],
            cwd=message["project"],
            # With bytecode, whatever the caller's own Python does: starting is most of a short run.
            env={**os.environ, **message.get("environment", {}), "PYTHONDONTWRITEBYTECODE": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise LabError(
            f"the lab's daemon cannot use {error.filename}: {error.strerror}",
            hint="it sees another /run than you do, and only what it may read: run this from a checkout that is "
            "neither there nor in a file system that was mounted after `lab up`",
        ) from error
