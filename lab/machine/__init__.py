"""Instances as QEMU guests, each cloned from the saved template in a fraction of a second.

Machine.start ──▶ overlay disk, QEMU restored from the template ──▶ plug(Nic) per ENI ──▶ the guest's agent
Machine.boot  ──▶ the same disk again, by an ordinary boot          asks the metadata who it is
"""

from lab.machine.machine import Machine, MachineSpec, MachineState
from lab.machine.nic import Nic
from lab.machine.qmp import MachineError

__all__ = ["Machine", "MachineError", "MachineSpec", "MachineState", "Nic"]
