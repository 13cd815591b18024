"""Packets of one device as tcpdump shows them: `python -m lab.fabric.capture DEVICE [tcpdump's options]`.

Where root is root, this becomes tcpdump. In a user namespace tcpdump ends itself, as it cannot drop
privileges there (no setgroups): so packets are read here, and handed to a tcpdump without privileges.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from lab.fabric.tools import find

ETH_P_ALL = 3
SNAP_BYTES = 1 << 18
LINKTYPE_ETHERNET = 1
FILE_HEADER = struct.pack(
    "=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_BYTES, LINKTYPE_ETHERNET
)  # pcap-savefile(5)
NOBODY = "65534"


def tcpdump_argv(*options: str) -> list[str]:
    """tcpdump, without names and without buffering."""
    return [find("tcpdump") or "tcpdump", "-n", "-l", *options]


def may_drop_privileges() -> bool:
    """Whether a process here can change its groups."""
    return Path("/proc/self/setgroups").read_text().strip() == "allow"


def copy(frames: socket.socket, out: IO[bytes], reader: int) -> None:
    """Write frames as a pcap file until the process behind the pidfd `reader` has ended."""
    out.write(FILE_HEADER)
    while True:
        out.flush()
        if reader in select.select([frames.fileno(), reader], [], [])[0]:
            return
        frame = frames.recv(SNAP_BYTES)
        microseconds = time.time_ns() // 1000
        out.write(struct.pack("=IIII", *divmod(microseconds, 1_000_000), len(frame), len(frame)) + frame)


def main(device: str, *options: str) -> int:
    """Run until interrupted, or until tcpdump has enough."""
    if may_drop_privileges():
        argv = tcpdump_argv("-Z", "root", "-i", device, *options)
        os.execv(argv[0], argv)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as frames:
        frames.bind((device, 0))
        unprivileged = ["unshare", "--user", f"--map-user={NOBODY}", *tcpdump_argv("-r", "-", *options)]
        with subprocess.Popen(unprivileged, stdin=subprocess.PIPE) as shown:
            assert shown.stdin is not None  # noqa: S101 - it is a pipe
            with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
                copy(frames, shown.stdin, os.pidfd_open(shown.pid))
    return shown.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
