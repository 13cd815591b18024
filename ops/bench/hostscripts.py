"""The proxy's tunnels, 1,000 func hosts × 14 tenants, reconciled on stub commands: what the scripts themselves cost.

In seconds of CPU, because that is what an emulated guest multiplies (by 10 and more), and what others on this machine
do not disturb.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ops.bench.figure import Figure

FUNC_HOSTS, TENANTS = 1000, 14
FIRST_FUNC_HOST = IPv4Address("192.168.80.8")
Json = dict[str, Any]


def measure_hostscripts(runs: int) -> list[Figure]:
    """From nothing, with nothing to do, and with one func host more."""
    from tests.hostscripts.stub_host import StubHost

    samples: dict[str, list[float]] = {"from nothing": [], "nothing to do": [], "one func host more": []}
    for _ in range(max(1, min(runs, 3))):
        with tempfile.TemporaryDirectory() as directory:
            host = StubHost(Path(directory) / "host")
            apply = partial(host.apply, "tunnel")
            state = tunnels(FUNC_HOSTS)
            host.state("tunnel", state)
            kernel_has(host, state, peers=False)
            samples["from nothing"].append(cpu_seconds(apply))
            kernel_has(host, state, peers=True)
            samples["nothing to do"].append(cpu_seconds(apply))
            host.state("tunnel", tunnels(FUNC_HOSTS + 1))
            samples["one func host more"].append(cpu_seconds(apply))
    return [
        Figure(what=f"tunnel.sh, {FUNC_HOSTS:,} × {TENANTS}: {what}", unit="s CPU", samples=tuple(values))
        for what, values in samples.items()
    ]


def tunnels(func_hosts: int) -> Json:
    """A proxy's state."""
    return {
        "local": "192.168.4.4",
        "underlay_mtu": 9001,
        "tunnels": [
            {
                "tenant": f"t{key}",
                "namespace": f"tenant-t{key}",
                "device": f"mgre{key}",
                "key": key,
                "remote": None,
                "address": f"10.{key}.0.4/16",
                "peers": [
                    {"overlay": f"10.{key}.0.5", "underlay": str(FIRST_FUNC_HOST), "count": func_hosts}
                ],
            }
            for key in range(1, TENANTS + 1)
        ],
    }


def kernel_has(host: Any, state: Json, *, peers: bool) -> None:
    """The namespaces; with `peers` also the devices, their neighbours and what the guard's sets hold."""
    from tests.hostscripts.test_cases import kernel_is

    devices = {
        tunnel["namespace"]: [
            {
                "device": tunnel["device"],
                "key": str(IPv4Address(tunnel["key"])),
                "local": state["local"],
                "remote": "any",
                "mtu": state["underlay_mtu"] - 28,
                "address": tunnel["address"],
                "neighbours": dict(addresses(tunnel)),
            }
        ]
        if peers
        else []
        for tunnel in state["tunnels"]
    }
    kernel_is(host, state, devices, {})
    elements = [
        {"concat": [underlay, tunnel["key"], int(IPv4Address(overlay))]}
        for tunnel in state["tunnels"]
        for overlay, underlay in addresses(tunnel)
    ]
    (host.root / "sets").write_text(json.dumps({"nftables": [{"set": {"name": "peers", "elem": elements}}]}))


def addresses(tunnel: Json) -> list[tuple[str, str]]:
    """Of its peers, in the overlay and in the platform VPC."""
    return [
        (str(IPv4Address(peers["overlay"]) + i), str(IPv4Address(peers["underlay"]) + i))
        for peers in tunnel["peers"]
        for i in range(peers["count"])
    ]


def cpu_seconds(action: Callable[[], object]) -> float:
    """What the processes that it starts and waits for use."""
    before = os.times()
    action()
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
