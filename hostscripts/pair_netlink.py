"""The kernel's netlink, as far as a pair's proxy needs it: requests with answers, and the word that something changed.

Messages: linux/netlink.h. A host has no library for it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_CREATE, NLM_F_DUMP = 0x1, 0x4, 0x100, 0x400, 0x300
HEADER = struct.Struct("=IHHII")  # length with header, type, flags, sequence number, port
ATTRIBUTE = struct.Struct("=HH")  # length with header, type
MESSAGE_BYTES = 1 << 17
KERNEL_ANSWERS_S = 2.0


class Netlink:
    """A socket for requests, in the network namespace in which it was made."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.bind((0, 0))
        self._socket.settimeout(KERNEL_ANSWERS_S)
        self._sequence = 0

    def close(self) -> None:
        """No requests any more."""
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """The bodies of the messages that answer. `flags`: NLM_F_ACK or NLM_F_DUMP, else there is no end. OSError."""
        self._sequence += 1
        header = HEADER.pack(HEADER.size + len(body), kind, flags | NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        found: list[bytes] = []
        while True:
            for answer, sequence, message in _messages(self._socket.recv(MESSAGE_BYTES)):
                if sequence != self._sequence:
                    continue  # of a request that was given up
                if answer == NLMSG_DONE:
                    return found
                if answer == NLMSG_ERROR:
                    error = -struct.unpack_from("=i", message)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return found
                found.append(message)


def changes_of(protocol: int, groups: int) -> socket.socket:
    """Has something to read whenever one of the multicast groups (a bit each) says something."""
    end = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    end.bind((0, groups))
    end.setblocking(False)
    return end


def attribute(kind: int, value: bytes) -> bytes:
    """One of a message."""
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Those of a message, without what is of its own form before them."""
    while len(data) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(data)
        yield kind, data[ATTRIBUTE.size : size]
        data = data[_padded(size, ATTRIBUTE.size) :]


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number, body."""
    while len(data) >= HEADER.size:
        size, kind, _, sequence, _ = HEADER.unpack_from(data)
        yield kind, sequence, data[HEADER.size : size]
        data = data[_padded(size, HEADER.size) :]


def _padded(size: int, at_least: int) -> int:
    return (max(size, at_least) + 3) & ~3
