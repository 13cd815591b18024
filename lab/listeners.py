"""Sockets that listen in the namespaces of ENIs: one thread accepts, one per connection answers."""

from __future__ import annotations

import logging
import queue
import selectors
import socket
import threading
from collections.abc import Callable, Set

log = logging.getLogger(__name__)
Peer = tuple[str, int]
Listen = Callable[[str], socket.socket]  # ENI id → a socket that listens in its namespace
Answer = Callable[[str, socket.socket, Peer], None]  # ENI id, connection, who called


class Listeners:
    """Follow which ENIs there are; `answer` is called in a thread of each connection, which ends with it."""

    def __init__(self, name: str, listen: Listen, answer: Answer) -> None:
        self._name = name
        self._listen = listen
        self._answer = answer
        self._lock = threading.Lock()
        self._listeners: dict[str, socket.socket] = {}
        self._changes: queue.SimpleQueue[tuple[str, socket.socket] | None] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._wakes, self._wake = socket.socketpair()
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)
        self._thread.start()

    def apply(self, enis: Set[str]) -> None:
        """Listen at exactly these from now on."""
        with self._lock:
            for eni_id in enis - self._listeners.keys():
                self._listeners[eni_id] = self._listen(eni_id)
                self._change((eni_id, self._listeners[eni_id]))
            for eni_id in self._listeners.keys() - enis:
                self._change((eni_id, self._listeners.pop(eni_id)))

    def close(self) -> None:
        """Listen nowhere any more."""
        self.apply(frozenset())
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
        threading.Thread(target=self._hand_over, args=(eni_id, connection, peer), daemon=True).start()

    def _hand_over(self, eni_id: str, connection: socket.socket, peer: Peer) -> None:
        with connection:
            try:
                self._answer(eni_id, connection, peer)
            except OSError as error:
                log.debug("%s: the caller is gone: %s", eni_id, error)
            except Exception:
                log.exception("%s: a request to %s failed", eni_id, self._name)
