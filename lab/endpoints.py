"""What answers at VPC endpoints: the lab's API, on port 80 of the endpoint's ENI.

On AWS port 443 does, with a public certificate. The lab has none that a guest could trust, so there is no 443.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from lab.listeners import Listeners, Peer
from lab.world import World

HTTP = 80
IDLE_S = 60.0


class Endpoints:
    """Follows the world's endpoints.

    `listen(eni, port)` is `Fabric.service_listener`; so `apply` comes after the fabric's. `answer(service, ENI,
    connection, peer)` is `Cloud.answer`.
    """

    def __init__(
        self,
        listen: Callable[[str, int], socket.socket],
        answer: Callable[[str, str, socket.socket, Peer], None],
    ) -> None:
        self._answer = answer
        self._world = World()
        self._listeners = Listeners("endpoints", lambda eni_id: listen(eni_id, HTTP), self._called)

    def apply(self, world: World) -> None:
        """Answer at all endpoints of `world` from now on, and at no other."""
        self._world = world
        self._listeners.apply({eni.id for eni in world.enis.values() if eni.service})

    def close(self) -> None:
        """Stop answering."""
        self._listeners.close()

    def _called(self, eni_id: str, connection: socket.socket, peer: Peer) -> None:
        eni = self._world.enis.get(eni_id)
        if eni is not None:
            connection.settimeout(IDLE_S)
            self._answer(eni.service, eni.id, connection, peer)
