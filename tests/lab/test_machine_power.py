"""What machines live through: reset, power off, SIGKILL, SIGSTOP. Real guests."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from lab.image import Image
from lab.machine import Machine, MachineError, MachineState
from tests.lab.machine_wire import Wire, close_taps, wait_until
from tests.lab.test_machine_guest import image, in_own_namespaces, started

__all__ = ["image"]
pytestmark = pytest.mark.lab


def answers() -> bool:
    """Whether the guest's kernel takes a TCP connection on port 22."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("10.9.0.5", 22)) == 0


def state(machine: Machine) -> MachineState:
    """Now; mypy takes a property for unchanged."""
    return machine.state


@in_own_namespaces
def test_a_reset_boots_the_same_disk_with_the_same_nics(image: Image, tmp_path: Path) -> None:
    wire = Wire(user_data="#!/bin/sh\necho ran >>/root/user-data\n")
    first, second = wire.nic(0), wire.nic(1)
    machine = started(tmp_path / "one", image, first, second)
    login = wire.log_in()
    wait_until("the user data ran", lambda: login.succeed("sudo cat /root/user-data || true") != "")
    before = (login.host_key(), login.succeed("cat /etc/machine-id"))
    boot = "cat /proc/sys/kernel/random/boot_id"
    first_boot = login.succeed(f"echo kept >note && sync && {boot}")
    machine.restart()
    wait_until("it is down", lambda: not answers())
    login = wire.log_in()
    assert login.succeed(boot) != first_boot
    assert login.succeed("cat note") == "kept\n"
    assert (login.host_key(), login.succeed("cat /etc/machine-id")) == before
    assert login.succeed("sudo cat /root/user-data") == "ran\n"  # once per instance
    assert "default via 10.9.0.1" in login.succeed("ip route")
    assert second.mac in login.succeed("cat /sys/class/net/*/address")
    assert login.succeed("sudo systemctl start network-online.target && echo online") == "online\n"
    assert login.succeed("systemctl --failed --no-legend") == ""
    assert machine.state is MachineState.RUNNING
    machine.unplug(second.mac)
    assert second.mac not in login.succeed("cat /sys/class/net/*/address")


@in_own_namespaces
def test_stopped_and_started_again_it_has_its_disk(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    machine = started(tmp_path / "one", image, wire.nic(0))
    login = wire.log_in()
    login.succeed("echo kept >note")  # powering off writes it to the disk
    machine.stop()
    assert machine.state is MachineState.STOPPED
    assert machine.resident_bytes == 0
    with pytest.raises(MachineError, match="stopped"):
        machine.plug(wire.nic(1))
    nic = wire.nic(0)
    machine.boot([nic])
    close_taps([nic])
    with pytest.raises(MachineError, match="running"):
        machine.boot()
    login = wire.log_in()
    assert login.succeed("cat note") == "kept\n"
    assert "Powering off" in login.succeed("sudo journalctl --no-pager --unit systemd-logind")  # it was asked
    assert machine.macs == [nic.mac]


@in_own_namespaces
def test_killed_it_keeps_what_was_synced(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    machine = started(tmp_path / "one", image, wire.nic(0))
    login = wire.log_in()
    login.succeed("echo kept >note && sync")
    key = login.host_key()
    machine.kill()
    assert machine.state is MachineState.CRASHED
    assert not answers()
    with pytest.raises(MachineError, match="crashed"):
        machine.restart()
    nic = wire.nic(0)
    machine.boot([nic])
    close_taps([nic])
    login = wire.log_in()
    assert login.succeed("cat note") == "kept\n"
    assert login.host_key() == key


@in_own_namespaces
def test_a_full_disk_pauses_it_until_there_is_room(image: Image, tmp_path: Path) -> None:
    """In this namespace's own small file system."""
    room = tmp_path / "room"
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "small", str(room)], check=True)
    wire = Wire()
    machine = started(room / "one", image, wire.nic(0))
    login = wire.log_in()
    assert not machine.waits_for_room()
    login.succeed("sudo systemd-run --quiet dd if=/dev/urandom of=/root/large bs=1M count=128 conv=fsync")
    wait_until("the disk is full", machine.waits_for_room)
    machine.resume()
    wait_until("it is still full", machine.waits_for_room)
    subprocess.run(["mount", "-o", "remount,size=512m", str(room)], check=True)
    machine.resume()
    assert not machine.waits_for_room()
    wait_until("all is written", lambda: "134217728" in login.succeed("sudo stat -c %s /root/large && sync"))


@in_own_namespaces
def test_powered_off_from_inside_it_is_stopped(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    machine = started(tmp_path / "one", image, wire.nic(0))
    wire.log_in().succeed("sudo systemctl --no-block poweroff")
    wait_until("it is off", lambda: machine.state is MachineState.STOPPED)


@in_own_namespaces
def test_a_hung_machine_neither_runs_nor_answers_until_it_is_woken(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    machine = started(tmp_path / "one", image, wire.nic(0))
    login = wire.log_in()
    machine.hang()
    assert state(machine) is MachineState.HUNG
    assert not answers()
    with pytest.raises(MachineError, match="hung"):
        machine.unplug(machine.macs[0])
    machine.resume()
    assert state(machine) is MachineState.RUNNING
    assert login.succeed("echo the same session").strip() == "the same session"
    machine.hang()
    machine.destroy()  # a hung one, too
    assert not machine.spec.directory.exists()
