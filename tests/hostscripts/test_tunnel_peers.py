"""Func hosts that come and go on a proxy: told in ranges, and done by difference where nothing else differs."""

from __future__ import annotations

import json
import re
import tempfile
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.host_state_shapes import PeerRange
from components.peer_ranges import peer_ranges
from tests.hostscripts.stub_host import StubHost
from tests.hostscripts.test_cases import kernel_is

State = dict[str, Any]
OVERLAY, UNDERLAY = IPv4Address("10.0.0.250"), IPv4Address("192.168.80.250")  # a run crosses the end of a /24
ADDRESSES = {"peers": r"([0-9.]+) \. (\d+) \. (\d+)", "ipip_peers": r"([0-9.]+)() \. (\d+)"}
Peers = dict[IPv4Address, IPv4Address]


def run_of(count: int, first: int = 0) -> PeerRange:
    """So many func hosts."""
    return {"overlay": str(OVERLAY + first), "underlay": str(UNDERLAY + first), "count": count}


def proxy(*peers: PeerRange, tenants: int = 2, kind: str = "gre", mtu: int = 9001) -> State:
    """What a proxy is told that has these peers with each of its tenants."""
    return {
        "local": "192.168.4.4",
        "underlay_mtu": mtu,
        "tunnel_kind": kind,
        "tunnels": [
            {"tenant": f"t{key}", "namespace": f"tenant-t{key}", "device": f"mgre{key}", "key": key}
            | {"remote": None, "address": f"10.{key}.0.4/16", "peers": list(peers)}
            for key in range(1, tenants + 1)
        ],
    }


@pytest.fixture
def host(stub_host: StubHost) -> StubHost:
    """A proxy with three func hosts, applied."""
    applied(stub_host, proxy(run_of(3)))
    assert stub_host.asked() == ["root", "tenant-t1", "tenant-t2"]
    return stub_host


def applied(host: StubHost, state: State, *, ok: bool = True) -> str:
    """The kernel, where it is read, has the devices' namespaces and nothing in them."""
    namespaces: dict[str, list[Any]] = {tunnel["namespace"]: [] for tunnel in state["tunnels"]}
    kernel_is(host, state, namespaces, {})
    (host.root / "sets").write_text('{"nftables": []}')
    host.state("tunnel", state)
    host.done(), host.nft(), host.asked()
    return host.apply("tunnel", ok=ok)


def test_one_func_host_more_touches_nothing_else(host: StubHost) -> None:
    assert applied(host, proxy(run_of(4))).endswith("causeway: tunnel: changed\n")
    assert host.asked() == [], "the kernel was read"
    assert host.nft() == [
        "add element inet causeway_tunnel peers"
        " { 192.168.80.253 . 1 . 167772413, 192.168.80.253 . 2 . 167772413 }"
    ]
    assert host.done() == [
        f"tenant-t{key}: neigh replace 10.0.0.253 lladdr 192.168.80.253 dev mgre{key} nud permanent"
        for key in (1, 2)
    ]


def test_one_less_leaves(host: StubHost) -> None:
    applied(host, proxy(run_of(2)))
    assert host.done() == [f"tenant-t{key}: neigh del 10.0.0.252 dev mgre{key}" for key in (1, 2)]
    assert [line.split(" {")[0] for line in host.nft()] == ["delete element inet causeway_tunnel peers"]


def test_the_same_again_is_compared_with_the_kernel(host: StubHost) -> None:
    applied(host, proxy(run_of(3)))
    assert host.asked() == ["root", "tenant-t1", "tenant-t2"]


def test_ranges_that_are_cut_otherwise_change_nothing(host: StubHost) -> None:
    assert applied(host, proxy(run_of(1), run_of(2, first=1))) == "causeway: tunnel: unchanged\n"
    assert (host.asked(), host.done(), host.nft()) == ([], [], [])


@pytest.mark.parametrize(
    "differs",
    [{"mtu": 1500}, {"tenants": 3}, {"kind": "ipip", "tenants": 1}],
    ids=lambda differs: " ".join(differs),
)
def test_with_another_difference_all_is_compared(host: StubHost, differs: dict[str, Any]) -> None:
    applied(host, proxy(run_of(4), **differs))
    assert host.asked()


def test_what_a_script_of_before_has_done_is_compared(host: StubHost) -> None:
    script = host.root / "opt/causeway/tunnel.sh"
    script.write_text(script.read_text() + "\n# another version\n")
    applied(host, proxy(run_of(4)))
    assert host.asked()


def test_a_device_that_may_be_another_one_by_now_is_compared(host: StubHost) -> None:
    (host.root / "run/causeway/pending/tunnel").touch()
    applied(host, proxy(run_of(4)))
    assert host.asked()


def test_a_kernel_that_was_changed_is_compared(host: StubHost) -> None:
    """The device is not there any more, say."""
    refused = "neigh replace 10.0.0.253 lladdr 192.168.80.253 dev mgre2 nud permanent"
    (host.root / "kernel/refuses").write_text(refused)
    said = applied(host, proxy(run_of(4)), ok=False)
    assert "somebody has changed the kernel: all is compared" in said
    assert host.asked() == ["root", "tenant-t1", "tenant-t2"]
    (host.root / "kernel/refuses").unlink()
    applied(host, proxy(run_of(5)))
    assert host.asked(), "the apply before has failed"


