"""Taps, made through /dev/net/tun in the calling thread's network namespace."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from lab.errors import LabError

DEVICE = "/dev/net/tun"
TUNSETIFF = 0x4004_54CA
TUNSETPERSIST = 0x4004_54CB
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000  # a virtio header before each frame: guest and fabric pass large segments undivided
VNET_HEADER_BYTES = 10


def open_tap(name: str) -> int:
    """Attach to the tap `name`, which is made if it is not there; BlockingIOError if somebody has it."""
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise LabError(
            f"{DEVICE} cannot be opened: {error.strerror}",
            hint="load the module `tun`, and allow this user to read and write the device",
        ) from error
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EBUSY:
            raise BlockingIOError(errno.EBUSY, f"{name} is attached already") from error
        raise
    return fd


def make_persistent_tap(name: str) -> None:
    """Make a tap that stays when the machine on it goes."""
    fd = open_tap(name)
    try:
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    finally:
        os.close(fd)
