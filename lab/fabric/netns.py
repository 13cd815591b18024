"""Named network namespaces, as `ip netns` keeps them, made and entered by the calling thread itself.

A namespace is a property of a thread: `entered` moves only the caller, so other threads stay where they are.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.fabric.names import NETNS_DIRECTORY

CLONE_NEWNET = 0x4000_0000
MS_BIND = 0x1000
MNT_DETACH = 2
OWN_NAMESPACE = Path("/proc/thread-self/ns/net")

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes | None) -> None:
    """A function of libc that returns 0, or OSError."""
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def here() -> int:
    """A file descriptor of the calling thread's namespace."""
    return os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def entered(namespace_fd: int) -> Iterator[None]:
    """Run the block, and processes it starts, in another namespace."""
    home = here()
    try:
        call("setns", namespace_fd, CLONE_NEWNET)
        try:
            yield
        finally:
            call("setns", home, CLONE_NEWNET)
    finally:
        os.close(home)


def create(name: str) -> int:
    """Make a namespace with a name; returns a file descriptor of it."""
    NETNS_DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = NETNS_DIRECTORY / name
    path.touch(exist_ok=False)
    home = here()
    try:
        call("unshare", CLONE_NEWNET)
        try:
            call("mount", os.fsencode(OWN_NAMESPACE), os.fsencode(path), None, MS_BIND, None)
            return here()
        finally:
            call("setns", home, CLONE_NEWNET)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(home)


def remove(name: str) -> None:
    """Take the name away; the kernel frees the namespace with its last user."""
    path = NETNS_DIRECTORY / name
    call("umount2", os.fsencode(path), MNT_DETACH)
    path.unlink()
