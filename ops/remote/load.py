#!/usr/bin/env python3
"""Load on a path, and what becomes of it. Runs on a func host, on python3-minimal alone; ICMP needs root.

    load.py ADDRESS[@SOURCE][,…] PORT [OPTION=N…]      see OPTIONS

- one address after the other gets a connection; SOURCE, an address of this host, says which of several networks that
  have the address is meant
- connections send a byte to a TCP echo every interval, whether or not the last came back
- silent ones send a byte when they start and one at the end, nothing in between
- every new_ms another connection is made, says a byte, hears it and ends
- UDP and ICMP say something to every address every datagram_ms; bulk connections send as fast as the path takes it

stdin: `clock` is answered with `clock NOW`, `so-far` with `so-far ECHOES MEDIAN P99 LONGEST` of TCP's round trips until
then; `stop`, or its end, ends the load. stdout: `ready NOW` once everything has been echoed once, and after `stop` what
happened, a record a line, then `end`. Times are seconds of this host's monotonic clock.

A connection's stall is the longest that a byte of it waited to come back; of a bulk connection, and of datagrams, the
longest time in which nothing came back.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

OPTIONS = {
    "connections": 100,
    "interval_ms": 20,
    "datagram_ms": 20,
    "new_ms": 200,
    "bulk": 0,
    "silent": 1,
    "udp": 1,
    "icmp": 1,
    "grace_ms": 15_000,  # after `stop`, for what is still under way; a connection that is silent then is lost
}
BATCH = 50  # connections that are made at once: the far end accepts and answers them before there are more
CONNECT_S = 10.0
TICK_S = 0.005
BIN_S = 0.05  # resolution of the timeline
FIRST_ECHO_S = 5.0
LEAVE_S = 10.0  # for all to end; whoever is left then ends at once
DATAGRAM_GRACE_S = 0.5  # a datagram that takes longer is lost
NEW_DEADLINE_S = 10.0
CHUNK = b"\0" * (1 << 16)
STAMP = struct.Struct("!Qd")
ICMP_HEADER = struct.Struct("!BBHHH")
ICMP_ECHO, ICMP_ECHO_REPLY = 8, 0

BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT of Linux, which Python 3.11 does not name
FREEBIND = (
    15  # IP_FREEBIND, likewise: an address that is gone for a moment ends nothing but what is begun then
)

now = time.monotonic


class Way(NamedTuple):
    """Where to, and from which of this host's addresses; "" leaves that to the kernel."""

    address: str
    source: str

    def socket(self, kind: int, protocol: int = 0) -> socket.socket:
        """One that is bound, and does not wait."""
        made = socket.socket(socket.AF_INET, kind, protocol)
        made.setblocking(False)
        if self.source:
            made.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
            made.setsockopt(socket.IPPROTO_IP, FREEBIND, 1)
            made.bind((self.source, 0))
        return made


class Bin:
    """Round trips in seconds, by kind, and bytes of bulk transfer."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {"tcp": [], "udp": [], "icmp": []}
        self.bulk_bytes = 0


class Bins:
    """What came back, by time."""

    def __init__(self) -> None:
        self.began = now()
        self.of: dict[int, Bin] = {}

    def at(self, moment: float) -> Bin:
        """The one that is now."""
        index = int((moment - self.began) / BIN_S)
        found = self.of.get(index)
        if found is None:
            found = self.of[index] = Bin()
        return found

    def so_far(self) -> tuple[int, float, float, float]:
        """How many echoes of TCP there were; median, p99 and longest of their round trips."""
        times = sorted(took for one in self.of.values() for took in one.took["tcp"])
        if not times:
            return 0, 0.0, 0.0, 0.0
        return len(times), times[len(times) // 2], times[len(times) * 99 // 100], times[-1]


class Pauses:
    """How long this process was kept from running, though it wanted to.

    What it did not hear, or say, meanwhile is none of the path's doing.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.due = math.inf  # when it wants to be done with what it is at

    def until(self, moment: float) -> float:
        """All of them until now, which `moment` is."""
        return self.total + max(0.0, moment - self.due)


