"""What the lab needs of the machine, checked before anything is made."""

from __future__ import annotations

import os
import shutil

from lab.errors import LabError
from lab.paths import home

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
ROOM_MB = 512  # what the disks of a few guests grow to while they are configured
TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "tcpdump": "tcpdump",
    "ssh": "openssh-client",
}
FOR_A_LAB = tuple(tool for tool in TOOLS if tool != "ssh")


def with_system_directories(path: str) -> str:
    """PATH with the sbin directories, which an ordinary user's lacks."""
    known = path.split(":")
    return ":".join([*known, *(directory for directory in SBIN if directory not in known)])


def require_tools(*tools: str) -> None:
    """All missing programs in one message, with the packages that have them."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = sorted({TOOLS[tool] for tool in missing})
        raise LabError(
            f"the lab needs {', '.join(missing)}",
            hint=f"run: apt-get install --no-install-recommends {' '.join(packages)}   (or make setup)",
        )


def require_own_home() -> None:
    """Nobody else may have prepared the cache directory, or prepare it now: links there would be followed."""
    for directory in (home(), home() / "labs"):
        if not directory.exists():
            continue
        status = directory.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise LabError(
                f"{directory} belongs to somebody else, or others may write there",
                hint=f"chmod go-w {directory}, or set CAUSEWAY_LAB_HOME to a directory of your own",
            )


def require_room() -> None:
    """Guests whose disks cannot grow are paused in the middle of what they do: better not to start them."""
    free_mb = shutil.disk_usage(home()).free >> 20
    if free_mb < ROOM_MB:
        raise LabError(
            f"{home()} has {free_mb} MB free; the guests' disks need {ROOM_MB}",
            hint="make room, or set CAUSEWAY_LAB_HOME to a directory on a larger disk",
        )
