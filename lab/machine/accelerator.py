"""What runs the guests' instructions: KVM where it really does, else QEMU's own emulation."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.paths import home

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROBE_S = 15.0  # a kernel that KVM runs is through in 2 s


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """A way to run guests; `arguments` are QEMU's."""

    name: str
    arguments: tuple[str, ...]


KVM = Accelerator(name="kvm", arguments=("-accel", "kvm", "-cpu", "host"))
# cx16 off: QEMU 7.2 computes flags of CMPXCHG16B from a stale cc_op; when an interrupt comes right after it,
# Linux dies of a double fault in kmalloc (about one boot in three). svm stays on: without it copying from kernel
# memory fails there, and /proc/self/mountinfo is full of x.
# tb-size in MB: translated code counts as resident memory.
TCG = Accelerator(name="tcg", arguments=("-accel", "tcg,tb-size=96", "-cpu", "max,-cx16"))
BY_NAME = {"kvm": KVM, "tcg": TCG}


def choose_accelerator(kernel: Path, progress: Callable[[str], None]) -> Accelerator:
    """KVM if it boots `kernel`, asked once per boot of this machine; CAUSEWAY_LAB_ACCELERATOR decides otherwise."""
    if explicit := os.environ.get("CAUSEWAY_LAB_ACCELERATOR"):
        if explicit not in BY_NAME:
            raise LabError(
                f"CAUSEWAY_LAB_ACCELERATOR={explicit}: no such accelerator", hint="it may be kvm or tcg"
            )
        return BY_NAME[explicit]
    cache = home() / "accelerator.json"
    boot = BOOT_ID.read_text().strip()
    reason = remembered(cache, boot)
    if reason is None:
        reason = why_not_kvm(kernel)
        partial = cache.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"boot_id": boot, "why_not_kvm": reason}))
        partial.rename(cache)
    if not reason:
        return KVM
    progress(f"guests are emulated (TCG), which is slower: {reason}")
    return TCG


def remembered(cache: Path, boot: str) -> str | None:
    """The reason that was found before ("": none, KVM works), if that was since this machine's last boot."""
    try:
        found = json.loads(cache.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return str(found["why_not_kvm"]) if found.get("boot_id") == boot else None


def why_not_kvm(kernel: Path, device: Path = Path("/dev/kvm"), deadline_s: float = PROBE_S) -> str:
    """Empty if KVM works: opening the device proves nothing, so a kernel is booted until it looks for its root."""
    if not device.exists():
        return f"no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be opened by this user"
    argv = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "qemu-system-x86_64",
        "-M",
        "pc",
        *KVM.arguments,
        "-m",
        "256",
        "-nodefaults",
        "-display",
        "none",
    ]
    argv += ["-no-reboot", "-serial", "stdio", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    started = time.monotonic()
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{device} is there, but a kernel did not boot with it in {deadline_s:.0f} s"
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1].removeprefix("qemu-system-x86_64: ") if said else f"exit status {done.returncode}"
        return f"{device} is there, but QEMU cannot use it ({why[:300]})"
    if b"Unable to mount root" not in done.stdout:
        return f"a kernel did not come up with {device} ({time.monotonic() - started:.1f} s)"
    return ""
