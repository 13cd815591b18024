"""`lab logs`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import LabPaths

POLL_S = 0.2
CHUNK_BYTES = 64 * 1024


def print_log(paths: LabPaths, host: str, *, follow: bool) -> None:
    """Copy a console's log to standard output; with `follow` until interrupted."""
    log = paths.daemon_log if host == "daemon" else console_log(paths, host)
    if not log.exists():
        raise LabError(f"{log} does not exist yet", hint="`lab status` shows the hosts and their state")
    with log.open("rb") as stream:
        while True:
            data = stream.read(CHUNK_BYTES)
            if data:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            elif follow:
                time.sleep(POLL_S)  # there is no event for a file that grows without inotify
            else:
                return


def console_log(paths: LabPaths, host: str) -> Path:
    """Where a host's serial console goes."""
    state = Client(paths).call("host", host=host)
    return paths.machines / str(state["instance_id"]) / "console.log"