class Gap:
    """The longest time between two things that came back, in which this process could run."""

    def __init__(self, pauses: Pauses) -> None:
        self.pauses = pauses
        self.last = now()
        self.paused = pauses.until(self.last)
        self.worst = 0.0
        self.since = self.last

    def heard(self, moment: float) -> None:
        """Something came back."""
        paused = self.pauses.until(moment)
        silent = moment - self.last - (paused - self.paused)
        if silent > self.worst:
            self.worst, self.since = silent, self.last
        self.last, self.paused = moment, paused

    def waited(self, moment: float, since: float) -> None:
        """Something came back that was said then."""
        if moment - since > self.worst:
            self.worst, self.since = moment - since, since


class Connection:
    """One TCP connection to the echo, that is there already."""

    def __init__(self, load: Load, connected: socket.socket) -> None:
        self.load = load
        self.state = "open"
        self.socket = connected
        self.sent: deque[float] = deque()
        self.received = 0
        self.ended: float | None = None
        self.gap = Gap(load.pauses)
        load.watch(self.socket, self)

    def send(self) -> None:
        """Say something."""
        if self.state != "open":
            return
        try:
            self.socket.send(b".")
            self.sent.append(now())
        except BlockingIOError:
            pass  # the buffer is full of what was not acknowledged
        except OSError as error:
            self.ends(error)

    def ready(self, _mask: int) -> None:
        """Something can be read, or is over."""
        count, moment = self.hear(), now()
        took = self.load.bins.at(moment).took["tcp"]
        for _ in range(count):
            said = self.sent.popleft()
            self.gap.waited(moment, said)
            took.append(moment - said)

    def hear(self) -> int:
        """How many bytes came back; none where it is over."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.ends(error)
            return 0
        if not data:
            self.ends(None)
        self.received += len(data)
        return len(data)

    def ends(self, error: OSError | None) -> None:
        """By an error, or by the far end."""
        self.state = "eof" if error is None else name_of(error.errno)
        self.ended = now()
        self.load.forget(self.socket)
        self.socket.close()

    def stop(self) -> None:
        """Say nothing more of oneself."""

    def leave(self) -> None:
        """Have nothing more to say; it is over when the far end has nothing more, either."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.ends(error)

    def owed(self) -> bool:
        """Whether something that was said did not come back yet."""
        return bool(self.sent)

    def record(self, kind: str) -> tuple[object, ...]:
        """Kept is who has heard all that it said."""
        state = self.state
        if state == "open":
            state = "silent" if self.owed() else "kept"
        ended = now() if self.ended is None else self.ended
        return (kind, state, self.received, self.gap.worst, self.gap.since, ended)


class Bulk(Connection):
    """Sends and hears as much as passes."""

    def __init__(self, load: Load, connected: socket.socket) -> None:
        super().__init__(load, connected)
        self.stopping = False
        self.left_bytes = 0
        load.watch(self.socket, self, select.EPOLLIN | select.EPOLLOUT)

    def ready(self, mask: int) -> None:
        count = self.hear() if mask & (select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP) else 0
        if count:
            moment = now()
            self.gap.heard(moment)
            self.left_bytes -= count
            self.load.bins.at(moment).bulk_bytes += count
        if mask & select.EPOLLOUT and not self.stopping and self.state == "open":
            try:
                self.left_bytes += self.socket.send(CHUNK)
            except BlockingIOError:
                pass
            except OSError as error:
                self.ends(error)

    def stop(self) -> None:
        self.stopping = True
        if self.state == "open":
            self.load.watch(self.socket, self)

    def owed(self) -> bool:
        return self.left_bytes > 0


class Attempt:
    """A connection that is made, says a byte, hears it and ends."""

    def __init__(self, load: Load, way: Way) -> None:
        self.load = load
        self.began = now()
        self.outcome: str | None = None
        self.took = 0.0
        self.said = False
        self.socket = way.socket(socket.SOCK_STREAM)
        problem = self.socket.connect_ex((way.address, load.port))
        if problem not in (0, errno.EINPROGRESS):
            self.ends(name_of(problem))
            return
        load.watch(self.socket, self, select.EPOLLOUT)

    def ready(self, _mask: int) -> None:
        """Something can be read, or is over."""
        try:
            if not self.said:
                problem = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if problem:
                    self.ends(name_of(problem))
                    return
                self.socket.send(b"?")
                self.said = True
                self.load.watch(self.socket, self)
            else:
                self.ends("answered" if self.socket.recv(1) else "eof")
        except BlockingIOError:
            return
        except OSError as error:
            self.ends(name_of(error.errno))

    def expires(self, moment: float) -> None:
        """Give up after the deadline."""
        if self.outcome is None and moment - self.began > NEW_DEADLINE_S:
            self.ends("timeout")

    def ends(self, outcome: str) -> None:
        """One way or another."""
        self.outcome = outcome
        self.took = now() - self.began
        self.load.forget(self.socket)
        self.socket.close()


