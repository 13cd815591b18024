"""Run a test in namespaces of its own, as the lab's daemon does: nothing reaches the host or stays."""

from __future__ import annotations

import ctypes
import functools
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import pytest

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x1000_0000, 0x2000_0000, 0x4000_0000
PR_SET_PDEATHSIG = 1
DEADLINE_S = 60.0
P = ParamSpec("P")


def isolated(test: Callable[P, None]) -> Callable[P, None]:
    """Run the test as root of fresh namespaces: of a user namespace only if the caller isn't root anyway."""
    return isolate(test, own_user=os.geteuid() != 0)


def isolated_user(test: Callable[P, None]) -> Callable[P, None]:
    """The same with a user namespace, root or not: what an ordinary user gets."""
    return isolate(test, own_user=True)


def isolate(test: Callable[P, None], *, own_user: bool, deadline_s: float = DEADLINE_S) -> Callable[P, None]:
    """The decorator, with the choice spelled out."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        failure = run_isolated(lambda: test(*args, **kwargs), own_user=own_user, deadline_s=deadline_s)
        if failure:
            pytest.fail(failure, pytrace=False)

    return wrapper


def run_isolated(task: Callable[[], None], *, own_user: bool, deadline_s: float = DEADLINE_S) -> str:
    """Run `task` in a child; returns its traceback, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        guarded(writing, lambda: enter_and_run(writing, task, own_user=own_user))
    os.close(writing)
    try:
        return read_all(reading, deadline_s)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def enter_and_run(report: int, task: Callable[[], None], *, own_user: bool) -> None:
    """Get the namespaces; a child is PID 1 in there, and all that it starts ends with it."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | (CLONE_NEWUSER if own_user else 0)
    libc("unshare", flags)
    if own_user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    inner = os.fork()
    if inner == 0:
        guarded(report, lambda: run_as_init(task))
    os.waitpid(inner, 0)


def run_as_init(task: Callable[[], None]) -> None:
    """What the lab's init does, then the task."""
    libc("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "run", "/run"], check=True)
    task()


def guarded(report: int, task: Callable[[], None]) -> None:
    """Run `task`, write down its failure, and never return."""
    status = 0
    try:
        task()
    except BaseException:
        status = 1
        os.write(report, traceback.format_exc().encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def read_all(fd: int, deadline_s: float) -> str:
    """Until every writer is gone; what hangs is a failure too."""
    text = b""
    while True:
        readable, _, _ = select.select([fd], [], [], deadline_s)
        if not readable:
            return f"{text.decode()}\nnot done after {deadline_s:g} s"
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            return text.decode()
        text += chunk


def libc(name: str, *arguments: int) -> None:
    """A libc function that returns 0, or OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
