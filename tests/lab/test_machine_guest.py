"""A machine becomes the instance that its metadata says: real guests, cloned from the template."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import paramiko
import pytest

from lab.image import Image, ensure_image
from lab.machine import Machine, MachineError, MachineSpec, Nic
from tests.lab.isolation import isolate
from tests.lab.machine_wire import INSTANCE, Login, Wire, close_taps, wait_until

pytestmark = pytest.mark.lab

DEADLINE_S = 400.0
P = ParamSpec("P")
CLOCK_S = 3.0  # the RTC has whole seconds; the rest is what an SSH command takes


def in_own_namespaces(test: Callable[P, None]) -> Callable[P, None]:
    """As root of fresh namespaces, with time for several boots."""
    return isolate(test, own_user=os.geteuid() != 0, deadline_s=DEADLINE_S)


@pytest.fixture(scope="module")
def image() -> Image:
    """Built if it is not there."""
    return ensure_image(print)


def started(directory: Path, image: Image, *nics: Nic, instance_id: str = INSTANCE) -> Machine:
    """A new machine with these NICs; their taps are its own from now on."""
    machine = Machine.start(MachineSpec(id=instance_id, directory=directory), image, nics)
    close_taps(list(nics))
    return machine


def devices(login: Login) -> dict[str, str]:
    """MAC → name of the guest's NICs."""
    listed = login.succeed("grep -H . /sys/class/net/*/address")
    pairs = (line.split(":", 1) for line in listed.splitlines())
    return {mac: path.split("/")[4] for path, mac in pairs if mac != "00:00:00:00:00:00"}


@in_own_namespaces
def test_an_instance_is_who_its_metadata_says(image: Image, tmp_path: Path) -> None:
    wire = Wire(user_data='#!/bin/sh\necho "$(id -u) $(hostname)" >/root/user-data\n')
    nic = wire.nic(0)
    started(tmp_path / "one", image, nic)
    login = wire.log_in()
    assert login.succeed("hostname").strip() == "ip-10-9-0-5"
    assert login.succeed("getent hosts $(hostname)")
    assert "inet 10.9.0.5/24" in login.succeed("ip -o -4 addr show dev eth0")
    assert "10.9.0.100" not in login.succeed("ip -o -4 addr")  # secondary addresses are for who wants them
    assert "169.254" not in login.succeed("ip -4 addr; ip -4 route")
    assert login.succeed("ip -4 route show default").startswith("default via 10.9.0.1 dev eth0")
    assert login.succeed("cat /sys/class/net/eth0/mtu").strip() == "9001"
    assert abs(float(login.succeed("date +%s.%N")) - time.time()) < CLOCK_S
    assert login.succeed("sudo id -u").strip() == "0"
    assert login.succeed("systemctl --failed --no-legend") == ""
    assert "instance" in login.succeed("sudo journalctl --no-pager -u ec2-agent")
    wait_until("the user data ran", lambda: login.succeed("sudo cat /root/user-data || true") != "")
    assert login.succeed("sudo cat /root/user-data") == "0 ip-10-9-0-5\n"


@in_own_namespaces
def test_two_nics_at_once_are_told_apart_by_mac(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    first, second = wire.nic(0), wire.nic(1)
    machine = started(tmp_path / "one", image, second, first)  # the primary one comes last
    login = wire.log_in()
    names = devices(login)
    assert set(names) == {first.mac, second.mac}
    assert f"default via 10.9.0.1 dev {names[first.mac]}" in login.succeed("ip route")
    assert "inet 10.9.0.5/24" in login.succeed(f"ip -o addr show dev {names[first.mac]}")
    wait_until("it is up", lambda: "UP" in login.succeed(f"ip -br link show dev {names[second.mac]}"))
    assert "inet " not in login.succeed(f"ip -o addr show dev {names[second.mac]}")
    assert sorted(machine.macs) == sorted([first.mac, second.mac])


@in_own_namespaces
def test_nics_come_and_go_while_it_runs(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    machine = started(tmp_path / "one", image, wire.nic(0))
    login = wire.log_in()
    second = wire.nic(1)
    machine.plug(second)
    wait_until("the second NIC is there", lambda: second.mac in devices(login))
    with pytest.raises(MachineError, match="already"):
        machine.plug(second)
    carrier = f"cat /sys/class/net/{devices(login)[second.mac]}/carrier"
    wait_until("its link is up", lambda: login.succeed(f"{carrier} || true").strip() == "1")
    machine.link_down(second.mac)
    wait_until("its carrier is gone", lambda: login.succeed(carrier).strip() == "0")
    machine.link_up(second.mac)
    wait_until("its carrier is back", lambda: login.succeed(carrier).strip() == "1")
    machine.unplug(second.mac)
    assert second.mac not in devices(login)
    with pytest.raises(MachineError, match="no NIC"):
        machine.unplug(second.mac)
    machine.plug(second)  # its slot and its tap are free again
    wait_until("it is back", lambda: second.mac in devices(login))


@in_own_namespaces
def test_fifteen_nics_fit(image: Image, tmp_path: Path) -> None:
    wire = Wire()
    nics = [wire.nic(number) for number in range(15)]
    started(tmp_path / "one", image, *nics)
    login = wire.log_in()
    wait_until("all are there", lambda: set(devices(login)) == {n.mac for n in nics})


@in_own_namespaces
def test_siblings_share_no_secret(image: Image, tmp_path: Path) -> None:
    wire = Wire()

    def facts(name: str) -> set[str]:
        nic = wire.nic(0)
        machine = started(tmp_path / name, image, nic)
        login = wire.log_in()
        found = {
            login.host_key(),
            login.succeed("cat /etc/machine-id"),
            login.succeed("head -c 8 /dev/urandom | base64"),
        }
        login.client.close()
        machine.destroy()
        assert not (tmp_path / name).exists()
        return found

    one, other = facts("one"), facts("other")
    assert len(one) == 3
    assert one & other == set()


@in_own_namespaces
def test_nobody_gets_in_without_the_key(image: Image, tmp_path: Path) -> None:
    wire, stranger = Wire(), Wire.__new__(Wire)
    started(tmp_path / "one", image, wire.nic(0))
    wire.log_in()
    stranger.key = paramiko.RSAKey.generate(2048)
    with pytest.raises(AssertionError, match="SSH lets us in"):
        stranger.log_in(deadline_s=5)
