"""Programs and libraries of the host that the fabric needs, and how to get them."""

from __future__ import annotations

import os
import shutil

from lab.errors import LabError
from lab.fabric.nft import library

PACKAGES = {"ip": "iproute2", "nsenter": "util-linux", "tcpdump": "tcpdump"}
TTL_TOOLS = ("iptables-legacy-restore", "iptables-nft-restore")  # nft itself cannot increment a TTL
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(program: str) -> str | None:
    """Where a program is; an ordinary user's PATH lacks the sbin directories."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def ttl_tools() -> list[str]:
    """The variants of iptables-restore that are installed, the preferred one first."""
    return [path for tool in TTL_TOOLS if (path := find(tool)) is not None]


def require() -> None:
    """Raise LabError naming the Debian packages that are missing."""
    missing = [package for program, package in PACKAGES.items() if find(program) is None]
    if not ttl_tools():
        missing.append("iptables")
    try:
        library()
    except LabError:
        missing.append("nftables")
    if missing:
        raise LabError(
            f"the lab's network needs {', '.join(sorted(missing))}",
            hint=f"run: apt-get install {' '.join(sorted(missing))}",
        )
