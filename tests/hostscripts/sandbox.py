"""A host without a host: kernel namespaces of one's own, in which the scripts run for real.

Needs neither root nor a virtual machine, only unprivileged user namespaces. All of it goes with one process.

    root namespace of the sandbox: lo (and 169.254.169.254, where metadata.py answers) and what a test adds
    /run/root: the scripts' CAUSEWAY_ROOT, with the sandbox's own /proc, /sys and /run/netns
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.hostscripts.waiting import wait_until

Json = Any
HOSTSCRIPTS = Path(__file__).resolve().parents[2] / "hostscripts"
# Root needs no user namespace, which a kernel may refuse to give even to root.
USER = () if os.geteuid() == 0 else ("--user", "--map-root-user")
UNSHARE = ("unshare", *USER, "--mount", "--net", "--pid", "--fork", "--kill-child")
ENTER = ("-U", "--preserve-credentials") if USER else ()
PREPARE = """
set -euo pipefail
mount -t tmpfs run /run
mount -t sysfs sys /sys
mkdir -p /run/netns /run/root/opt/causeway /run/root/etc/causeway /run/root/run
ln -s /proc /run/root/proc
ln -s /sys /run/root/sys
ln -s /run/netns /run/root/run/netns
ip link set dev lo up
ip addr add 169.254.169.254/32 dev lo
echo ready
exec cat
"""
SETS_UP = re.compile(r"\blink set\b.* up\b")
# With a carrier that the kernel has not told its queues and bridges yet: until then they drop what they get. A kernel
# that is busy with others' namespaces takes its time.
NOT_QUITE_UP = """
{ ip -o link; for name in $(ls /run/netns); do ip -n "$name" -o link 2>/dev/null || true; done; } |
  grep LOWER_UP | grep -vE ' state (UP|UNKNOWN) ' || true
"""


@cache
def is_possible() -> bool:
    """Whether this kernel lets us."""
    probe = subprocess.run(
        [*UNSHARE, "--mount-proc", "mount", "-t", "sysfs", "sys", "/sys"], capture_output=True
    )
    return probe.returncode == 0


def held_namespaces(*unshare: str) -> tuple[subprocess.Popen[str], str]:
    """Namespaces that last as long as the process, and the id of the one inside, which has said that it is ready."""
    holder = subprocess.Popen(unshare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    return holder, Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0]


class Sandbox:
    """A context manager; `run` and the rest work inside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            "CAUSEWAY_ROOT": "/run/root",
            "CAUSEWAY_NIC_DEADLINE_S": "1",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        self._metadata_file = directory / "metadata.json"
        self._metadata_file.write_text("{}")

    def __enter__(self) -> Sandbox:
        self._holder, self._pid = held_namespaces(*UNSHARE, "--mount-proc", "bash", "-c", PREPARE)
        script = Path(__file__).with_name("metadata.py")
        self._metadata = self.start([sys.executable, str(script), str(self._metadata_file)])
        files = (*HOSTSCRIPTS.glob("*.sh"), *HOSTSCRIPTS.glob("*.py"))
        scripts = (*files, *(HOSTSCRIPTS / name for name in ("apply", "status", "pair")))
        self.run(["install", "-m", "0755", *map(str, scripts), "/run/root/opt/causeway"])
        wait_until("metadata is served", lambda: self.run("exec 3<>/dev/tcp/169.254.169.254/80", ok=None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()  # and with it, as it holds the process namespace, everything inside
        self._holder.wait()
        self._metadata.wait()

    def _enter(self, command: str | Sequence[str], namespace: str) -> list[str]:
        argv = ["bash", "-c", command] if isinstance(command, str) else list(command)
        inside = ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []
        target = ["nsenter", "-t", self._pid, *ENTER, "-m", "-n", "-p", "--"]
        return [*target, *inside, *argv]

    def start(self, command: str | Sequence[str], namespace: str = "") -> subprocess.Popen[str]:
        """A process that goes on inside."""
        return subprocess.Popen(
            self._enter(command, namespace),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def _done(
        self, command: str | Sequence[str], namespace: str = "", stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._enter(command, namespace),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )

    def run(
        self, command: str | Sequence[str], namespace: str = "", *, ok: bool | None = True, stdin: str = ""
    ) -> str:
        """What a command prints, errors included. `ok`: whether it must succeed; None: "" is a failure.

        Links that it sets up pass packets when this returns.
        """
        done = self._done(command, namespace, stdin)
        if isinstance(command, str) and SETS_UP.search(command):
            wait_until("links are up", lambda: not self._done(NOT_QUITE_UP).stdout)
        if ok is None:
            return (done.stdout or "ok") if done.returncode == 0 else ""
        assert (done.returncode == 0) == ok, f"{command}: exit status {done.returncode}\n{done.stdout}"
        return done.stdout

    def json(self, command: str, namespace: str = "") -> Json:
        """What a command that prints JSON says."""
        return json.loads(self.run(command, namespace))

    def metadata(self, answers: Mapping[str, str | int]) -> None:
        """From now on, the instance metadata: path below meta-data/ → text, or an HTTP status."""
        written = self._metadata_file.with_suffix(".new")
        written.write_text(json.dumps(answers))
        written.rename(self._metadata_file)  # whoever reads meanwhile finds all of it

    @property
    def metadata_file(self) -> Path:
        """Where they stand, for whom they are to change while something runs."""
        return self._metadata_file

    def services_are_stubs(self) -> None:
        """From now on systemctl and conntrackd do nothing but remember."""
        stubs = Path(__file__).with_name("service_stubs")
        self.environment["CAUSEWAY_PATH"] = f"{stubs}:{self.environment['PATH']}"

    def state(self, concern: str, state: Json) -> None:
        """Give the host a desired state."""
        self.run(["tee", f"/run/root/etc/causeway/{concern}.json"], stdin=json.dumps(state))

    def apply(self, concern: str, state: Json, *, ok: bool | None = True) -> list[str]:
        """Give the host a desired state, and apply it; the lines that said what changed."""
        self.state(concern, state)
        lines = self.run(["/run/root/opt/causeway/apply", concern], ok=ok).splitlines()
        return [line.removeprefix(f"causeway: {concern}: ") for line in lines]
