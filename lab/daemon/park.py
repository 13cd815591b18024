"""Machines made equal to the world: one worker per instance, so that a slow guest holds up no other.

`apply` returns at once; a worker then starts, stops, reboots, plugs and unplugs until its machine is what the last
world says, and reports what it sees to the cloud.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.image import Image
from lab.machine import Machine, MachineError, MachineSpec, MachineState, Nic
from lab.world import Eni, InstanceState, World

log = logging.getLogger(__name__)
BURSTABLE = re.compile(r"t\d")
POLL_S = 1.0  # how soon a guest that powered itself off is noticed


@dataclass(frozen=True)
class Desired:
    """What one instance ought to be."""

    state: InstanceState
    boot_count: int = 0
    nics: tuple[tuple[str, str], ...] = ()  # (MAC, ENI id) by device index
    niceness: int = 0  # from its next start on


@dataclass(frozen=True)
class Hooks:
    """What the park needs from its neighbours."""

    tap_fd: Callable[[str], int]  # of an ENI
    observed: Callable[[str, InstanceState], None]  # instance id, state reached
    failed: Callable[[str, str], None]  # instance id, why it could not be


class Worker:
    """Keeps one machine equal to its desired state."""

    def __init__(self, instance_id: str, directory: Path, image: Image, hooks: Hooks) -> None:
        self.instance_id = instance_id
        self.machine: Machine | None = None
        self.problem = ""  # why the last desired state was not reached
        self._spec = MachineSpec(id=instance_id, directory=directory)
        self._image = image
        self._hooks = hooks
        self._condition = threading.Condition()
        self._desired: Desired | None = None
        self._reached: Desired | None = None
        self._booted = 0
        self._thread = threading.Thread(target=self._work, name=f"machine {instance_id}", daemon=True)
        self._thread.start()

    def want(self, desired: Desired) -> None:
        """Set what the machine ought to be from now on."""
        with self._condition:
            if desired != self._desired:
                self._desired = desired
                self._condition.notify()

    def again(self) -> None:
        """Look at the desired state once more: something else changed the machine."""
        with self._condition:
            self._reached = None
            self._condition.notify()

    def _work(self) -> None:
        while self._reached is None or self._reached.state is not InstanceState.TERMINATED:
            with self._condition:
                while self._desired == self._reached and not self._powered_off():
                    self._condition.wait(POLL_S)
                desired = self._desired
            if desired is None:
                continue
            self._follow(desired)

    def _follow(self, desired: Desired) -> None:
        try:
            if desired == self._reached:  # the guest powered itself off, which stops the instance
                self._hooks.observed(self.instance_id, InstanceState.STOPPED)
            else:
                self._reach(desired)
            self.problem = ""
        except LabError as error:
            self._give_up(error.message)
        except Exception as error:
            log.exception("%s cannot be made %s", self.instance_id, desired)
            self._give_up(repr(error))
        self._reached = desired

    def _give_up(self, why: str) -> None:
        log.error("%s: %s", self.instance_id, why)
        self.problem = why
        self._hooks.failed(self.instance_id, why)

    def _powered_off(self) -> bool:
        return (
            self.machine is not None
            and self._reached is not None
            and self._reached.state is InstanceState.RUNNING
            and self.machine.state is MachineState.STOPPED
        )

    def _reach(self, desired: Desired) -> None:
        machine = self.machine
        if desired.state is InstanceState.RUNNING:
            self._run(desired)
        elif desired.state is InstanceState.STOPPED:
            if machine is not None:
                machine.stop()
        elif machine is not None:
            machine.destroy()
            self.machine = None
        self._hooks.observed(self.instance_id, desired.state)

    def _run(self, desired: Desired) -> None:
        if self.machine is None:
            with opened(desired.nics, self._hooks) as nics:
                self.machine = Machine.start(self._spec, self._image, nics, niceness=desired.niceness)
        elif self.machine.state is MachineState.STOPPED:
            with opened(desired.nics, self._hooks) as nics:
                self.machine.boot(nics, niceness=desired.niceness)
        elif self.machine.state is not MachineState.RUNNING:
            return  # hung or crashed by a fault: what is to be plugged waits for its end
        elif desired.boot_count != self._booted:
            self.machine.restart()
        self._booted = desired.boot_count
        wanted = dict(desired.nics)
        for mac in [mac for mac in self.machine.macs if mac not in wanted]:
            self.machine.unplug(mac)
        missing = tuple((mac, eni) for mac, eni in desired.nics if mac not in self.machine.macs)
        with opened(missing, self._hooks) as nics:
            for nic in nics:
                self.machine.plug(nic)

    def revive(self) -> None:
        """Boot a machine that was killed, or reset one that runs or hangs."""
        if self.machine is None or self._desired is None:
            raise LabError(f"{self.instance_id} has no machine", hint="`lab status` shows its state")
        if self._desired.state is not InstanceState.RUNNING:
            raise LabError(
                f"the instance is {self._desired.state}, so its machine stays off",
                hint="start it as one does on AWS: StartInstances",
            )
        if self.machine.alive:
            self.machine.restart()
            self.again()
            return
        with opened(self._desired.nics, self._hooks) as nics:
            self.machine.boot(nics, niceness=self._desired.niceness)


@contextmanager
def opened(nics: tuple[tuple[str, str], ...], hooks: Hooks) -> Any:
    """NICs with their taps open; QEMU takes copies, ours are closed in the end."""
    ready: list[Nic] = []
    try:
        for mac, eni in nics:
            ready.append(Nic(mac=mac, tap_fd=hooks.tap_fd(eni)))
        yield ready
    finally:
        for nic in ready:
            os.close(nic.tap_fd)


def niceness_of(instance_type: str) -> int:
    """A burstable instance (t2, t3, t3a, t4g) is sure of a fifth of a core; others have theirs to themselves.

    So where this machine's cores do not suffice, burstable ones give way: as 1 to 3, by Linux's weights.
    """
    return 5 if BURSTABLE.match(instance_type) else 0


class Park:
    """All machines of a lab."""

    def __init__(self, directory: Path, image: Image, hooks: Hooks) -> None:
        self.accelerator = image.accelerator.name.upper()
        self._directory = directory
        self._image = image
        self._hooks = hooks
        self._workers: dict[str, Worker] = {}
        self._lock = threading.Lock()

    def apply(self, world: World) -> None:
        """Tell every worker what its machine ought to be."""
        with self._lock:
            for instance in world.instances.values():
                worker = self._workers.get(instance.id)
                if worker is None:
                    if instance.state is InstanceState.TERMINATED:
                        continue
                    worker = Worker(instance.id, self._directory / instance.id, self._image, self._hooks)
                    self._workers[instance.id] = worker
                nics = tuple((eni.mac, eni.id) for eni in world.enis_of(instance.id))
                worker.want(
                    Desired(instance.state, instance.boot_count, nics, niceness_of(instance.instance_type))
                )

    def fault(self, kind: str, instance_id: str, eni: Eni | None) -> None:
        """Do something to a machine that no API would."""
        worker = self._workers.get(instance_id)
        machine = worker.machine if worker is not None else None
        if worker is None or machine is None:
            raise LabError(f"{instance_id} has no machine yet", hint="`lab status` shows its state")
        match kind:
            case "kill":
                machine.kill()
            case "hang" | "resume" | "unplug" | "plug" if not machine.alive:
                raise LabError(f"its machine is {machine.state}", hint="`lab fault restart` boots it")
            case "hang":
                machine.hang()
            case "resume":
                machine.resume()
                worker.again()
            case "restart":
                worker.revive()
            case "unplug" if eni is not None:
                machine.link_down(eni.mac)
            case "plug" if eni is not None:
                machine.link_up(eni.mac)
            case _:
                raise LabError(f"there is no fault {kind!r}", hint="see `lab fault --help`")

    def report(self) -> dict[str, Any]:
        """Per instance id: state, resident memory in MiB, and what went wrong."""
        with self._lock:
            workers = dict(self._workers)
        return {instance_id: describe(worker) for instance_id, worker in workers.items()}


def describe(worker: Worker) -> dict[str, Any]:
    """One machine for the status."""
    machine = worker.machine
    if machine is None:
        return {"state": "starting" if not worker.problem else "failed", "problem": worker.problem}
    state, problem = str(machine.state), worker.problem
    if waits_for_room(machine):
        state = "paused"
        problem = f"no space left in {machine.spec.directory}: make room, then `lab fault resume`"
    return {
        "state": state,
        "resident_mib": machine.resident_bytes // 2**20,
        "console_log": str(machine.console_log),
        "problem": problem,
        "unplugged": machine.unplugged,
    }


def waits_for_room(machine: Machine) -> bool:
    """Whether its disk could not grow; a machine that ends or hangs just now does not say, so: no."""
    try:
        return machine.waits_for_room()
    except MachineError as error:
        log.info("%s", error.message)
        return False
