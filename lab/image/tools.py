"""What building needs of this machine, asked before anything is started."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from lab.errors import LabError

PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "xz": "xz-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # mkfs.ext4 is not on a user's PATH
BUILD_BYTES = 1536 << 20  # tree and file system side by side, then the template


def require_tools() -> None:
    """All that is missing, in one error with the line that installs it."""
    missing = {package for tool, package in PACKAGE_OF.items() if shutil.which(tool, path=SEARCH) is None}
    if not KEYRING.exists():
        missing.add("debian-archive-keyring")
    if os.geteuid() != 0 and shutil.which("newuidmap") is None:
        missing.add("uidmap")
    if missing:
        names = " ".join(sorted(missing))
        raise LabError(
            f"the guests' image cannot be built: {names} missing",
            hint=f"sudo apt-get install --no-install-recommends {names}",
        )
    if os.geteuid() != 0:
        require_subordinate_ids()


def require_subordinate_ids() -> None:
    """A Debian tree has files of several users; an ordinary user needs ids of its own to give them."""
    user = pwd.getpwuid(os.getuid()).pw_name
    for file in (Path("/etc/subuid"), Path("/etc/subgid")):
        owners = (
            {line.partition(":")[0] for line in file.read_text().splitlines()} if file.exists() else set()
        )
        if not owners & {user, str(os.getuid())}:
            raise LabError(
                f"the guests' image cannot be built by {user}: no line for it in {file}",
                hint=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
            )


def require_space(directory: Path, needed_bytes: int = BUILD_BYTES) -> None:
    """LabError that says how much is needed where."""
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise LabError(
            f"{directory} has {free >> 20} MB left; the guests' image needs {needed_bytes >> 20} MB",
            hint="make room there, or set CAUSEWAY_LAB_HOME to a directory on another disk",
        )
