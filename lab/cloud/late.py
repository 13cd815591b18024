"""Addresses that have moved by what the API says, while networks and IMDS see them where they were.

On AWS the answer to AssignPrivateIpAddresses comes before its effect; so it does here in such weather.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from lab.world import Eni, World

Key = tuple[str, IPv4Address]  # subnet, address
Holders = Mapping[Key, str | None]  # the ENI's id; None: nobody


def holders(world: World) -> dict[Key, str | None]:
    """Who has which address."""
    return {(eni.subnet_id, address): eni.id for eni in world.enis.values() for address in eni.private_ips}


def moved(before: World, after: World) -> dict[Key, str | None]:
    """Addresses that have another holder than before, and which."""
    if before.enis == after.enis:
        return {}
    old, new = holders(before), holders(after)
    return {key: new.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


@dataclass(frozen=True)
class Late:
    """Where each of these addresses is seen, and from when on where else (by a monotonic clock)."""

    seen: Holders = field(default_factory=dict)
    moves: Mapping[Key, tuple[tuple[float, str | None], ...]] = field(default_factory=dict)

    def add(self, moves: Holders, at: float, world: World) -> Late:
        """These will be seen to move at that time; until then they are where `world`, as it is seen, has them."""
        now = holders(world)
        return Late(
            seen={**{key: now.get(key) for key in moves}, **self.seen},
            moves={
                **self.moves,
                **{key: (*self.moves.get(key, ()), (at, holder)) for key, holder in moves.items()},
            },
        )

    def forget(self, moves: Holders) -> Late:
        """A call with an effect at once has moved these."""
        return Late(
            seen={key: holder for key, holder in self.seen.items() if key not in moves},
            moves={key: waiting for key, waiting in self.moves.items() if key not in moves},
        )

    def at(self, now: float) -> Late:
        """What is still to come."""
        seen, moves = dict(self.seen), dict(self.moves)
        for key, waiting in self.moves.items():
            past = [holder for at, holder in waiting if at <= now]
            if len(past) == len(waiting):
                del seen[key], moves[key]
            elif past:
                seen[key], moves[key] = past[-1], waiting[len(past) :]
        return Late(seen, moves)

    def over(self, world: World) -> World:
        """`world` as it is seen."""
        if not self.seen:
            return world
        public = {
            (eni.subnet_id, own): shown
            for eni in world.enis.values()
            for own, shown in eni.public_ips.items()
        }
        return replace(world, enis={eni.id: self._seen(eni, public) for eni in world.enis.values()})

    def _seen(self, eni: Eni, public: Mapping[Key, IPv4Address]) -> Eni:
        own = [a for a in eni.private_ips if self.seen.get((eni.subnet_id, a), eni.id) == eni.id]
        kept = [
            address
            for (subnet, address), holder in self.seen.items()
            if holder == eni.id and subnet == eni.subnet_id and address not in own
        ]
        addresses = (*own, *kept)
        if addresses == eni.private_ips:
            return eni
        keys = {address: (eni.subnet_id, address) for address in addresses}
        shown = {address: public[key] for address, key in keys.items() if key in public}
        return replace(eni, private_ips=addresses, public_ips=shown)
