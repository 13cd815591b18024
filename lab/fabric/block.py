"""Faults of the network: traffic that the fabric drops because it was told to."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import LabError
from lab.fabric.groups import PORT_MATCHES
from lab.fabric.names import device_name
from lab.world import World


@dataclass(frozen=True, kw_only=True)
class Block:
    """Drop what matches all that is given, connections that are open included.

    `eni` alone: everything from and to it, the internet included. `eni` and `peer`: between the two (of one
    VPC). `protocol` is an IANA number (112: VRRP); `port` is the one that `peer` (else: anybody) is asked
    at, of TCP or UDP. `one_way`: only from `eni` to `peer`. Metadata is never blocked.
    """

    eni: str | None = None
    peer: str | None = None
    protocol: int | None = None
    port: int | None = None
    one_way: bool = False

    def check(self, world: World) -> None:
        """Raise LabError if this can't be meant."""
        for eni in (self.eni, self.peer):
            if eni is not None and eni not in world.enis:
                raise LabError(
                    f"no network interface {eni!r} to block", hint="`lab status --json` lists them"
                )
        if self.peer is not None and self.eni is None:
            raise LabError("a block with a peer needs an ENI", hint="give both, or only the ENI")
        if self.peer is not None and self.eni is not None:
            one, other = world.enis[self.eni], world.enis[self.peer]
            if one.vpc_id != other.vpc_id:
                raise LabError(
                    f"{one.id} and {other.id} are in different VPCs: nothing passes directly between them",
                    hint="block one of them by itself",
                )
        if self.port is not None and self.protocol not in PORT_MATCHES:
            raise LabError(
                f"a block of port {self.port} needs a protocol that has ports", hint="give protocol 6 or 17"
            )

    def concerns(self, world: World) -> bool:
        """Whether all that it names still exists."""
        return all(eni is None or eni in world.enis for eni in (self.eni, self.peer))

    def rules(self) -> tuple[str, ...]:
        """nft rules for the forward chain of a VPC's router."""
        there = drop(self.eni, self.peer, self.protocol, self._port("dport"))
        back = drop(self.peer, self.eni, self.protocol, self._port("sport"))
        return (there,) if self.one_way or there == back else (there, back)

    def _port(self, side: str) -> str:
        return "" if self.port is None else f"th {side} {self.port}"


def drop(source: str | None, destination: str | None, protocol: int | None, port: str) -> str:
    """One direction."""
    parts = (
        f'iifname "{device_name(source)}"' if source else "",
        f'oifname "{device_name(destination)}"' if destination else "",
        f"ip protocol {protocol}" if protocol is not None else "",
        port,
        "counter name blocked drop",
    )
    return " ".join(part for part in parts if part)
