"""QEMU's command line: what a guest is made of, without starting one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lab.machine.accelerator import KVM, TCG
from lab.machine.command_line import NIC_SLOTS, Hardware, Memory, command

HARDWARE = Hardware(
    name="i-1",
    accelerator=TCG,
    kernel=Path("/k"),
    initrd=Path("/i"),
    disks=((Path("/own"), "qcow2"), (Path("/template"), "qcow2"), (Path("/root"), "raw")),
    memory=Path("/ram"),
    memory_mode=Memory.PRIVATE,
    console=Path("/a,b/console"),
)


def options(argv: list[str], name: str) -> list[str]:
    """The values of an option that may be given several times."""
    return [argv[i + 1] for i, word in enumerate(argv) if word == name]


def test_only_the_own_disk_is_written() -> None:
    nodes = [json.loads(o) for o in options(command(HARDWARE, 3, paused=True, incoming=True), "-blockdev")]
    assert [(n["file"]["filename"], n["read-only"], n["file"]["read-only"]) for n in nodes] == [
        ("/root", True, True),
        ("/template", True, True),
        ("/own", False, False),
    ]
    assert [n.get("backing") for n in nodes] == [None, "disk2", "disk1"]


def test_instances_copy_the_templates_memory_and_the_template_writes_it() -> None:
    def share(hardware: Hardware) -> object:
        (ram,) = options(command(hardware, 3, paused=False, incoming=False), "-object")
        return json.loads(ram).get("share")

    assert share(HARDWARE) is False
    assert share(replace(HARDWARE, memory_mode=Memory.SHARED)) is True
    assert share(replace(HARDWARE, memory=None)) is None  # an ordinary boot: memory of its own


def test_the_template_and_its_clones_differ_in_nothing_a_saved_state_depends_on() -> None:
    clone = command(HARDWARE, 3, paused=True, incoming=True)
    template = command(replace(HARDWARE, disks=HARDWARE.disks[1:]), 3, paused=False, incoming=False)
    assert options(clone, "-device") == options(template, "-device")
    for option in ("-M", "-m", "-smp", "-cpu", "-accel", "-rtc"):
        assert options(clone, option) == options(template, option)


def test_qemu_has_no_network_of_its_own_and_may_start_nothing() -> None:
    argv = command(HARDWARE, 3, paused=False, incoming=False)
    assert "-nodefaults" in argv
    assert not set(argv) & {"-net", "-netdev", "-nic"}
    (sandbox,) = options(argv, "-sandbox")
    assert sandbox.startswith("on,")
    assert "spawn=deny" in sandbox


def test_cmpxchg16b_is_off_where_it_is_emulated_wrongly() -> None:
    assert options(command(HARDWARE, 3, paused=False, incoming=False), "-cpu") == ["max,-cx16"]
    on_kvm = command(replace(HARDWARE, accelerator=KVM), 3, paused=False, incoming=False)
    assert options(on_kvm, "-cpu") == ["host"]


def test_paths_and_names_may_have_commas() -> None:
    argv = command(replace(HARDWARE, name="a,process=b"), 3, paused=False, incoming=False)
    assert any(o.endswith("path=/a,,b/console") for o in options(argv, "-chardev"))
    assert options(argv, "-name") == ["guest=a,,process=b"]


def test_fifteen_nics_fit() -> None:
    assert len(NIC_SLOTS) >= 15


def test_a_guest_that_boots_while_the_machine_is_busy_does_not_give_up_its_timer() -> None:
    (arguments,) = options(command(HARDWARE, 3, paused=True, incoming=False), "-append")
    assert "no_timer_check" in arguments.split()
