"""A running QEMU: its process and its control connection."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from lab.errors import LabError
from lab.machine.command_line import Hardware, command
from lab.machine.qmp import MachineError, Qmp

POLL_S = 0.005
MIGRATE_S = 60.0
BOUND = ("setpriv", "--pdeathsig", "KILL")
IGNORE_SHARED = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}


class Qemu:
    """One process. It ends with `quit`, by a guest that powers itself off, or by a signal."""

    def __init__(
        self,
        hardware: Hardware,
        log: Path,
        *,
        paused: bool = False,
        incoming: bool = False,
        bound: bool = False,
        niceness: int = 0,
    ) -> None:
        """Start it; `bound` to the calling thread it ends with that, whatever ends it."""
        self.name = hardware.name
        self._log = log
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as output:
            argv = command(hardware, theirs.fileno(), paused=paused, incoming=incoming)
            argv = [*BOUND, *argv] if bound else argv
            argv = ["nice", f"--adjustment={niceness}", *argv] if niceness else argv
            try:
                # Its own process group: an interrupt from the terminal is for whoever controls it.
                self.process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                )
            except FileNotFoundError as error:
                ours.close()
                raise LabError(
                    "guests cannot be started: qemu-system-x86_64 missing",
                    hint="sudo apt-get install --no-install-recommends qemu-system-x86",
                ) from error
        try:
            self.qmp = Qmp(self.name, ours)
        except MachineError as error:
            words = self.last_words() if self.process.poll() is not None else error.message
            self.kill()
            raise MachineError(f"{self.name} did not start: {words}", hint=f"see {log}") from error

    def save(self, state: Path) -> None:
        """Write the state of all devices, without shared memory, and end."""
        self.qmp.execute("stop")
        self.qmp.execute("migrate-set-capabilities", IGNORE_SHARED)
        with state.open("wb") as file:
            self.qmp.pass_fd("state", file.fileno())
            self.qmp.execute("migrate", {"uri": "fd:state"})
            self._wait_for_migration(("completed",))
        self.qmp.execute("quit")
        self.process.wait()
        self.qmp.close()

    def restore(self, state: Path) -> None:
        """Read what `save` wrote; the machine is paused then."""
        self.qmp.execute("migrate-set-capabilities", IGNORE_SHARED)
        with state.open("rb") as file:
            self.qmp.pass_fd("state", file.fileno())
            self.qmp.execute("migrate-incoming", {"uri": "fd:state"})
            deadline = time.monotonic() + MIGRATE_S
            while self.qmp.execute("query-status")["status"] == "inmigrate":
                self._check(deadline, "restoring it from the template")
                time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL, and wait until the process is no more."""
        self.process.kill()
        self.process.wait()

    def resident_bytes(self) -> int:
        """Memory that the process holds now, pages shared with other guests included; 0 if it ended."""
        try:
            fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def last_words(self) -> str:
        """The last line of QEMU's log, for an error message."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self.process.poll()}"

    def _wait_for_migration(self, wanted: tuple[str, ...]) -> None:
        deadline = time.monotonic() + MIGRATE_S
        while (status := self.qmp.execute("query-migrate").get("status")) not in wanted:
            if status == "failed":
                raise MachineError(f"{self.name} could not be saved", hint=f"see {self._log}")
            self._check(deadline, "saving it")
            time.sleep(POLL_S)

    def _check(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise MachineError(f"{self.name}: {what} took more than {MIGRATE_S:g} s", hint=f"see {self._log}")
