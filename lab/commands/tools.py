"""What the lab needs of the machine, checked before anything is made."""

from __future__ import annotations

import shutil

from lab.errors import LabError

TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "tcpdump": "tcpdump",
}


def require_tools() -> None:
    """All missing programs in one message, with the packages that have them."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = sorted({TOOLS[tool] for tool in missing})
        raise LabError(
            f"the lab needs {', '.join(missing)}",
            hint=f"run: apt-get install --no-install-recommends {' '.join(packages)}   (or make setup)",
        )
