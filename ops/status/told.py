"""What ops/remote/look.sh prints on a host: its shape, and what is seen by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, TypeAdapter

from ops.answer import Count, Epoch, Name, Text, Told, understood
from ops.status.seen import BUSY, Concern, Connections, HostSeen, PairSeen, Switch, Sync

MANY, FEW = (
    Field(max_length=4096),
    Field(max_length=64),
)  # a proxy has some fifteen ENIs, and a tenant for each


class ConcernTold(Told):
    """A part of the host's configuration."""

    result: Name | None
    applied_at: Count | None
    in_sync: bool
    state_sha256: Name = ""


class Device(Told):
    """A device; the address of a tunnel is no MAC, and some have none."""

    mac: Name | None = None
    addresses: Annotated[list[Name], MANY]


class Dropped(Told):
    """A counter."""

    packets: Count


class Namespace(Told):
    """Without nft nothing is dropped."""

    devices: Annotated[dict[Name, Device], MANY]
    dropped: Annotated[dict[Name, Dropped], MANY] | None = None


class SwitchTold(Told):
    """Of the watcher's memory."""

    at: Epoch
    to: Name
    reason: Text


class SyncTold(Told):
    """Of a tenant's conntrackd."""

    running: bool
    cached: Count
    injected: Count
    lost: Count
    errors: Count


class PairTold(Told):
    """Of a proxy's watcher. `peer_heard` is null where no advert came."""

    state: Name
    since: Epoch
    reason: Text
    peer_heard: Count | None = None
    alarms: Annotated[list[Text], FEW]
    warnings: Annotated[list[Text], FEW] = Field(default_factory=list)
    switches: Annotated[list[SwitchTold], MANY]
    sync: Annotated[dict[Name, SyncTold], MANY]


class Status(Told):
    """What /opt/causeway/status says."""

    concerns: Annotated[dict[Name, ConcernTold], FEW]
    namespaces: Annotated[dict[Name, Namespace], MANY]
    pair: PairTold | None = None


class ConnectionsTold(Told):
    """Of a tenant's connection tracking."""

    count: Count
    limit: Count


class OffTold(Told):
    """What `apply --check` said, and its exit status."""

    status: int
    lines: Annotated[list[Text], FEW]


class Answer(Told):
    """The whole."""

    status: Status | None
    imds: Annotated[dict[Name, Annotated[list[Name], MANY]], MANY] | None
    connections: Annotated[dict[Name, ConnectionsTold], MANY]
    off: OffTold | None = None


ANSWER = TypeAdapter(Answer)
# Exit statuses of `apply --check` under timeout(1), by which nothing is known of the kernel.
NOT_COMPARED = {75: BUSY, 124: "it did not end in time", 137: "it did not end in time"}


def host_seen(printed: str) -> HostSeen:
    """From what ops/remote/look.sh printed. OpsError where it makes no sense."""
    told = understood(ANSWER, printed)
    status = told.status
    namespaces = {} if status is None else status.namespaces
    concerns = {} if status is None else status.concerns
    return HostSeen(
        concerns={
            name: Concern(
                result=one.result,
                applied_at=one.applied_at,
                in_sync=one.in_sync,
                state_sha256=one.state_sha256,
            )
            for name, one in concerns.items()
        },
        kernel={name: _addresses(one) for name, one in namespaces.items()},
        imds=None if told.imds is None else {mac.lower(): tuple(found) for mac, found in told.imds.items()},
        dropped={
            f"{name} {table}".strip(): counter.packets
            for name, one in namespaces.items()
            for table, counter in (one.dropped or {}).items()
        },
        connections={
            name: Connections(count=one.count, limit=one.limit) for name, one in told.connections.items()
        },
        off=() if told.off is None or told.off.status in NOT_COMPARED else tuple(told.off.lines),
        not_compared="" if told.off is None else _why_not_compared(told.off),
        pair=None if status is None or status.pair is None else _pair_seen(status.pair),
        tells_status=status is not None,
    )


def _why_not_compared(told: OffTold) -> str:
    silent = told.status != 0 and not told.lines
    return NOT_COMPARED.get(told.status, f"it ended with {told.status}, and said nothing" if silent else "")


def _pair_seen(told: PairTold) -> PairSeen:
    return PairSeen(
        state=told.state,
        since=int(told.since),
        reason=told.reason,
        hears_peer=told.peer_heard is not None,
        alarms=tuple(told.alarms),
        warnings=tuple(told.warnings),
        switches=tuple(Switch(at=int(one.at), to=one.to, reason=one.reason) for one in told.switches),
        sync={namespace: Sync(**dict(one)) for namespace, one in told.sync.items()},
    )


def _addresses(namespace: Namespace) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for device in namespace.devices.values():
        mac = device.mac or ""
        found[mac] = (*found.get(mac, ()), *(address.split("/")[0] for address in device.addresses))
    return found
