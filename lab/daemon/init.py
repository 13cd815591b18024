"""PID 1 of a lab's namespaces: starts the service, reaps orphans, ends when the service ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType


def private_run_directory() -> None:
    """Give this mount namespace its own /run (named network namespaces, iptables' lock) and /proc."""
    for command in (
        ["mount", "-t", "tmpfs", "-o", "mode=755", "lab-run", "/run"],
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)


def main(argv: list[str]) -> int:
    """Run `lab.daemon.service` with `argv` as the only child that matters."""
    private_run_directory()
    service = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "lab.daemon.service", *argv])

    def forward(signum: int, _frame: FrameType | None) -> None:
        os.kill(service, signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, forward)
    while True:
        pid, status = os.wait()
        if pid == service:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
