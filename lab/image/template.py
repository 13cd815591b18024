"""The template: the image booted once and saved, before it has a NIC and so before it is any instance."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.image.build import becoming
from lab.image.files import Image, Root
from lab.image.tools import require_space
from lab.machine.accelerator import KVM, Accelerator
from lab.machine.command_line import Hardware, Memory, command
from lab.machine.qemu import Qemu

READY = "TEMPLATE-READY"
BOOT_S = 300.0  # 30 s emulated on an idle machine; builders are slower and busy
TEMPLATE_BYTES = 400 << 20
POLL_S = 0.1


def ensure_template(root: Root, accelerator: Accelerator, progress: Callable[[str], None]) -> Image:
    """The image with its template for this accelerator and QEMU. The caller holds the image's lock."""
    template = root.directory / f"{accelerator.name}-{template_digest(root, accelerator)}"
    image = Image(root=root, accelerator=accelerator, template=template)
    if not template.exists():
        require_space(root.directory, TEMPLATE_BYTES)
        progress("image: the first boot, which every machine is cloned from (about 30 s)")
        started = time.monotonic()
        with becoming(template) as partial:
            boot_and_save(Image(root=root, accelerator=accelerator, template=partial))
        progress(f"image: booted and saved in {time.monotonic() - started:.0f} s")
    return image


def template_digest(root: Root, accelerator: Accelerator) -> str:
    """A saved state fits only the QEMU that wrote it, the same command line and, with KVM, the same CPU."""
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, check=True).stdout
    found = hashlib.sha256(version)
    image = Image(root=root, accelerator=accelerator, template=Path("template"))
    found.update(repr(command(hardware(image), 0, paused=False, incoming=False)).encode())
    if accelerator is KVM:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found.update("".join(sorted({x for x in lines if x.startswith(("model name", "flags"))})).encode())
    return found.hexdigest()[:16]


def hardware(image: Image) -> Hardware:
    """The machine that becomes the template; it writes to the template's disk and memory."""
    return Hardware(
        name="template",
        accelerator=image.accelerator,
        kernel=image.root.kernel,
        initrd=image.root.initrd,
        disks=((image.disk, "qcow2"), (image.root.disk, "raw")),
        memory=image.ram,
        memory_mode=Memory.SHARED,
        console=image.template / "console.log",
    )


def boot_and_save(image: Image) -> None:
    """Fill the template's directory."""
    backing = ["-F", "raw", "-b", str(image.root.disk)]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(image.disk)], check=True)
    machine = hardware(image)
    qemu = Qemu(machine, image.template / "qemu.log", bound=True)
    try:
        wait_until_ready(qemu, machine.console)
        qemu.save(image.state)
    finally:
        qemu.kill()


def wait_until_ready(qemu: Qemu, console: Path) -> None:
    """Until the guest says on its console that its boot has come to rest."""
    deadline = time.monotonic() + BOOT_S
    while READY not in (said := console.read_text(errors="replace")):
        if qemu.process.poll() is not None:
            raise LabError(f"the template's machine ended: {qemu.last_words()}", hint="see the console above")
        if time.monotonic() > deadline or "Kernel panic" in said:
            lines = "\n    ".join(said.splitlines()[-15:])
            raise LabError(
                f"the template did not boot; the last of its console:\n    {lines}",
                hint="CAUSEWAY_LAB_ACCELERATOR=tcg avoids KVM; otherwise try again",
            )
        time.sleep(POLL_S)
