"""QEMU's command line, the same for the template and everything that is restored from its state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.machine.accelerator import Accelerator

# i440FX: every slot of its PCI bus takes hot-plugged devices, so 15 NICs need no bridge each, as on q35.
MACHINE_TYPE = "pc"
MEMORY_MB = 256
# net.ifnames=0: nothing may depend on a NIC's name, and eth0 and eth1 come in either order. norandmaps: emulated
# code is translated once for all processes that have it at the same address. no_timer_check: a booting kernel wants to
# see ten timer interrupts at once, and panics where the machine was busy elsewhere.
KERNEL_ARGUMENTS = (
    "console=ttyS0 root=/dev/vda rw net.ifnames=0 mitigations=off norandmaps no_timer_check quiet "
    "systemd.condition_needs_update=0"  # nothing was updated since the image was built
)
DISK_SLOT, RANDOM_SLOT, FIRST_NIC_SLOT = 2, 3, 4
NIC_SLOTS = range(FIRST_NIC_SLOT, 32)


class Memory(StrEnum):
    """What becomes of the file that is the guest's memory."""

    SHARED = "shared"  # written: the template while it is made
    PRIVATE = "private"  # copied on write: instances


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """One machine. `disks` is a chain of images, the one that is written first, its backing files after it."""

    name: str
    accelerator: Accelerator
    kernel: Path
    initrd: Path
    disks: tuple[tuple[Path, str], ...]  # path and format
    memory: Path | None  # the template's; None: the kernel's own, which starts empty
    memory_mode: Memory
    console: Path


def command(hardware: Hardware, qmp_fd: int, *, paused: bool, incoming: bool) -> list[str]:
    """argv; QEMU speaks QMP on the socket `qmp_fd`, and waits for a state or for `cont` if told to."""
    argv = ["qemu-system-x86_64", "-name", json_free(f"guest={hardware.name}")]
    argv += ["-M", f"{MACHINE_TYPE},memory-backend=ram", *hardware.accelerator.arguments]
    argv += ["-m", str(MEMORY_MB), "-smp", "1", "-object", json.dumps(memory(hardware))]
    argv += ["-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc,clock=host"]
    argv += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    argv += ["-kernel", str(hardware.kernel), "-initrd", str(hardware.initrd), "-append", KERNEL_ARGUMENTS]
    for node in block_nodes(hardware.disks):
        argv += ["-blockdev", json.dumps(node)]
    argv += ["-device", f"virtio-blk-pci,drive=disk0,addr={DISK_SLOT:#x}"]
    argv += ["-device", f"virtio-rng-pci,addr={RANDOM_SLOT:#x}"]
    # A new id for each restored machine makes its kernel reseed its random numbers at once.
    argv += ["-device", "vmgenid,guid=auto"]
    argv += ["-chardev", f"file,id=console,append=on,path={escaped(hardware.console)}"]
    argv += ["-serial", "chardev:console"]
    argv += ["-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control"]
    if paused:
        argv += ["-S"]
    if incoming:
        argv += ["-incoming", "defer"]
    return argv


def memory(hardware: Hardware) -> dict[str, object]:
    """The object that is the guest's RAM."""
    size = MEMORY_MB << 20
    if hardware.memory is None:
        return {"qom-type": "memory-backend-ram", "id": "ram", "size": size}
    share = hardware.memory_mode is Memory.SHARED
    path = str(hardware.memory)
    return {"qom-type": "memory-backend-file", "id": "ram", "size": size, "mem-path": path, "share": share}


def block_nodes(disks: tuple[tuple[Path, str], ...]) -> list[dict[str, object]]:
    """Nodes disk0 (written), disk1 (its backing file) …, in the order in which QEMU can open them."""
    nodes: list[dict[str, object]] = []
    for index, (path, kind) in reversed(list(enumerate(disks))):
        node: dict[str, object] = {
            "driver": kind,
            "node-name": f"disk{index}",
            "read-only": index > 0,
            # A guest's flush need not reach this machine's platter: it survives a killed QEMU as it is.
            "cache": {"no-flush": True},
            "file": {"driver": "file", "filename": str(path), "read-only": index > 0},
        }
        if kind == "qcow2":
            node["backing"] = f"disk{index + 1}"
        nodes.append(node)
    return nodes


def escaped(path: Path) -> str:
    """A path as the value of an option: commas doubled."""
    return str(path).replace(",", ",,")


def json_free(option: str) -> str:
    """An option whose value came from outside."""
    return option.replace(",", ",,")
