"""Start, find and end the daemon of a lab, from outside its namespaces."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from lab.daemon.client import Client, not_running
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths
from lab.whole_file import write_whole

START_DEADLINE_S = 30.0
END_DEADLINE_S = 10.0
# Settings by which a system keeps user namespaces to root: the value that does so, and one that does not.
USER_NAMESPACES = {
    "kernel.unprivileged_userns_clone": ("0", "1"),  # Debian's and Arch's kernels
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),  # Ubuntu's
    "user.max_user_namespaces": ("0", "10000"),
}


class Mode(StrEnum):
    """What the daemon holds besides the API."""

    FULL = "full"
    API_ONLY = "api-only"  # no fabric, no guests, and so no namespaces: previews without rights


@dataclass(frozen=True)
class Supervisor:
    """A process on this machine, told apart from a later one with the same id by its start time."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return start_ticks(self.pid) == self.start_ticks


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (proc(5), field 22); None: there is none, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def supervisor_file(paths: LabPaths) -> Path:
    """Names the process that holds the lab."""
    return paths.root / "supervisor.json"


def record_supervisor(paths: LabPaths) -> None:
    """Write down this very process as the lab's supervisor."""
    ticks = start_ticks(os.getpid())
    if ticks is None:
        raise RuntimeError("this process is not in /proc")
    write_whole(supervisor_file(paths), json.dumps(asdict(Supervisor(os.getpid(), ticks))))


