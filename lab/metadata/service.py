"""The service: listeners follow the world's ENIs, and answers come from the world as it is."""

from __future__ import annotations

import socket

from lab.listeners import Listen, Listeners, Peer
from lab.metadata.document import CredentialsFor
from lab.metadata.handler import Handler
from lab.metadata.tokens import Tokens
from lab.world import Instance, World


class Metadata:
    """Answers from the world that was applied last.

    `listen` is `Fabric.imds_listener`; so `apply` comes after the fabric's, and before machines are started.
    `console_key` is a public key that every guest accepts beside its owner's.
    `credentials_for(role, instance id)` is called in threads of this service.
    """

    def __init__(
        self, listen: Listen, credentials_for: CredentialsFor, console_key: str | None = None
    ) -> None:
        self.credentials_for = credentials_for
        self.console_key = console_key
        self.tokens = Tokens()
        self._world = World()
        self._listeners = Listeners("metadata", listen, self._answer)

    def apply(self, world: World) -> None:
        """Answer from `world`, on all its ENIs that can have a guest, from now on."""
        self._world = world
        self._listeners.apply({eni.id for eni in world.enis.values() if not eni.service})

    def caller(self, eni_id: str) -> tuple[World, Instance | None]:
        """Whose ENI it is now."""
        world = self._world
        eni = world.enis.get(eni_id)
        if eni is None or eni.instance_id is None:
            return world, None
        return world, world.instances.get(eni.instance_id)

    def close(self) -> None:
        """Stop answering."""
        self._world = World()
        self._listeners.close()

    def _answer(self, eni_id: str, connection: socket.socket, peer: Peer) -> None:
        Handler(connection, peer, self, eni_id)
