"""Where an image's files are, and what decides whether it must be built anew."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

from lab.machine.accelerator import Accelerator

SOURCE = Path(__file__).parent
GUEST = SOURCE / "guest"
SUITE = "trixie"


@dataclass(frozen=True, kw_only=True)
class Root:
    """A Debian root file system, with the kernel and initrd that boot it."""

    directory: Path

    @property
    def disk(self) -> Path:
        """ext4 without partitions, raw and sparse."""
        return self.directory / "root.raw"

    @property
    def kernel(self) -> Path:
        """Linux, as QEMU loads it."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its initramfs."""
        return self.directory / "initrd"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A root and its template: a machine that was saved just before it became an instance."""

    root: Root
    accelerator: Accelerator
    template: Path

    @property
    def disk(self) -> Path:
        """What the template wrote over the root; the backing file of every instance's disk."""
        return self.template / "disk.qcow2"

    @property
    def ram(self) -> Path:
        """The template's memory, which instances map copy-on-write."""
        return self.template / "ram"

    @property
    def state(self) -> Path:
        """The state of the template's devices, a QEMU migration stream without memory."""
        return self.template / "state"


def packages() -> list[str]:
    """Names from packages.txt."""
    lines = (line.partition("#")[0].strip() for line in (SOURCE / "packages.txt").read_text().splitlines())
    return [line for line in lines if line]


def digest() -> str:
    """Names the image: of all files of this package that have a say in what is built, and their modes."""
    found = hashlib.sha256(SUITE.encode())
    own = [SOURCE / name for name in ("packages.txt", "build.sh", "customize.sh", "initrd/init")]
    for path in (*own, *guest_files()):
        executable = bool(path.stat().st_mode & 0o100)
        found.update(f"{path.relative_to(SOURCE)} {executable} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def guest_files() -> list[Path]:
    """Every file under guest/, which mirrors the guest's root directory."""
    return sorted(p for p in GUEST.rglob("*") if p.is_file())


def pack_guest_files(target: Path) -> None:
    """A tar of guest/ that belongs to root, with the modes that git keeps (644 or 755).

    Files alone: the directories are Debian's.
    """

    def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mode = 0o755 if member.mode & 0o100 else 0o644
        return member

    with tarfile.open(target, "w") as tar:
        for path in guest_files():
            tar.add(path, arcname=str(path.relative_to(GUEST)), filter=as_root)
