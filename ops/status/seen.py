"""What was seen of a stack, as plain data: by its hosts, by the metadata, by the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BUSY = "another apply is at work"


@dataclass(frozen=True, kw_only=True)
class Concern:
    """What a host says of a part of its configuration. `applied_at`: epoch seconds; None: not since it booted.

    `state_sha256`: of the state that it has.
    """

    result: str | None
    applied_at: int | None
    in_sync: bool
    state_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A proxy became or ceased to be active; `at` in epoch seconds."""

    at: int
    to: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sync:
    """A tenant's conntrackd. Counters are of its lifetime: entries told, entries taken over, messages lost, errors."""

    running: bool
    cached: int
    injected: int
    lost: int
    errors: int


@dataclass(frozen=True, kw_only=True)
class PairSeen:
    """What a proxy of a pair says of itself. `hears_peer`: an advert came while it was asked; `warnings`: alarms that
    keep it from nothing."""

    state: str  # active, standby, fault, yielding, starting
    since: int
    reason: str
    hears_peer: bool
    alarms: tuple[str, ...]
    switches: tuple[Switch, ...]
    sync: Mapping[str, Sync]  # by namespace
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Connections:
    """Entries of a namespace's connection tracking, and how many there may be; new connections are refused then."""

    count: int
    limit: int


@dataclass(frozen=True, kw_only=True)
class HostSeen:
    """One host that answered.

    - kernel: addresses by namespace ("" is the root one) and then by the device's MAC
    - imds: addresses by MAC; None: it was not asked, or did not answer
    - dropped: packets that a causeway_* table dropped, by "namespace table"
    - connections: by namespace; "", the root one, where it tracks any
    - off: what an apply would change, a line each; none where it was not asked
    - not_compared: why that is not known though it was asked; BUSY where an apply is at work
    """

    concerns: Mapping[str, Concern] = field(default_factory=dict)
    kernel: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    imds: Mapping[str, tuple[str, ...]] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    connections: Mapping[str, Connections] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    not_compared: str = ""
    pair: PairSeen | None = None
    tells_status: bool = True

    def known_connections(self, namespace: str) -> int:
        """How many this kernel tracks there."""
        found = self.connections.get(namespace)
        return 0 if found is None else found.count

    def has_address(self, address: str, namespace: str) -> bool:
        """Whether the kernel answers for an address in a namespace."""
        return any(address in addresses for addresses in self.kernel.get(namespace, {}).values())


@dataclass(frozen=True, kw_only=True)
class ApiEni:
    """An interface, as the EC2 API has it."""

    id: str
    mac: str
    instance_id: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Everything, at about one time. Who did not answer is in `silent`, with the reason."""

    hosts: Mapping[str, HostSeen]
    silent: Mapping[str, str]
    enis: tuple[ApiEni, ...] = ()
    api_error: str | None = None
    at: float = 0.0  # epoch seconds