def test_of_thousands_twenty_are_said(host: StubHost) -> None:
    """Nor is there a long line: the provider of remote commands reads none of 64 KiB."""
    said = applied(host, proxy(run_of(2000)))
    assert max(map(len, said.splitlines())) < 1000
    assert "peers { 192.168.80.253 . 1 . 167772413, " in said
    assert "192.168.81.16 . 1 . 167772432, … and 3974 more }" in said
    assert said.count("neigh replace") == 40
    (loaded,) = host.nft()
    assert loaded.count(" . ") == 2 * 2 * 1997, "but all are loaded"
    assert len(host.done()) == 2 * 1997


def test_a_record_that_is_half_written_is_none(host: StubHost) -> None:
    record = host.root / "run/causeway/tunnel/state"
    record.write_text(record.read_text()[:50])
    applied(host, proxy(run_of(4)))
    assert host.asked()
    applied(host, proxy(run_of(5)))
    assert host.asked() == []


def test_a_state_that_comes_meanwhile_is_not_taken_for_done(host: StubHost) -> None:
    """Who sends it does not wait for an apply that is at work."""
    arriving = host.root / "kernel/arriving"
    arriving.write_text(json.dumps(proxy(run_of(5))))
    applied(host, proxy(run_of(3)))  # the kernel is read, and meanwhile the file is another one
    arriving.unlink()
    applied(host, proxy(run_of(6)))
    assert host.asked() == ["root", "tenant-t1", "tenant-t2"]


def test_a_check_compares_and_leaves_no_mark(host: StubHost) -> None:
    host.state("tunnel", proxy(run_of(4)))
    host.run([str(host.root / "opt/causeway/apply"), "--check", "tunnel"], ok=False)
    assert host.asked() == ["root", "tenant-t1", "tenant-t2"]
    applied(host, proxy(run_of(4)))
    assert host.asked() == [], "the check is not taken for an apply"


@pytest.mark.parametrize(
    ("peers", "says"),
    [
        (run_of(0), "0: not a whole number from 1 to 65536"),
        (run_of(3) | {"overlay": "255.255.255.254"}, "more than there are addresses"),
        (run_of(3) | {"underlay": "192.168.80.8 dev eth0"}, 'address "192.168.80.8 dev eth0": not valid'),
    ],
    ids=["none", "beyond the end", "a word more"],
)
def test_a_range_that_is_none_is_refused(host: StubHost, peers: PeerRange, says: str) -> None:
    assert says in applied(host, proxy(peers), ok=False)
    assert (host.done(), host.nft()) == ([], [])


some_peers = st.dictionaries(st.integers(0, 12), st.integers(0, 12), max_size=8).map(
    lambda found: {OVERLAY + overlay: UNDERLAY + underlay for overlay, underlay in found.items()}
)


@given(some_peers)
def test_ranges_say_the_same(peers: Peers) -> None:
    said = {
        IPv4Address(each["overlay"]) + i: IPv4Address(each["underlay"]) + i
        for each in peer_ranges(sorted(peers.items()))
        for i in range(each["count"])
    }
    assert said == peers


@settings(max_examples=12, deadline=None)
@given(some_peers, some_peers, st.sampled_from(["gre", "ipip"]))
def test_a_difference_leads_from_one_to_the_other(before: Peers, after: Peers, kind: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        host = StubHost(Path(directory) / "host")
        applied(host, proxy(*peer_ranges(sorted(before.items())), tenants=1, kind=kind))
        applied(host, proxy(*peer_ranges(sorted(after.items())), tenants=1, kind=kind))
        assert before == after or host.asked() == []
        if before != after:
            assert after == neighbours_after(before, host.done())
            assert set(after.items()) == elements_after(set(before.items()), host.nft(), kind)


def neighbours_after(before: Peers, commands: list[str]) -> Peers:
    """What a kernel has that has done these."""
    has = dict(before)
    for command in commands:
        _, _, verb, overlay, *words = command.split()
        if verb == "del":
            del has[IPv4Address(overlay)]
        else:
            has[IPv4Address(overlay)] = IPv4Address(words[1])
    return has


def elements_after(
    before: set[tuple[IPv4Address, IPv4Address]], commands: list[str], kind: str
) -> set[tuple[IPv4Address, IPv4Address]]:
    """What the guard's set has then; nothing is taken out that is not in it."""
    has = set(before)
    name = "peers" if kind == "gre" else "ipip_peers"
    for command in filter(None, commands):
        assert f" {name} {{" in command
        found = {
            (IPv4Address(int(overlay)), IPv4Address(underlay))
            for underlay, _, overlay in re.findall(ADDRESSES[name], command)
        }
        if command.startswith("delete"):
            assert found <= has
            has -= found
        else:
            has |= found
    return has