def find(paths: LabPaths) -> Supervisor | None:
    """The lab's supervisor, if it lives."""
    try:
        supervisor = Supervisor(**json.loads(supervisor_file(paths).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # damaged
        return search(paths)
    return supervisor if supervisor.alive() else None


def search(paths: LabPaths) -> Supervisor | None:
    """The process that leads a session and writes into this lab's log is its supervisor: see `start`."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            leads = os.getsid(int(process.name)) == int(process.name)
            if not leads or not paths.daemon_log.samefile(process / "fd" / "1"):
                continue
        except OSError:
            continue  # it has ended, is somebody else's, or there is no log
        ticks = start_ticks(int(process.name))
        if ticks is not None:
            return Supervisor(int(process.name), ticks)
    return None


@contextmanager
def exclusive(paths: LabPaths) -> Iterator[None]:
    """Only one `up` or `down` of a lab at a time; the lock ends with its holder."""
    paths.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = paths.root.parent / f".{paths.name}.lock"
    with locked(file, paths) as lock:
        try:
            yield
        finally:
            if not paths.root.exists() and same_file(lock, file):
                file.unlink()


@contextmanager
def locked(file: Path, paths: LabPaths) -> Iterator[int]:
    """Hold the lock file, and that very file: its last holder may just be removing it."""
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if same_file(lock, file):
                yield lock
                return
        except BlockingIOError as error:
            raise LabError(
                f"the lab {paths.name!r} is busy: another up or down of it is running",
                hint="wait for it, end it with Ctrl-C, or take another name with --name",
            ) from error
        finally:
            os.close(lock)


def same_file(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def require_socket_path(paths: LabPaths) -> None:
    """Unix sockets' paths are short; say so before anything is made."""
    longest = 107 - len("machines/i-0123456789abcdef0/qmp.sock")
    if len(os.fsencode(paths.root)) + 1 > longest:
        raise LabError(
            f"the lab's directory has a path of {len(os.fsencode(paths.root))} bytes: {paths.root}",
            hint=f"at most {longest - 1} fit unix sockets; set CAUSEWAY_LAB_HOME to a shorter path, or shorten --name",
        )


def require_visible(*paths: Path) -> None:
    """The daemon has a /run of its own, and would find none of these there."""
    for path in paths:
        if path.resolve().is_relative_to("/run"):
            raise LabError(
                f"{path} is below /run, of which the lab has one of its own",
                hint="use a checkout elsewhere; CAUSEWAY_LAB_HOME says where the lab keeps its files",
            )


def start(paths: LabPaths, mode: Mode = Mode.FULL, region: str = "us-east-1") -> Client:
    """Start the daemon and wait until it answers; raises LabError with the end of its log if it does not."""
    require_socket_path(paths)
    paths.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = socket.create_server(("127.0.0.1", 0))
    service = [
        "--name",
        paths.name,
        "--listen-fd",
        str(listener.fileno()),
        "--mode",
        mode,
        "--region",
        region,
    ]
    with paths.daemon_log.open("ab") as log:
        process = subprocess.Popen(
            [*namespaces(mode), sys.executable, "-m", entry_module(mode), *service],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            preexec_fn=lambda: record_supervisor(
                paths
            ),  # before exec: a starter that dies here leaves no stray
        )
    listener.close()
    client = Client(paths)
    deadline = time.monotonic() + START_DEADLINE_S
    while not client.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            end(paths)
            raise LabError(
                f"the lab's daemon did not start:\n{tail(paths.daemon_log)}",
                hint=namespace_hint() if mode is Mode.FULL else f"see {paths.daemon_log}",
            )
        time.sleep(0.02)
    return client


def namespaces(mode: Mode) -> list[str]:
    """How to get namespaces of one's own: root needs no user namespace, everyone else does."""
    if mode is Mode.API_ONLY:
        return ["setpriv", "--pdeathsig", "KILL"]  # it serves its starter alone, and ends with it
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [
        "unshare",
        *own_user,
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child=SIGKILL",
        "--mount-proc",
    ]


def entry_module(mode: Mode) -> str:
    """What runs first: an init where there is a PID namespace to look after."""
    return "lab.daemon.service" if mode is Mode.API_ONLY else "lab.daemon.init"


def namespace_hint(sysctl: Path = Path("/proc/sys")) -> str:
    """What an ordinary user can do where the system keeps namespaces to root; names the settings that do so here."""
    if os.geteuid() == 0:
        return "the lab needs mount, net and pid namespaces and /dev/net/tun (in a container: --privileged)"
    mending = [
        f"{key}={allowing}"
        for key, (forbidding, allowing) in USER_NAMESPACES.items()
        if (file := sysctl / key.replace(".", "/")).exists() and file.read_text().strip() == forbidding
    ]
    if mending:
        return f"run `sudo sysctl {' '.join(mending)}`, or run the lab as root"
    return (
        "an ordinary user needs unprivileged user namespaces, which no setting of this machine forbids, "
        "but perhaps its container or chroot: run the lab as root"
    )


def require_namespaces() -> None:
    """Fail early, with the way out, where namespaces are not to be had."""
    if shutil.which("unshare") is None:
        raise LabError("`unshare` is missing", hint="run: apt-get install util-linux")
    probe = subprocess.run([*namespaces(Mode.FULL), "true"], capture_output=True, text=True)
    if probe.returncode:
        raise LabError(f"no namespaces of one's own: {probe.stderr.strip()}", hint=namespace_hint())
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise LabError(
            "/dev/net/tun is missing, or not readable and writable for this user",
            hint="as root: modprobe tun && chmod 666 /dev/net/tun (which is how Debian's udev has it)",
        )


def end(paths: LabPaths) -> None:
    """End the daemon and with it all that it holds; returns when its processes are gone."""
    supervisor = find(paths)
    if supervisor is None:
        return
    held = [supervisor.pid, *children(supervisor.pid)]
    handles = [handle for pid in held if (handle := open_pidfd(pid)) is not None]
    for handle in reversed(handles):  # PID 1 of the namespace first: the kernel ends everything in it
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it ended meanwhile, which is what we want
    deadline = time.monotonic() + END_DEADLINE_S
    for handle in handles:
        ended, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        os.close(handle)
        if not ended:
            raise LabError(
                f"the lab's processes ({held}) did not end in {END_DEADLINE_S:g} s after SIGKILL",
                hint="a process in uninterruptible sleep holds them; see `ps -o pid,stat,wchan,args`",
            )


def enter(paths: LabPaths) -> list[str]:
    """Argv prefix that runs a command inside the lab's namespaces: its internet is the network there."""
    supervisor = find(paths)
    inside = children(supervisor.pid) if supervisor is not None else []
    if not inside:
        raise not_running(paths)
    own_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "--target", str(inside[0]), *own_user, "--mount", "--net", "--pid"]


def remove_directory(paths: LabPaths) -> None:
    """Remove what a lab that has ended wrote; refuses while it lives."""
    if not paths.root.exists():
        return
    if find(paths) is not None:
        raise LabError(f"the lab {paths.name!r} is still up", hint="`lab down` takes it down")
    shutil.rmtree(paths.root)


def open_pidfd(pid: int) -> int | None:
    """A handle on a process that cannot come to mean another one; None: it is gone."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
