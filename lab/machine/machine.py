"""One instance's machine, from its first start to its end."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from lab.machine.command_line import NIC_SLOTS, Hardware, Memory
from lab.machine.nic import Nic, nic_id
from lab.machine.qemu import Qemu
from lab.machine.qmp import MachineError

if TYPE_CHECKING:
    from lab.image import Image

UNPLUG_S = 60.0  # the guest's kernel takes part in it, and may just be booting
POWER_OFF_S = 30.0


class MachineState(StrEnum):
    """What a machine is at, as its process shows it."""

    RUNNING = "running"
    HUNG = "hung"  # stopped by hang()
    STOPPED = "stopped"  # powered off, by stop() or by the guest
    CRASHED = "crashed"  # its process was killed or failed


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """Who it is. `directory` is its own: disk, console log and QEMU's log."""

    id: str
    directory: Path


class Machine:
    """An instance. Every method may be called from any thread; they wait for each other, except for the faults.

    MachineError is raised where QEMU or the guest does not do what it must.
    """

    def __init__(self, spec: MachineSpec, image: Image) -> None:
        """For `start`, which is what makes a machine."""
        self.spec = spec
        self.console_log = spec.directory / "console.log"
        self._image = image
        self._disk = spec.directory / "disk.qcow2"
        self._lock = threading.RLock()
        self._qemu: Qemu | None = None
        self._slots: dict[str, int] = {}  # MAC → PCI slot
        self._unplugged: set[str] = set()  # MACs whose cable is out
        self._hung = False
        self._ending = False  # its process ends because we want it to

    @classmethod
    def start(
        cls, spec: MachineSpec, image: Image, nics: Iterable[Nic] = (), *, niceness: int = 0
    ) -> Machine:
        """A new machine, restored from the image's template, with an own disk; runs when this returns.

        A disk that is in the directory already is booted from instead. `niceness`: it gives way to others.
        """
        machine = cls(spec, image)
        if machine._disk.exists():
            machine.boot(nics, niceness=niceness)
            return machine
        spec.directory.mkdir(parents=True, exist_ok=True)
        machine._make_disk()
        with machine._lock:
            machine._launch(image.ram, nics, restore=True, niceness=niceness)
        return machine

    def boot(self, nics: Iterable[Nic] = (), *, niceness: int = 0) -> None:
        """Start again from its own disk, by an ordinary boot, with these NICs and no others."""
        with self._lock:
            if self.state in (MachineState.RUNNING, MachineState.HUNG):
                raise MachineError(f"{self.spec.id} is running", hint="stop it first")
            self._launch(None, nics, restore=False, niceness=niceness)

    def plug(self, nic: Nic) -> None:
        """Attach a NIC; the guest sees it appear."""
        with self._lock:
            qmp = self._running().qmp
            if nic.mac in self._slots:
                raise MachineError(f"{self.spec.id} has a NIC {nic.mac} already", hint="unplug it first")
            slot = min(set(NIC_SLOTS) - set(self._slots.values()), default=None)
            if slot is None:
                raise MachineError(
                    f"{self.spec.id} has no slot left for {nic.mac}", hint="unplug another NIC"
                )
            qmp.pass_fd(nic.id, nic.tap_fd)
            qmp.execute("netdev_add", {"type": "tap", "id": f"tap-{nic.id}", "fd": nic.id})
            device = {
                "driver": "virtio-net-pci",
                "id": nic.id,
                "netdev": f"tap-{nic.id}",
                "mac": nic.mac,
                "host_mtu": nic.mtu,
                "addr": f"{slot:#x}",
            }
            try:
                qmp.execute("device_add", device)
            except MachineError:
                qmp.execute("netdev_del", {"id": f"tap-{nic.id}"})
                raise
            self._slots[nic.mac] = slot

    def unplug(self, mac: str) -> None:
        """Detach a NIC: asks the guest, and returns when it has let go."""
        with self._lock:
            qmp = self._running().qmp
            if mac not in self._slots:
                raise MachineError(
                    f"{self.spec.id} has no NIC {mac}", hint="it has: " + ", ".join(self._slots)
                )
            try:
                qmp.remove_device(nic_id(mac), UNPLUG_S)
            except TimeoutError as error:
                raise MachineError(
                    f"{self.spec.id} did not release the NIC {mac} in {UNPLUG_S:g} s",
                    hint="its kernel has to take part: see `lab logs`",
                ) from error
            qmp.execute("netdev_del", {"id": f"tap-{nic_id(mac)}"})
            del self._slots[mac]

    def link_down(self, mac: str) -> None:
        """The NIC stays, its carrier goes: a pulled cable."""
        self._set_link(mac, up=False)

    def link_up(self, mac: str) -> None:
        """Undo link_down."""
        self._set_link(mac, up=True)

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL); its disk keeps what the guest had written to it."""
        if self._qemu is not None:
            self._qemu.kill()

    def hang(self) -> None:
        """Freeze it (SIGSTOP): it neither runs nor answers, and its links stay up."""
        if self.state is MachineState.RUNNING and self._qemu is not None:
            self._hung = True
            self._qemu.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo hang; a machine that waits for room on its disk tries again."""
        if self._qemu is not None:
            self._qemu.process.send_signal(signal.SIGCONT)
        self._hung = False
        if self.waits_for_room():
            self._running().qmp.execute("cont")

    def waits_for_room(self) -> bool:
        """Whether QEMU paused it, because this machine's own disk is full and the guest's could not grow."""
        if self._qemu is None or self.state is not MachineState.RUNNING:
            return False
        return bool(self._qemu.qmp.execute("query-status")["status"] == "io-error")

    def restart(self) -> None:
        """Reset it, as RebootInstances does in the end: NICs and disk stay, the guest boots. Wakes a hung one."""
        with self._lock:
            self.resume()
            self._running().qmp.execute("system_reset")

    def stop(self, deadline_s: float = POWER_OFF_S) -> None:
        """Power off: the guest is asked to, and after the deadline it is made to. Its NICs are gone then."""
        with self._lock:
            if self._qemu is None or self._qemu.process.poll() is not None:
                return
            self._ending = True
            self.resume()
            self._qemu.qmp.execute("system_powerdown")
            try:
                self._qemu.process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self._qemu.kill()

    def destroy(self) -> None:
        """End it now and remove everything of it."""
        self._ending = True
        self.kill()
        with self._lock:
            if self._qemu is not None:
                self._qemu.qmp.close()
                self._qemu = None
            shutil.rmtree(self.spec.directory, ignore_errors=not self.spec.directory.exists())

    @property
    def state(self) -> MachineState:
        """What it is at now."""
        status = self._qemu.process.poll() if self._qemu is not None else 0
        if status is None:
            return MachineState.HUNG if self._hung else MachineState.RUNNING
        return MachineState.STOPPED if self._ending or status == 0 else MachineState.CRASHED

    @property
    def alive(self) -> bool:
        """Whether it has a process, be it a hung one."""
        return self.state in (MachineState.RUNNING, MachineState.HUNG)

    @property
    def unplugged(self) -> list[str]:
        """NICs whose cable is out."""
        return sorted(self._unplugged)

    @property
    def macs(self) -> list[str]:
        """NICs that are plugged."""
        return list(self._slots)

    @property
    def resident_bytes(self) -> int:
        """Memory of the machine's process, pages that it shares with other machines included."""
        return self._qemu.resident_bytes() if self._qemu is not None else 0

    def _make_disk(self) -> None:
        backing = ["-F", "qcow2", "-b", str(self._image.disk)]
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(self._disk)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self._disk.unlink(missing_ok=True)
            raise MachineError(
                f"{self.spec.id} gets no disk: {done.stderr.strip()}",
                hint=f"there must be room in {self.spec.directory}",
            )

    def _launch(self, memory: Path | None, nics: Iterable[Nic], *, restore: bool, niceness: int) -> None:
        if self._qemu is not None:
            self._qemu.qmp.close()
        image = self._image
        hardware = Hardware(
            name=self.spec.id,
            accelerator=image.accelerator,
            kernel=image.root.kernel,
            initrd=image.root.initrd,
            disks=((self._disk, "qcow2"), (image.disk, "qcow2"), (image.root.disk, "raw")),
            memory=memory,
            memory_mode=Memory.PRIVATE,
            console=self.console_log,
        )
        self._slots, self._unplugged = {}, set()
        self._hung = self._ending = False
        log = self.spec.directory / "qemu.log"
        self._qemu = Qemu(hardware, log, paused=True, incoming=restore, niceness=niceness)
        try:
            if restore:
                self._qemu.restore(image.state)
            for nic in () if restore else nics:
                self.plug(nic)
            self._qemu.qmp.execute("cont")
            for nic in nics if restore else ():
                self.plug(nic)
        except BaseException:
            self._qemu.kill()
            raise

    def _set_link(self, mac: str, *, up: bool) -> None:
        with self._lock:
            self._running().qmp.execute("set_link", {"name": nic_id(mac), "up": up})
            self._unplugged.discard(mac) if up else self._unplugged.add(mac)

    def _running(self) -> Qemu:
        state = self.state
        if state is not MachineState.RUNNING or self._qemu is None:
            raise MachineError(
                f"{self.spec.id} is {state}", hint="`lab fault resume` or `restart` revives it"
            )
        return self._qemu
