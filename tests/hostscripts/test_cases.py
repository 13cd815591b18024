"""What the scripts ask of a kernel that the test wrote down: cases/*.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hostscripts.stub_host import StubHost

Case = dict[str, Any]
NIC_MTU = 9001


def cases(name: str) -> list[Any]:
    """One test per case, named by what it is about."""
    text = (Path(__file__).parent / "cases" / f"{name}.yaml").read_text()
    return [pytest.param(case, id=case.get("about") or case["says"]) for case in yaml.safe_load(text)]


def tunnel_link(device: Case) -> Case:
    """As `ip -j -d addr show` prints a tunnel device."""
    kind = device.get("kind", "gre")
    data = {"remote": device["remote"], "local": device["local"], "ttl": 64}
    if kind == "gre":
        data |= {"ikey": device["key"], "okey": device["key"]}
    if "encap" in device:
        data["encap"] = {"type": "fou", "sport": 0, "dport": device["encap"], "csum": False}
    inet = [
        {"family": "inet", "local": address, "prefixlen": int(prefix_length), "scope": "global"}
        for address, prefix_length in (network.split("/") for network in device.get("address", "").split())
    ]
    return {
        "ifname": device["device"],
        "link_type": kind,
        "flags": ["NOARP"] + (["UP", "LOWER_UP"] if device.get("up", True) else []),
        "mtu": device["mtu"],
        "linkinfo": {"info_kind": kind, "info_data": data},
        "addr_info": inet,
    }


def kernel_is(host: StubHost, state: Case, has: dict[str, list[Case]], of_nic: Case) -> None:
    """The NIC with the local address, and these tunnel devices."""
    nic = of_nic | {
        "ifname": "ens5",
        "link_type": "ether",
        "flags": ["UP"],
        "mtu": NIC_MTU,
        "addr_info": [{"family": "inet", "local": state.get("own", state["local"]), "prefixlen": 24}],
    }
    for namespace, devices in {"": [], **has}.items():
        neighbours = [
            {"dst": overlay, "dev": device["device"], "lladdr": underlay, "state": ["PERMANENT"]}
            for device in devices
            for overlay, underlay in device.get("neighbours", {}).items()
        ]
        routes = [
            {"dst": overlay, "gateway": underlay, "dev": device["device"], "protocol": "201"}
            for device in devices
            for overlay, underlay in device.get("routes", {}).items()
        ]
        links = [tunnel_link(device) for device in devices]
        host.kernel(namespace, links if namespace else [nic, *links], route=routes, neigh=neighbours)


def guard_is_up(host: StubHost, case: Case) -> None:
    """The guard stands, as an earlier apply left it, with these elements."""
    host.apply("tunnel", ok="misses" not in case)
    found = [
        {"set": {"name": name, "elem": [{"concat": e} if isinstance(e, list) else e for e in elements]}}
        for name, elements in case["sets"].items()
    ]
    host.state("sets", {"nftables": [{"metainfo": {}}, *found]})
    (host.root / "etc/causeway/sets.json").rename(host.root / "sets")
    host.done(), host.nft()


def outcome(said: str, case: Case) -> str:
    """The concern's result. What it misses it fails for, having done the rest."""
    lines = said.splitlines()
    if "misses" not in case:
        return lines[-1].split(": ")[-1]
    assert lines[-3].split(": error: ")[-1] == f"not there: {case['misses']}"
    assert lines[-2].endswith(": failed")
    return "changed"


@pytest.mark.parametrize("case", cases("tunnel"))
def test_tunnel(stub_host: StubHost, case: Case) -> None:
    stub_host.state("tunnel", case["state"])
    kernel_is(stub_host, case["state"], case.get("has", {}), case.get("nic", {}))
    (stub_host.root / "fou").write_text("" if case.get("fou") == "closed" else "port 4754 ipproto 47 \n")
    if "sets" in case:
        guard_is_up(stub_host, case)

    said = stub_host.apply("tunnel", ok="misses" not in case)

    loaded = stub_host.nft()
    assert stub_host.done() == case["does"]
    assert [line for line in loaded if " element " in line] == case.get("loads", [])
    assert ("counter dropped { }" in "\n".join(loaded)) == ("sets" not in case), "guard replaced"
    nothing = "sets" in case and not case["does"] and "loads" not in case
    assert outcome(said, case) == ("unchanged" if nothing else "changed")


@pytest.mark.parametrize("case", cases("routes"))
def test_routes(stub_host: StubHost, case: Case) -> None:
    stub_host.state("routes", case["state"])
    device = {"device": "mgre1", "key": "0.0.0.1", "local": "192.168.80.8", "remote": "192.168.4.4"}
    bridge = {
        "ifname": "cw-alpha",
        "flags": ["UP"],
        "addr_info": [{"family": "inet", "local": "10.88.0.1", "prefixlen": 24}],
    }
    tables = [{"type": "unicast", "table": "main"} | route for route in case["has"]]
    stub_host.kernel(
        "",
        [tunnel_link(device | {"mtu": 8973, "address": "10.0.0.3/24"}), bridge],
        rule=case.get("rules", []),
        tables=tables,
    )
    said = stub_host.apply("routes", ok="misses" not in case)
    assert stub_host.done() == case["does"]
    assert outcome(said, case) == ("changed" if case["does"] else "unchanged")


@pytest.mark.parametrize("case", cases("refused"))
def test_a_state_that_is_refused_touches_nothing(
    stub_host: StubHost, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSEWAY_LOCAL_DEADLINE_S", "0")
    stub_host.state(case["concern"], case["state"])
    kernel_is(stub_host, {"local": "192.168.4.4"}, {}, {})
    said = stub_host.apply(case["concern"], ok=False)
    assert case["says"] in said
    assert said.splitlines()[-2] == f"causeway: {case['concern']}: failed"
    assert [line for line in stub_host.done() if "netns add" not in line and "lo up" not in line] == []
    assert stub_host.nft() == []