class Datagrams:
    """Numbered datagrams, each of which should come back once."""

    def __init__(self, load: Load, kind: str, way: Way) -> None:
        self.load = load
        self.kind = kind
        self.icmp = kind == "icmp"
        self.id = os.getpid() & 0xFFFF
        raw = (socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket = way.socket(*(raw if self.icmp else (socket.SOCK_DGRAM, 0)))
        self.socket.connect((way.address, load.port))
        self.sent = 0
        self.errors = 0
        self.missing: set[int] = set()
        self.gap = Gap(load.pauses)
        load.watch(self.socket, self)

    def send(self) -> None:
        """Say something."""
        stamp = STAMP.pack(self.sent, now())
        self.missing.add(self.sent)
        self.sent += 1
        try:
            self.socket.send(echo_request(self.id, stamp) if self.icmp else stamp)
        except OSError:
            self.errors += 1

    def ready(self, _mask: int) -> None:
        """Something can be read, or is over."""
        try:
            data = self.socket.recv(1 << 12)
        except BlockingIOError:
            return
        except OSError:
            self.errors += 1
            return
        stamp = echoed(self.id, data) if self.icmp else data
        if len(stamp) != STAMP.size:
            return
        number, sent = STAMP.unpack(stamp)
        if number not in self.missing:
            return
        self.missing.remove(number)
        moment = now()
        self.gap.heard(moment)
        self.load.bins.at(moment).took[self.kind].append(moment - sent)

    def stop(self, moment: float) -> None:
        """Nothing was said after it; if nothing has come back for a while, that is a gap as well."""
        if moment > self.gap.last:
            self.gap.heard(moment)

    def record(self) -> tuple[object, ...]:
        """What became of them."""
        lost = len(self.missing)
        return (self.kind, self.sent, lost, self.errors, self.gap.worst, self.gap.since)


class Handler(Protocol):
    """Who is told of what happens on a descriptor."""

    def ready(self, mask: int, /) -> None:
        """It happened; the bits are epoll's."""


class Load:
    """Everything at once, in one thread."""

    def __init__(self, ways: Sequence[Way], port: int, options: dict[str, int]) -> None:
        self.ways = ways
        self.port = port
        self.options = options
        self.poll = select.epoll()
        self.handlers: dict[int, Handler] = {}
        self.bins = Bins()
        self.pauses = Pauses()
        self.late = 0.0
        self.attempts: list[Attempt] = []
        self.open_attempts: list[Attempt] = []
        self.commands = b""
        self.stopping = False
        os.set_blocking(0, False)
        self.handlers[0] = self
        self.poll.register(0, select.EPOLLIN)
        self.silent: list[Connection] = []
        self.flows: list[Connection] = []
        self.bulk: list[Connection] = []
        self.connect()
        kinds = [kind for kind in ("udp", "icmp") if options[kind]]
        self.datagrams = [Datagrams(self, kind, way) for kind in kinds for way in ways]

    def connect(self) -> None:
        """All connections that last, a batch at a time; each but a bulk one has carried a byte after that."""
        wanted = {name: self.options[name] for name in ("silent", "connections", "bulk")}
        made, total = 0, sum(wanted.values())
        for name, kept in (("silent", self.silent), ("connections", self.flows)):
            while len(kept) < wanted[name]:
                size = min(BATCH, wanted[name] - len(kept))
                batch = [Connection(self, one) for one in connected(self.ways, self.port, size, made, total)]
                self.echo_once(batch, made, total)
                kept += batch
                made += size
        self.bulk += [Bulk(self, one) for one in connected(self.ways, self.port, wanted["bulk"], made, total)]

    def echo_once(self, batch: Sequence[Connection], made: int, total: int) -> None:
        """Have each say a byte and hear it. What does not is named by its number of all."""
        for one in batch:
            one.send()
        self.settle(now() + FIRST_ECHO_S, batch)
        for number, one in enumerate(batch, made + 1):
            if one.state != "open":
                raise RefusedError(f"connection {number} of {total}: the echo service ended it ({one.state})")
            if one.owed():
                raise RefusedError(f"connection {number} of {total}: no echo in {FIRST_ECHO_S:g} s")

    def watch(self, sock: socket.socket, handler: Handler, mask: int = select.EPOLLIN) -> None:
        """Have the handler told."""
        fd = sock.fileno()
        if fd in self.handlers:
            self.poll.modify(fd, mask)
        else:
            self.poll.register(fd, mask)
        self.handlers[fd] = handler

    def forget(self, sock: socket.socket) -> None:
        """Tell nobody any more."""
        if self.handlers.pop(sock.fileno(), None) is not None:
            self.poll.unregister(sock.fileno())

    def ready(self, _mask: int) -> None:
        """Commands on standard input."""
        data = os.read(0, 4096)
        if not data:
            self.stopping = True
            self.poll.unregister(0)
        self.commands += data
        while b"\n" in self.commands:
            line, self.commands = self.commands.split(b"\n", 1)
            if line == b"clock":
                say("clock", now())
            elif line == b"so-far":
                say("so-far", *self.bins.so_far())
            elif line == b"stop":
                self.stopping = True

    def listen(self, until: float) -> None:
        """Hear what comes until then."""
        while True:
            left = until - now()
            for fd, mask in self.poll.poll(max(0.0, left), 512):
                handler = self.handlers.get(fd)
                if handler is not None:
                    handler.ready(mask)
            if left <= 0:
                return

    def settle(self, deadline: float, what: Sequence[Connection]) -> bool:
        """Hear until every connection has heard all it said; False at the deadline."""
        while any(one.state == "open" and one.owed() for one in what):
            if now() > deadline:
                return False
            self.listen(now() + TICK_S)
        return True

    def begin(self) -> None:
        """What is measured begins now."""
        for connection in self.silent + self.flows + self.bulk:
            connection.gap = Gap(self.pauses)
        for kind in self.datagrams:
            kind.gap = Gap(self.pauses)
        self.late = 0.0
        self.bins = Bins()

    def run(self) -> None:
        """Until told to stop."""
        self.begin()
        say("ready", now())
        groups, datagram_ticks, new_ticks = map(self.turns, ("interval_ms", "datagram_ms", "new_ms"))
        tick, due = 0, now()
        while not self.stopping:
            for one in self.flows[tick % groups :: groups]:
                one.send()
            if tick % datagram_ticks == 0:
                for kind in self.datagrams:
                    kind.send()
            if tick % new_ticks == 0:
                self.attempt()
            tick += 1
            due += TICK_S
            moment = now()
            behind = moment - due
            if behind > self.late:
                self.late = behind
            if behind > TICK_S:
                self.pauses.total += behind
                due = moment  # what was missed is not made up for
            self.pauses.due = due
            self.listen(due)
        self.pauses.due = math.inf
        self.finish()

    def attempt(self) -> None:
        """One more new connection."""
        moment = now()
        for one in self.open_attempts:
            one.expires(moment)
        self.open_attempts = [one for one in self.open_attempts if one.outcome is None]
        one = Attempt(self, self.ways[len(self.attempts) % len(self.ways)])
        self.attempts.append(one)
        if one.outcome is None:
            self.open_attempts.append(one)

    def finish(self) -> None:
        """Hear what is still under way, and say what happened."""
        for one in self.bulk:
            one.stop()
        everyone = self.silent + self.flows
        stopped = now()
        self.last_words(everyone)
        deadline = now() + self.options["grace_ms"] / 1000
        self.listen(stopped + DATAGRAM_GRACE_S)
        for kind in self.datagrams:
            kind.stop(stopped)
        self.settle(deadline, everyone + self.bulk)
        while now() < deadline and self.unfinished():
            self.listen(now() + TICK_S)
        self.report()
        self.end_gently(everyone + self.bulk)
        say("end")

    def last_words(self, everyone: Sequence[Connection]) -> None:
        """Each says one more byte, at the pace at which they said something before: a burst is none of the load."""
        turns = self.turns("interval_ms")
        for turn in range(turns):
            for one in everyone[turn::turns]:
                one.send()
            self.listen(now() + TICK_S)

    def end_gently(self, everyone: Sequence[Connection]) -> None:
        """A batch at a time, as they were made: the next one when the far end has ended, too."""
        deadline = now() + LEAVE_S
        for first in range(0, len(everyone), BATCH):
            batch = [one for one in everyone[first : first + BATCH] if one.state == "open" and not one.owed()]
            for one in batch:
                one.leave()
            while any(one.state == "open" for one in batch) and now() < deadline:
                self.listen(now() + TICK_S)

    def turns(self, option: str) -> int:
        """How many ticks there are in the time that an option gives."""
        return max(1, round(self.options[option] / 1000 / TICK_S))

    def unfinished(self) -> bool:
        """Whether a new connection is still being made."""
        return any(one.outcome is None for one in self.open_attempts)

    def report(self) -> None:
        """All records."""
        for kind, group in (("flow", self.flows), ("silent", self.silent), ("bulk", self.bulk)):
            for connection in group:
                say(*connection.record(kind))
        for attempt in self.attempts:
            took = attempt.took if attempt.outcome else now() - attempt.began
            say("new", attempt.outcome or "timeout", attempt.began, took)
        for datagrams in self.datagrams:
            say(*datagrams.record())
        for index, seen in sorted(self.bins.of.items()):
            tcp, udp, icmp = seen.took.values()
            at = self.bins.began + index * BIN_S
            say("bin", at, len(tcp), *figures(tcp), *figures(udp), *figures(icmp), seen.bulk_bytes)
        say("late", self.late)


class RefusedError(Exception):
    """There is no load: what a person is told of it."""


def connected(ways: Sequence[Way], port: int, count: int, made: int, total: int) -> list[socket.socket]:
    """So many connections, made at the same time. One that cannot be made is named by its number of all."""
    poll = select.epoll()
    waiting: dict[int, tuple[int, socket.socket]] = {}
    found: list[socket.socket] = []
    for number in range(made + 1, made + count + 1):
        way = ways[number % len(ways)]
        one = way.socket(socket.SOCK_STREAM)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.append(one)
        problem = one.connect_ex((way.address, port))
        if problem not in (0, errno.EINPROGRESS):
            raise RefusedError(f"connection {number} of {total}: {os.strerror(problem)}")
        waiting[one.fileno()] = (number, one)
        poll.register(one, select.EPOLLOUT)
    deadline = now() + CONNECT_S
    while waiting:
        events = poll.poll(max(0.0, deadline - now()), BATCH)
        if not events:
            number = min(number for number, _ in waiting.values())
            raise RefusedError(f"connection {number} of {total}: timed out")
        for fd, _mask in events:
            number, one = waiting.pop(fd)
            poll.unregister(one)
            problem = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                raise RefusedError(f"connection {number} of {total}: {os.strerror(problem)}")
    poll.close()
    return found


def echo_request(identifier: int, payload: bytes) -> bytes:
    """An ICMP message with its checksum (RFC 792); the payload's length is even."""
    plain = ICMP_HEADER.pack(ICMP_ECHO, 0, 0, identifier, 0) + payload
    total = sum(struct.unpack(f"!{len(plain) // 2}H", plain))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ICMP_HEADER.pack(ICMP_ECHO, 0, ~total & 0xFFFF, identifier, 0) + payload


def echoed(identifier: int, packet: bytes) -> bytes:
    """The payload of an answer to us, out of an IPv4 packet; of everything else nothing."""
    message = packet[(packet[0] & 0xF) * 4 :]
    if len(message) < ICMP_HEADER.size:
        return b""
    kind, _code, _checksum, whose, _number = ICMP_HEADER.unpack(message[: ICMP_HEADER.size])
    return message[ICMP_HEADER.size :] if (kind, whose) == (ICMP_ECHO_REPLY, identifier) else b""


def name_of(number: int | None) -> str:
    """ECONNRESET and the like."""
    return errno.errorcode.get(number or 0, "error")


def figures(times: list[float]) -> Sequence[object]:
    """Smallest, median and largest."""
    if not times:
        return ("-", "-", "-")
    times.sort()
    return times[0], times[len(times) // 2], times[-1]


def say(*words: object) -> None:
    """One record."""
    print(*(f"{word:.6f}" if isinstance(word, float) else word for word in words), flush=words[0] != "bin")


def main() -> None:
    """Parse, connect, run."""
    addresses, port, *words = sys.argv[1:]
    ways = [Way(*(*one.split("@"), "")[:2]) for one in addresses.split(",")]
    options = dict(OPTIONS)
    for word in words:
        name, _, value = word.partition("=")
        if name not in options:
            sys.exit(f"{name} is no option")
        options[name] = int(value)
    try:
        load = Load(ways, int(port), options)
    except (RefusedError, OSError) as error:
        sys.exit(f"{', '.join(way.address for way in ways)}: {error}")
    load.run()


if __name__ == "__main__":
    main()
