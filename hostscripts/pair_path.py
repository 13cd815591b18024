"""The data path of one network namespace: whether it is whole, and whether the HaVip is an address in it.

The kernel is asked by handles that were opened inside the namespace once, so that looking starts no process; and it
says by netlink when there is something to look at.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pair_netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_REPLACE,
    Netlink,
    attribute,
    attributes_of,
    changes_of,
)

ROOT = os.environ.get("CAUSEWAY_ROOT", "")
NAMESPACES = Path(f"{ROOT}/run/netns")
CLONE_NEWNET = 0x40000000
FILE_BYTES = 1 << 20
NAME_BYTES = 16  # IFNAMSIZ
SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8913, 0x8927, 0x8933
IFF_UP, IFF_RUNNING = 0x1, 0x40
# linux/rtnetlink.h, linux/if_addr.h
RTM_NEWADDR, RTM_DELADDR = 20, 21
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL = 1, 2, 3
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_NETCONF = 0x1, 0x10, 0x40, 1 << 23
# linux/netfilter/nfnetlink.h, nf_tables.h
NETLINK_NETFILTER, NFNLGRP_NFTABLES, NFT_MSG_GETTABLE, NFTA_TABLE_NAME = 12, 1 << 6, 0x0A01, 1
FAMILIES = {1: "inet", 2: "ip"}

_libc = ctypes.CDLL(None, use_errno=True)


class DataPath:
    """Of a HaVip. "" as `namespace` is the one of this process. OSError where the namespace is not there.

    `address` ("" or one that must be here), `tunnel` ("" where nothing is forwarded), `tables`: as "ip causeway_nat".
    """

    def __init__(
        self, namespace: str, nic: str, mac: str, havip: str, address: str, tunnel: str, tables: Sequence[str]
    ) -> None:
        self.namespace, self.nic, self.mac, self.havip = namespace, nic, mac, havip
        self.address, self.tunnel, self.tables = address, tunnel, tables
        self._inode = self._inode_now()
        with inside(namespace):
            self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._route = Netlink(socket.NETLINK_ROUTE)
            self._netfilter = Netlink(NETLINK_NETFILTER)
            groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_NETCONF
            self.changes = (
                changes_of(socket.NETLINK_ROUTE, groups),
                changes_of(NETLINK_NETFILTER, NFNLGRP_NFTABLES),
            )
            proc = f"{ROOT}/proc/thread-self/net"
            self._trie = os.open(f"{proc}/fib_trie", os.O_RDONLY)
            self._routes = os.open(f"{proc}/route", os.O_RDONLY)
            self._forward = os.open(f"{ROOT}/proc/sys/net/ipv4/ip_forward", os.O_RDONLY)

    def close(self) -> None:
        """Let go of the namespace."""
        for end in (self._control, self._route, self._netfilter, *self.changes):
            end.close()
        for file in (self._trie, self._routes, self._forward):
            os.close(file)

    def is_current(self) -> bool:
        """Whether the namespace of this name is still the same."""
        return self._inode_now() == self._inode

    def drain(self) -> None:
        """What the kernel said of changes is a word to look, no more."""
        for changes in self.changes:
            try:
                while changes.recv(FILE_BYTES):
                    pass
            except OSError:  # nothing more, or more than fits: there was a change
                pass

    def look(self) -> tuple[str, bool]:
        """The first thing that is wrong, or "ok"; and whether the HaVip is an address here. OSError."""
        addresses = local_addresses(_text(self._trie))
        return self._what_is_wrong(addresses), self.havip in addresses

    def _what_is_wrong(self, addresses: set[str]) -> str:
        if self._hardware_address(self.nic) != self.mac:
            return f"{self.nic} is not there"
        flags = self._flags(self.nic)
        if not flags & IFF_UP:
            return f"{self.nic} is down"
        if not flags & IFF_RUNNING:
            return f"{self.nic} has no carrier"
        if self.address and self.address not in addresses:
            return f"{self.nic} has lost {self.address}"
        if self.tunnel:
            if not self._flags(self.tunnel) & IFF_UP:
                return f"{self.tunnel} is down, or not there"
            if _text(self._forward).strip() != "1":
                return "ip_forward is off"
            routes = _text(self._routes)
            if any(f"\n{device}\t" not in routes for device in (self.nic, self.tunnel)):
                return "a route is not there"
        present = self._present_tables()
        missing = next((table for table in self.tables if table not in present), None)
        return f"nft table {missing.split()[1]} is not there" if missing else "ok"

    def set_havip(self, here: bool) -> None:
        """As an address of the NIC, /32. OSError."""
        index = struct.unpack_from("=i", self._ioctl(SIOCGIFINDEX, self.nic), NAME_BYTES)[0]
        packed = socket.inet_aton(self.havip)
        attributes = attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
        if here:
            label = f"{self.nic}:ha" if len(self.nic) + 3 < NAME_BYTES else self.nic
            attributes += attribute(IFA_LABEL, label.encode() + b"\0")
        kind, flags = (RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE) if here else (RTM_DELADDR, 0)
        message = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, index) + attributes
        try:
            self._route.ask(kind, flags | NLM_F_ACK, message)
        except OSError as error:
            if here or error.errno != errno.EADDRNOTAVAIL:
                raise

    def _inode_now(self) -> int:
        return (NAMESPACES / self.namespace).stat().st_ino if self.namespace else 0

    def _ioctl(self, request: int, device: str) -> bytes:
        return fcntl.ioctl(self._control, request, struct.pack("=16s24x", device.encode()))

    def _flags(self, device: str) -> int:
        try:
            return int(struct.unpack_from("=H", self._ioctl(SIOCGIFFLAGS, device), NAME_BYTES)[0])
        except OSError:
            return 0

    def _hardware_address(self, device: str) -> str:
        try:
            return self._ioctl(SIOCGIFHWADDR, device)[NAME_BYTES + 2 :][:6].hex(":")
        except OSError:
            return ""

    def _present_tables(self) -> set[str]:
        found = set()
        for body in self._netfilter.ask(NFT_MSG_GETTABLE, NLM_F_DUMP, struct.pack("=BBH", 0, 0, 0)):
            name = dict(attributes_of(body[4:])).get(NFTA_TABLE_NAME, b"").rstrip(b"\0").decode()
            found.add(f"{FAMILIES.get(body[0], body[0])} {name}")
        return found


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread is in the namespace meanwhile."""
    if not namespace:
        yield
        return
    with Path(f"{ROOT}/proc/thread-self/ns/net").open() as own, (NAMESPACES / namespace).open() as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def local_addresses(trie: str) -> set[str]:
    """Of /proc/net/fib_trie: a line "|-- ADDRESS" followed by "/32 host LOCAL"."""
    found, address = set(), ""
    for line in trie.splitlines():
        if "|-- " in line:
            address = line.rpartition(" ")[2]
        elif line.endswith("/32 host LOCAL"):
            found.add(address)
    return found


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _text(file: int) -> str:
    """All of it, from the beginning: a read of such a file ends at a page, however much is asked for."""
    os.lseek(file, 0, os.SEEK_SET)
    parts = []
    while part := os.read(file, FILE_BYTES):
        parts.append(part)
    return b"".join(parts).decode()
