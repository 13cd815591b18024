"""Who waits for a host is told what keeps it from answering."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.daemon.client import Client
from lab.errors import LabError

POLL_S = 2.0


def problem_of(client: Client, host: str) -> str:
    """What the daemon knows, with the way out; empty if nothing. Also says what keeps the daemon from answering."""
    try:
        state = client.call("host", host=host)
    except LabError as error:
        return str(error)
    problem = str(state["machine"]["problem"])
    return f"{state['name']} {problem}" if problem else ""


@contextmanager
def told_of_problems(problem: Callable[[], str], *, poll_s: float = POLL_S) -> Iterator[None]:
    """Look now and then, and say on standard error what is new. Waiting goes on: a host may wake up again."""
    ended = threading.Event()

    def look() -> None:
        told = ""
        while not ended.wait(poll_s):
            found = problem()
            if found and found != told:
                print(f"lab: {found}", file=sys.stderr, flush=True)
            told = found

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
