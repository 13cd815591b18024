"""Two proxies fail in every way, under open connections: real keepalived and conntrackd, an API that moves addresses.

How long connections stall depends on how busy this machine is: the bounds here only tell a failover from its absence.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from lab.paths import PROJECT
from tests.lab.conftest import LabUnderTest, wait_until
from tests.lab.pair_network import (
    CLIENT,
    FUNC,
    HAVIP,
    NAMESPACE,
    PROXIES,
    TCP_PORT,
    USER_ADDRESS,
    USER_HAVIP,
    PairNetwork,
    other,
)

pytestmark = pytest.mark.lab

CONNECTIONS = 20
STALL_S = 10.0
IN_TENANT = f"ip netns exec {NAMESPACE}"
CONNTRACKD = f"causeway-sync@{NAMESPACE}"
COUNT = f"{IN_TENANT} conntrack -L -p tcp --dport {TCP_PORT} 2>/dev/null | grep -c ESTABLISHED || true"


@dataclass
class Connections:
    """Once they are closed: how many ended in which way, and the longest stalls of each in seconds."""

    ends: dict[str, int] = field(default_factory=dict)
    stalls_s: list[float] = field(default_factory=list)


@pytest.fixture(scope="module")
def pair() -> Iterator[PairNetwork]:
    """Two proxies, one of them active."""
    kept = os.environ.get("CAUSEWAY_TEST_PAIR")
    lab = LabUnderTest(kept or f"pair-{os.getpid()}")
    try:
        lab.command("up", "--empty")
        network = PairNetwork(lab)
        if network.stands():
            network.configure()
        else:
            network.build()
        yield network
    finally:
        if kept is None:
            lab.command("down")


@contextmanager
def connections(pair: PairNetwork, count: int = CONNECTIONS) -> Iterator[Connections]:
    """Open and busy while the block runs, and then for as long as they still wait for an answer."""
    words = (FUNC, "--", "python3", "-c", CLIENT, USER_ADDRESS, str(TCP_PORT), str(count))
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "exec", "--name", pair.lab.name, *words],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    seen = Connections()
    try:
        yield seen
    finally:
        said, _ = process.communicate(timeout=60)
    for line in said.splitlines():
        end, _, stall_ms = line.rpartition("|")
        seen.ends[end] = seen.ends.get(end, 0) + 1
        seen.stalls_s.append(int(stall_ms) / 1000)


def all_live(seen: Connections, count: int = CONNECTIONS) -> None:
    """Not one was cut, and none waited too long."""
    print(f"stalls: median {sorted(seen.stalls_s)[count // 2]} s, longest {max(seen.stalls_s)} s")
    assert seen.ends == {"ok": count}
    assert max(seen.stalls_s) < STALL_S


def is_alone(pair: PairNetwork, proxy: str) -> None:
    """This proxy has every HaVip, says the API, and is whole; whether the other is there or not."""
    wait_until(f"{proxy} is whole", lambda: (s := pair.state(proxy))["state"] == "active" and s["whole"])
    assert pair.holders() == {HAVIP: proxy, USER_HAVIP: proxy}


def is_whole_again(pair: PairNetwork, active: str) -> None:
    """This one is active, the other stands by; no address is in both kernels."""
    assert pair.active() == active
    assert pair.holders() == {HAVIP: active, USER_HAVIP: active}
    for proxy in PROXIES:
        wait_until(f"{proxy} has all addresses or none", partial(kernel_has, pair, proxy, proxy == active), 5)


def kernel_has(pair: PairNetwork, proxy: str, wanted: bool) -> bool:
    """All HaVips or none are addresses of this proxy."""
    here = pair.lab.succeed(proxy, f"ip -br -4 addr; {IN_TENANT} ip -br -4 addr")
    return [f" {a}/32" in here for a in (HAVIP, USER_HAVIP)] == [wanted] * 2


def test_applying_again_changes_nothing(pair: PairNetwork) -> None:
    pair.active()
    for proxy in PROXIES:
        said = pair.lab.succeed(proxy, "/opt/causeway/apply").splitlines()
        assert [line for line in said if not line.endswith(": unchanged")] == []


def test_a_killed_one_is_followed_by_the_other(pair: PairNetwork) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.lab.command("fault", "kill", active)
        pair.lab.forget(active)
        is_alone(pair, other(active))
    all_live(seen)
    pair.lab.command("fault", "restart", active)
    is_whole_again(pair, other(active))
    standby = active
    wait_until("it is ready", lambda: pair.lab.exec(standby, ["/opt/causeway/pair ready"]).returncode == 0)


def test_one_that_wakes_from_a_hang_takes_nothing_back(pair: PairNetwork) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.lab.command("fault", "hang", active)
        is_alone(pair, other(active))
        pair.lab.command("fault", "resume", active)
        is_whole_again(pair, other(active))
    all_live(seen)


def test_a_switch_cuts_nothing(pair: PairNetwork) -> None:
    active = pair.active()
    with connections(pair) as seen:
        assert "the other one has every HaVip" in pair.lab.succeed(active, "/opt/causeway/pair switch")
    all_live(seen)
    is_whole_again(pair, other(active))


@pytest.mark.parametrize("device", ["eth0", "eth1"])
def test_an_unplugged_nic_is_a_failover(pair: PairNetwork, device: str) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.lab.command("fault", "unplug", active, device)
        try:
            is_alone(pair, other(active))
        finally:
            pair.lab.command("fault", "plug", active, device)
        is_whole_again(pair, other(active))
    all_live(seen)


@pytest.mark.parametrize(
    ("damage", "mending"),
    [
        (f"{IN_TENANT} sysctl -qw net.ipv4.ip_forward=0", "/opt/causeway/apply forward"),
        ("systemctl stop causeway-keepalived", "/opt/causeway/apply pair"),
        ("kill -KILL $(systemctl show --value --property MainPID causeway-pair)", "true"),
    ],
)
def test_a_damaged_one_is_followed_by_the_other(pair: PairNetwork, damage: str, mending: str) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.lab.succeed(active, damage)
        is_alone(pair, other(active))
        pair.lab.succeed(active, mending)
    all_live(seen)
    is_whole_again(pair, other(active))


def test_a_standby_without_conntrackd_alarms_and_gets_the_whole_table_when_it_is_back(
    pair: PairNetwork,
) -> None:
    standby = other(pair.active())
    with connections(pair) as seen:
        wait_until("all are known", lambda: int(pair.lab.succeed(standby, COUNT)) >= CONNECTIONS)
        pair.lab.succeed(standby, f"systemctl stop {CONNTRACKD}; {IN_TENANT} conntrack -F 2>/dev/null")
        alarm = f"connections of {NAMESPACE} are not synchronised: conntrackd is inactive"
        wait_until("it alarms", lambda: pair.state(standby)["alarms"] == [alarm])
        assert "not synchronised" in pair.lab.fail(standby, "/opt/causeway/pair ready")
        pair.lab.succeed(standby, "/opt/causeway/apply sync")
        wait_until("all are known again", lambda: int(pair.lab.succeed(standby, COUNT)) >= CONNECTIONS)
        pair.lab.succeed(
            standby, f"systemctl kill -s KILL {CONNTRACKD}; {IN_TENANT} conntrack -F 2>/dev/null"
        )
        wait_until("all are known once more", lambda: int(pair.lab.succeed(standby, COUNT)) >= CONNECTIONS)
        wait_until("nothing alarms", lambda: pair.state(standby)["alarms"] == [])
    all_live(seen)


def test_an_api_that_is_down_delays_a_failover_but_cuts_nothing(pair: PairNetwork) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.lab.command("weather", "AssignPrivateIpAddresses", "--down")
        try:
            pair.lab.succeed(active, "systemctl stop causeway-keepalived")
            wait_until("it alarms", lambda: "HTTP 503" in " ".join(pair.state(other(active))["alarms"]))
        finally:
            pair.lab.command("weather", "AssignPrivateIpAddresses")
        is_alone(pair, other(active))
        pair.lab.succeed(active, "/opt/causeway/apply pair")
    all_live(seen)
    is_whole_again(pair, other(active))


def test_living_proxies_that_do_not_hear_each_other_end_with_one_owner(pair: PairNetwork) -> None:
    pair.active()
    with connections(pair) as seen:
        pair.lab.command("block", *PROXIES, "--protocol", "112")
        try:
            wait_until("one took over", lambda: any(pair.state(p)["state"] == "yielding" for p in PROXIES))
        finally:
            pair.lab.command("unblock")
        is_whole_again(pair, pair.active())
    all_live(seen)


def test_a_reboot_of_the_active_one_is_a_failover(pair: PairNetwork) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.lab.exec(active, ["systemctl reboot"])
        pair.lab.forget(active)
        is_alone(pair, other(active))
    all_live(seen)
    is_whole_again(pair, other(active))


def test_from_pair_to_single_the_last_one_goes_on(pair: PairNetwork) -> None:
    active = pair.active()
    with connections(pair) as seen:
        pair.given(other(active), pair={"peer": None}, sync={"tenants": []})
        pair.given(active, pair={"peer": None}, sync={"tenants": []})
    all_live(seen)
    for proxy in PROXIES:
        units = pair.lab.succeed(proxy, "systemctl list-units --all --plain --no-legend 'causeway-*'")
        assert [line.split()[0] for line in units.splitlines() if " running " in line] == []
        assert "causeway_pair" not in pair.lab.succeed(proxy, "nft list tables")
