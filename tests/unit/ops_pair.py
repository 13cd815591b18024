"""A healthy pair as ops sees it, to be disturbed by tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ops.outputs import Outputs, parse_outputs
from ops.status.seen import ApiEni, Concern, Connections, HostSeen, PairSeen, Seen, Switch, Sync

Json = Any
PLATFORM_HAVIP, ALPHA_HAVIP = "192.168.4.100", "172.16.101.100"
MACS = {
    ("proxy-0", ""): "02:00:00:00:00:01",
    ("proxy-0", "tenant-alpha"): "02:00:00:00:00:02",
    ("proxy-1", ""): "02:00:00:00:01:01",
    ("proxy-1", "tenant-alpha"): "02:00:00:00:01:02",
}
OWN = {
    ("proxy-0", ""): "192.168.4.4",
    ("proxy-0", "tenant-alpha"): "172.16.101.10",
    ("proxy-1", ""): "192.168.4.5",
    ("proxy-1", "tenant-alpha"): "172.16.101.11",
}
HAVIPS = {"": PLATFORM_HAVIP, "tenant-alpha": ALPHA_HAVIP}
ENIS = {key: f"eni-{index}" for index, key in enumerate(OWN)}


def host_output(role: str, index: int, address: str) -> Json:
    ssh = {"host": address, "port": 22, "user": "admin", "via": None}
    return {
        "role": role, "instance_id": f"i-{role}{index}", "instance_type": "t3.small", "private_address": address,
        "ssh": ssh,
    }  # fmt: skip


def outputs_json(*, pair: bool = True, drillable: bool = True) -> Json:
    """As the program exports it."""
    proxies = ("proxy-0", "proxy-1") if pair else ("proxy-0",)
    tenant = {
        "namespace": "tenant-alpha",
        "tunnel_device": "mgre1",
        "user_device": "user1",
        "user_enis": {
            name: {
                "id": ENIS[name, "tenant-alpha"],
                "mac": MACS[name, "tenant-alpha"],
                "private_address": OWN[name, "tenant-alpha"],
            }
            for name in proxies
        },
        "user_instance": {"name": "user-alpha", "address": "172.16.101.4"},
        **({"havip": ALPHA_HAVIP} if pair else {}),
    }
    return {
        "schema_version": 2 if pair else 1,
        "hosts": {
            "func-0": host_output("func", 0, "192.168.80.8"),
            **{name: host_output("proxy", int(name[-1]), OWN[name, ""]) for name in proxies},
            "user-alpha": host_output("user", 0, "172.16.101.4"),
        },
        "tenants": {"alpha": tenant},
        "plan": {
            "stack": "lab",
            "region": "us-east-1",
            "redundancy": "pair" if pair else "single",
            "drillable": drillable,
            **({"havip": PLATFORM_HAVIP} if pair else {}),
        },
        "access": {"mode": "public"},
    }


def outputs(*, pair: bool = True) -> Outputs:
    """The same, parsed."""
    return parse_outputs(outputs_json(pair=pair), "a stack")


GOOD = Concern(result="changed", applied_at=1_000, in_sync=True)


def proxy(name: str, *, active: bool, pair: bool = True) -> HostSeen:
    """One that is as it should be."""
    namespaces = ("", "tenant-alpha")

    def of(namespace: str) -> tuple[str, ...]:
        return (OWN[name, namespace], *([HAVIPS[namespace]] if active and pair else []))

    return HostSeen(
        concerns={"tunnel": GOOD},
        kernel={namespace: {MACS[name, namespace]: of(namespace)} for namespace in namespaces},
        imds={MACS[name, namespace]: of(namespace) for namespace in namespaces},
        connections={"tenant-alpha": Connections(count=100, limit=54272)},
        pair=pair_seen(active=active) if pair else None,
    )


def pair_seen(*, active: bool) -> PairSeen:
    return PairSeen(
        state="active" if active else "standby",
        since=900,
        reason="the other one went silent or stood aside" if active else "the other one is active",
        hears_peer=not active,
        alarms=(),
        switches=(Switch(at=900, to="active", reason="asked for"),) if active else (),
        sync={"tenant-alpha": Sync(running=True, cached=100, injected=100, lost=0, errors=0)},
    )


def enis(
    holder: str | None = "proxy-0", *, proxies: tuple[str, ...] = ("proxy-0", "proxy-1")
) -> tuple[ApiEni, ...]:
    """As the API has them, the HaVips being with `holder`."""
    return tuple(
        ApiEni(
            id=ENIS[name, namespace],
            mac=MACS[name, namespace],
            instance_id=f"i-proxy{name[-1]}",
            addresses=(OWN[name, namespace], *([HAVIPS[namespace]] if name == holder else [])),
        )
        for name in proxies
        for namespace in ("", "tenant-alpha")
    )


def healthy() -> Seen:
    """proxy-0 is active."""
    return Seen(
        hosts={
            "func-0": HostSeen(concerns={"tunnel": GOOD}),
            "proxy-0": proxy("proxy-0", active=True),
            "proxy-1": proxy("proxy-1", active=False),
            "user-alpha": HostSeen(concerns={"echo": GOOD}),
        },
        silent={},
        enis=enis(),
        at=1_000.0,
    )


def with_host(seen: Seen, name: str, **changes: Any) -> Seen:
    """One host says something else."""
    return replace(seen, hosts={**seen.hosts, name: replace(seen.hosts[name], **changes)})


def with_pair(seen: Seen, name: str, **changes: Any) -> Seen:
    """One proxy says something else of the pair."""
    told = seen.hosts[name].pair
    assert told is not None
    return with_host(seen, name, pair=replace(told, **changes))


def without_host(seen: Seen, name: str, reason: str) -> Seen:
    """One host says nothing."""
    hosts: Mapping[str, HostSeen] = {n: host for n, host in seen.hosts.items() if n != name}
    return replace(seen, hosts=hosts, silent={**seen.silent, name: reason})
