"""The service: listeners follow the world's ENIs, one thread accepts, one per connection answers."""

from __future__ import annotations

import logging
import queue
import selectors
import socket
import threading
from collections.abc import Callable

from lab.metadata.document import CredentialsFor
from lab.metadata.handler import Handler
from lab.metadata.tokens import Tokens
from lab.world import Instance, World

log = logging.getLogger(__name__)
Listen = Callable[[str], socket.socket]  # ENI id → a socket that listens in its namespace


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
        self._listen = listen
        self._world = World()
        self._lock = threading.Lock()
        self._listeners: dict[str, socket.socket] = {}
        self._changes: queue.SimpleQueue[tuple[str, socket.socket] | None] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._wakes, self._wake = socket.socketpair()
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, name="metadata", daemon=True)
        self._thread.start()

    def apply(self, world: World) -> None:
        """Answer from `world`, on all its ENIs, from now on."""
        with self._lock:
            self._world = world
            for eni_id in world.enis.keys() - self._listeners.keys():
                self._listeners[eni_id] = self._listen(eni_id)
                self._change((eni_id, self._listeners[eni_id]))
            for eni_id in self._listeners.keys() - world.enis.keys():
                self._change((eni_id, self._listeners.pop(eni_id)))

    def caller(self, eni_id: str) -> tuple[World, Instance | None]:
        """Whose ENI it is now."""
        world = self._world
        eni = world.enis.get(eni_id)
        if eni is None or eni.instance_id is None:
            return world, None
        return world, world.instances.get(eni.instance_id)

    def close(self) -> None:
        """Stop answering."""
        self.apply(World())
        self._change(None)
        self._thread.join()
        self._selector.close()
        self._wakes.close()
        self._wake.close()

    def _change(self, change: tuple[str, socket.socket] | None) -> None:
        self._changes.put(change)
        self._wake.send(b"\0")

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wakes:
                    self._wakes.recv(1)
                    change = self._changes.get()
                    if change is None:
                        return
                    self._toggle(*change)
                elif key.fd >= 0:
                    self._serve(key.data, key.fileobj)  # type: ignore[arg-type] # registered below

    def _toggle(self, eni_id: str, listener: socket.socket) -> None:
        """Begin with a listener that is new, end with one that is not."""
        if listener in self._selector.get_map():
            self._selector.unregister(listener)
            listener.close()
        else:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, eni_id)

    def _serve(self, eni_id: str, listener: socket.socket) -> None:
        try:
            connection, peer = listener.accept()
        except OSError as error:  # the caller is gone, or the listener in this very round
            log.debug("%s: %s", eni_id, error)
            return
        answer = threading.Thread(target=self._answer, args=(eni_id, connection, peer), daemon=True)
        answer.start()

    def _answer(self, eni_id: str, connection: socket.socket, peer: tuple[str, int]) -> None:
        with connection:
            try:
                Handler(connection, peer, self, eni_id)
            except OSError as error:
                log.debug("%s: the caller is gone: %s", eni_id, error)
            except Exception:
                log.exception("%s: a metadata request failed", eni_id)
