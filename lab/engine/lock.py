"""One engine run at a time on a state directory, and no run while a dead one's children still work.

The lock is an open file that the engine and its plugins inherit: it is free when the last of them has ended,
however that came about. Pulumi's own lock files outlive their owner; whoever holds this lock may remove them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.engine.context import EngineContext
from lab.errors import LabError

# A killed engine's plugins end what they have begun; see lab.providers.plugin.server.
DEADLINE_S = 25.0
POLL_S = 0.05


@contextmanager
def locked(context: EngineContext) -> Iterator[int]:
    """Hold the lock; gives the file descriptor to be inherited."""
    context.directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(context.directory / "engine.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(context, descriptor)
        shutil.rmtree(context.directory / "state" / ".pulumi" / "locks", ignore_errors=True)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(context: EngineContext, descriptor: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise LabError(
                    f"another run of the engine works in {context.directory}",
                    hint="wait until it has ended, or end it with Ctrl-C where it runs",
                ) from error
            time.sleep(POLL_S)
        else:
            return
