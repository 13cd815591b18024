"""Applying worlds: idempotent, by difference, cleaning up, also after a failure and without root."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.fabric import Fabric, live
from lab.fabric.names import NETNS_DIRECTORY
from lab.world import World
from tests.lab.guests import Guest, fabric_of, line, wait_until
from tests.lab.isolation import isolated, isolated_user
from tests.lab.worlds import change, holding, with_eni, with_vpc, without_eni


def reference() -> World:
    """Three VPCs, two of them alike, and five ENIs."""
    world = World()
    for vpc in ("one", "two", "three"):
        world = with_vpc(world, vpc)
    world = with_eni(world, "a", "one", "10.0.1.11", "10.0.1.100", public="198.19.0.1")
    world = with_eni(world, "b", "one", "10.0.1.12", public="198.19.0.2")
    world = with_eni(world, "c", "two", "10.0.1.11")
    world = with_eni(world, "d", "two", "10.0.1.12")
    return with_eni(world, "e", "three", "10.0.1.11", public="198.19.0.3")


def kernel_state() -> dict[str, str]:
    """All that iproute2 and nft show of every namespace, indexes of devices and handles of rules included."""
    names = sorted(path.name for path in NETNS_DIRECTORY.iterdir())
    show = "ip -d link; ip addr; ip rule; ip route show table all; ip neigh show nud permanent"
    show += "; nft -a list ruleset"
    enter = {name: ["nsenter", f"--net={NETNS_DIRECTORY / name}"] for name in names} | {"": []}
    return {
        name: subprocess.run(
            [*argv, "sh", "-c", show], check=True, capture_output=True, text=True, env=sbin()
        ).stdout
        for name, argv in enter.items()
    }


def sbin() -> dict[str, str]:
    """The environment with the administrator's programs on PATH."""
    return os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


def settled_state() -> dict[str, str]:
    """The state once every veth reports its carrier."""
    wait_until("carrier everywhere", lambda: all("LOWERLAYERDOWN" not in t for t in kernel_state().values()))
    wait_until("no veth is down", lambda: not any("NO-CARRIER" in one for one in veths(kernel_state())))
    return kernel_state()


def veths(state: dict[str, str]) -> list[str]:
    """The lines of the ends of wires."""
    return [text for one in state.values() for text in one.splitlines() if "@if" in text]


@isolated
def test_the_same_world_again_changes_nothing() -> None:
    fabric = Fabric()
    fabric.apply(reference())
    before = settled_state()
    fabric.apply(reference())
    assert kernel_state() == before


@isolated
def test_a_moved_address_touches_two_enis_and_one_router() -> None:
    fabric = Fabric()
    fabric.apply(reference())
    before = settled_state()
    fabric.apply(holding(holding(reference(), "a", "10.0.1.11"), "b", "10.0.1.12", "10.0.1.100"))
    after = kernel_state()
    assert {name for name in before if before[name] != after[name]} == {"eni-a", "eni-b", "vpc-one"}
    fabric.apply(reference())
    assert {name: sorted(text.split()) for name, text in kernel_state().items()} == {
        name: sorted(text.split()) for name, text in before.items()
    }


@isolated
def test_what_the_world_no_longer_has_is_gone() -> None:
    world = reference()
    fabric = fabric_of(world)
    alone = settled_state()
    world = with_eni(with_vpc(world, "more"), "f", "more", "10.0.1.11", public="198.19.0.9")
    world = with_eni(world, "g", "one", "10.0.1.13", public="198.19.0.8")
    fabric.apply(world)
    machine = fabric.tap_fd("eni-g")  # a machine still holds it
    fabric.apply(reference())
    after = kernel_state()
    assert after.keys() == alone.keys()
    assert {name: sorted(text.split()) for name, text in after.items()} == {
        name: sorted(text.split()) for name, text in alone.items()
    }
    with pytest.raises(OSError, match="File descriptor in bad state"):
        os.read(machine, 1)


@isolated
def test_close_leaves_nothing_behind() -> None:
    before = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True).stdout
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    fabric = Fabric()
    fabric.apply(reference())
    fabric.close()
    assert list(NETNS_DIRECTORY.iterdir()) == []
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    addresses = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    assert links.count("\n") == before.count("link/")
    assert "198.18" not in addresses
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert threading.active_count() == threads


@isolated
def test_a_machine_may_come_back_to_its_tap_but_not_share_it() -> None:
    fabric = Fabric()
    fabric.apply(reference())
    first = fabric.tap_fd("eni-a")
    with pytest.raises(LabError, match="in use"):
        fabric.tap_fd("eni-a")
    os.close(first)
    os.close(fabric.tap_fd("eni-a"))


@isolated
def test_an_eni_that_is_not_there_is_a_clear_error() -> None:
    fabric = Fabric()
    fabric.apply(reference())
    for ask in (fabric.tap_fd, fabric.counters, fabric.imds_listener, fabric.capture_argv):
        with pytest.raises(LabError, match="no network interface 'eni-nobody'"):
            ask("eni-nobody")


@isolated
def test_the_next_apply_mends_what_a_failed_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    fabric = Fabric()
    for broken in ("set_route", "add_tap", "up_without_arp", "set_table"):
        calls = iter([*[None] * 3, OSError("no memory")])
        whole = getattr(live.LiveNamespace, broken)

        def fail(self: live.LiveNamespace, *a: object, _calls=calls, _whole=whole, **k: object) -> object:  # type: ignore[no-untyped-def]
            if (error := next(_calls, None)) is not None:
                raise error
            return _whole(self, *a, **k)

        with monkeypatch.context() as patch:
            patch.setattr(live.LiveNamespace, broken, fail)
            with pytest.raises(OSError, match="no memory"):
                fabric.apply(reference())
        fabric.apply(reference())
        mended = settled_state()
        fabric.close()
        fabric = Fabric()
        fabric.apply(reference())
        assert {name: shape(text) for name, text in mended.items()} == {
            name: shape(text) for name, text in settled_state().items()
        }
        fabric.apply(World())
    fabric.close()


def shape(text: str) -> list[str]:
    """The words without what the kernel counts up."""
    return sorted(word for word in text.split() if not any(c.isdigit() for c in word) or "." in word)


@isolated
def test_callers_from_many_threads_take_turns() -> None:
    fabric = Fabric()
    worlds = [reference(), without_eni(reference(), "b"), change(reference(), "a", source_dest_check=False)]
    threads = [threading.Thread(target=fabric.apply, args=(world,)) for world in worlds * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fabric.apply(reference())
    assert {path.name for path in NETNS_DIRECTORY.iterdir()} == {*reference().vpcs, *reference().enis}


@isolated_user
def test_an_ordinary_user_gets_the_same_network() -> None:
    world = reference()
    fabric = fabric_of(world)
    a, b = Guest(fabric, world, "eni-a"), Guest(fabric, world, "eni-b")
    b.serve(80)
    assert line(a.connect("10.0.1.12", 80)) == "10.0.1.11"
    assert line(a.connect("198.19.0.2", 80)) == "198.19.0.1"
    fabric.close()


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.fabric.tools.find", lambda _program: None)
    with pytest.raises(LabError, match="iptables, tcpdump") as caught:
        Fabric.check()
    assert caught.value.hint == "run: apt-get install iproute2 iptables tcpdump util-linux"
