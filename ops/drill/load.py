"""Connections from a func host to a tenant's echo, while something happens: ops/remote/load.py, driven from here.

Its clock is the func host's monotonic one. It is asked for the time before and after; the answer that came back soonest
says by how much the clocks differ, to half of what the question took. Results are in this machine's monotonic time.
"""

from __future__ import annotations

import os
import queue
import shlex
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import paramiko
from pydantic import Field, TypeAdapter

from ops.answer import NO_SENSE, one_line, plain, words_understood
from ops.drill.result import Attempt, Bin, Datagrams, Flow, LoadResult, Steady, pooled
from ops.errors import OpsError
from ops.ssh import REMOTE, open_command
from ops.stack import Stack

ECHO_PORT = 7007
READY_DEADLINE_S = 60.0
REPORT_DEADLINE_S = 60.0
CLOCK_QUESTIONS = 12
BYTES_PER_S = 500  # all connections together: half of what an emulated guest can do when nothing else runs
MIN_INTERVAL_MS = 20
OPEN_FILES = 16384
MAX_LINE_BYTES = 1000
MAX_REPORT_BYTES = 16 << 20  # ten minutes of 5,000 connections are 3 MiB
MAX_ERRORS_BYTES = 1 << 16
SLACK_S = 30.0  # between what the host's clock says and ours, at most

# What the script may say: it runs on a func host, which may be anybody's.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]
Seconds = Annotated[float, Field(ge=0, lt=1e10, allow_inf_nan=False)]
Figure = Seconds | Literal["-"]
CLOCK = TypeAdapter(tuple[Seconds])
SO_FAR = TypeAdapter(tuple[Count, Seconds, Seconds, Seconds])
FLOW = TypeAdapter(tuple[Word, Count, Seconds, Seconds, Seconds])
NEW = TypeAdapter(tuple[Word, Seconds, Seconds])
DATAGRAMS = TypeAdapter(tuple[Count, Count, Count, Seconds, Seconds])
BIN = TypeAdapter(
    tuple[Seconds, Count, Figure, Figure, Figure, Figure, Figure, Figure, Figure, Figure, Figure, Count]
)
LATE = TypeAdapter(tuple[Seconds])


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How much. Connections that are many say something less often."""

    connections: int = 100
    bulk: int = 0
    silent: int = 2

    @property
    def interval_ms(self) -> int:
        """Of a connection's bytes."""
        return max(MIN_INTERVAL_MS, self.connections * 1000 // BYTES_PER_S)

    @property
    def words(self) -> tuple[str, ...]:
        """For the script."""
        return (
            f"connections={self.connections}",
            f"interval_ms={self.interval_ms}",
            f"bulk={self.bulk}",
            f"silent={self.silent}",
        )


@dataclass(frozen=True)
class Offset:
    """What to add to the host's clock to get this machine's, and how wrong that may be."""

    seconds: float
    error_s: float


class Load:
    """A load that runs from `with` on, until `stop` or the end of `with`. Of the first func host, or another one."""

    def __init__(self, stack: Stack, options: LoadOptions, host: str | None = None) -> None:
        self._stack = stack
        self._options = options
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[bytes] = []
        self._overrun = False
        self.host = host or stack.outputs.named("func")[0]
        self.target = targets_of(stack, self.host)

    def __enter__(self) -> Self:
        """Every connection has been echoed once when this returns."""
        script = (REMOTE / "load.py").read_bytes()
        file = self._stack.hosts.succeed(
            self.host, 'file=$(mktemp) && cat >"$file" && echo "$file"', stdin=script
        ).strip()
        words = shlex.join([file, self.target, str(ECHO_PORT), *self._options.words])
        run = f'ulimit -n {OPEN_FILES}; python3 -u "$@"; status=$?; rm -f "$1"; exit "$status"'
        line = f"sudo -n sh -c {shlex.quote(run)} sh {words}"
        # A session of its own: nothing else waits in line with its clock.
        self._began = time.monotonic()
        self._session = self._stack.log_in(self.host)
        try:
            self._channel = open_command(self._session, line)
        except Exception as error:  # whatever paramiko met in what the host sent
            self._session.close()
            raise OpsError(
                f"{self.host}: no load begins: {one_line(str(error))}", hint="does the host still run?"
            ) from error
        threading.Thread(target=self._read, daemon=True).start()
        self._complaints = threading.Thread(target=self._read_errors, daemon=True)
        self._complaints.start()
        try:
            self._wait_for("ready", READY_DEADLINE_S)
            self._offset = self._ask_clock()
        except BaseException:
            self._session.close()  # or it would go on until this process ends
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def steady(self) -> Steady:
        """How it went so far."""
        self._say("so-far")
        words = self._wait_for("so-far", READY_DEADLINE_S)
        with self._named():
            echoes, median, p99, longest = words_understood(SO_FAR, words)
        return Steady(
            echoes=echoes, median_s=median, p99_s=p99, longest_s=longest, load_average=os.getloadavg()[0]
        )

    def stop(self) -> LoadResult:
        """End it, and hear what happened."""
        offset = min(self._offset, self._ask_clock(), key=lambda found: found.error_s)
        self._say("stop")
        records: list[list[str]] = []
        deadline = time.monotonic() + REPORT_DEADLINE_S
        while True:
            words = self._next(deadline)
            if words == ["end"]:
                with self._named():
                    result = parse(records, offset)
                    require_whole(result, self._options, self._began, time.monotonic())
                return result
            records.append(words)

    def _ask_clock(self) -> Offset:
        best: Offset | None = None
        for _ in range(CLOCK_QUESTIONS):
            asked = time.monotonic()
            self._say("clock")
            words = self._wait_for("clock", READY_DEADLINE_S)
            took = time.monotonic() - asked
            with self._named():
                (theirs,) = words_understood(CLOCK, words)
            if best is None or took / 2 < best.error_s:
                best = Offset(asked + took / 2 - theirs, took / 2)
        if best is None:
            raise ValueError("no question was asked")
        return best

    def _say(self, word: str) -> None:
        try:
            self._channel.sendall(f"{word}\n".encode())
        except (OSError, paramiko.SSHException) as error:
            raise self._ended() from error

    def _wait_for(self, kind: str, seconds: float) -> list[str]:
        deadline = time.monotonic() + seconds
        while True:
            words = self._next(deadline)
            if words[:1] == [kind]:
                return words[1:]

    def _next(self, deadline: float) -> list[str]:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty as error:
            raise OpsError(
                f"{self.host}: the load does not answer", hint="does the host still run?"
            ) from error
        if line is None:
            raise self._ended()
        return line.split()

    def _ended(self) -> OpsError:
        if self._overrun:
            return OpsError(f"{self.host}: {NO_SENSE}: it has no end", hint="log in there and look")
        self._complaints.join(1.0)  # why it ended may come after its end
        said = plain(b"".join(self._errors).decode(errors="replace")).strip().splitlines()
        return OpsError(
            f"{self.host}: the load ended: {one_line(said[-1]) if said else 'its session is gone'}",
            hint=f"is the way from {self.host} to {self.target} whole? `python -m ops status`",
        )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What makes no sense was said by the func host."""
        try:
            yield
        except OpsError as error:
            raise OpsError(f"{self.host}: {error.message}", hint=error.hint) from error

    def _read(self) -> None:
        left = MAX_REPORT_BYTES
        with self._channel.makefile("rb") as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                left -= len(line)
                if left < 0 or len(line) >= MAX_LINE_BYTES:
                    self._overrun = True
                    break
                self._lines.put(plain(line.decode(errors="replace")))
        self._lines.put(None)

    def _read_errors(self) -> None:
        left = MAX_ERRORS_BYTES
        while part := self._channel.recv_stderr(1 << 14):
            if left > 0:
                self._errors.append(part)
                left -= len(part)


def targets_of(stack: Stack, host: str) -> str:
    """Every tenant's user instance, with this func host's source that says whose it is."""
    targets = [
        f"{tenant.user_instance.address}@{tenant.func_overlay_addresses.get(host, '')}"
        for _, tenant in sorted(stack.outputs.tenants.items())
        if tenant.user_instance is not None
    ]
    if not targets:
        raise OpsError(
            "no tenant has a user instance that would echo", hint="a drill needs a tenant with `create`"
        )
    return ",".join(targets)


def parse(records: Iterable[Sequence[str]], offset: Offset) -> LoadResult:
    """From what the script printed. OpsError where it makes no sense."""
    flows: dict[str, list[Flow]] = {"flow": [], "silent": [], "bulk": []}
    attempts: list[Attempt] = []
    datagrams: dict[str, Datagrams] = {}
    bins: list[Bin] = []
    late = 0.0

    def here(theirs: float) -> float:
        return theirs + offset.seconds

    for words in records:
        kind, *rest = words or [""]
        match kind:
            case "flow" | "silent" | "bulk":
                state, received, stall, since, ended = words_understood(FLOW, rest)
                flows[kind].append(
                    Flow(
                        state=state,
                        received=received,
                        stall_s=stall,
                        stalled_at=here(since),
                        ended_at=here(ended),
                    )
                )
            case "new":
                outcome, began, took = words_understood(NEW, rest)
                attempts.append(Attempt(outcome=outcome, began=here(began), took_s=took))
            case "udp" | "icmp":
                sent, lost, errors, gap, _since = words_understood(DATAGRAMS, rest)
                said = Datagrams(sent=sent, lost=lost, errors=errors, gap_s=gap)
                datagrams[kind] = pooled([said, *filter(None, [datagrams.get(kind)])])  # one per address
            case "bin":
                at, echoes, *figures, bulk = words_understood(BIN, rest)
                bins.append(
                    Bin(
                        at=here(at), echoes=echoes, tcp=_figures(figures[:3]), udp=_figures(figures[3:6]),
                        icmp=_figures(figures[6:]), bulk_bytes=bulk,
                    )
                )  # fmt: skip
            case "late":
                (late,) = words_understood(LATE, rest)
            case _:
                raise OpsError(f"{NO_SENSE}: {one_line(kind)!r}", hint="log in there and look")
    return LoadResult(
        flows=tuple(flows["flow"]),
        silent=tuple(flows["silent"]),
        bulk=tuple(flows["bulk"]),
        attempts=tuple(attempts),
        datagrams=datagrams,
        bins=tuple(bins),
        late_s=late,
        began=bins[0].at if bins else 0.0,
        clock_error_s=offset.error_s,
    )


def require_whole(result: LoadResult, options: LoadOptions, began: float, ended: float) -> None:
    """OpsError where something is missing that was asked for, or is said of a time when there was no load."""
    said = (len(result.flows), len(result.silent), len(result.bulk), len(result.datagrams))
    asked = (options.connections, options.silent, options.bulk, 2)
    if said != asked:
        raise OpsError(
            f"{NO_SENSE}: of {asked} connections and datagrams it tells of {said}",
            hint="log in there and look",
        )
    moments = [
        *(one.at for one in result.bins),
        *(one.began for one in result.attempts),
        *(moment for flow in (*result.flows, *result.silent) for moment in (flow.stalled_at, flow.ended_at)),
    ]
    if any(not began - SLACK_S <= moment <= ended + SLACK_S for moment in moments):
        raise OpsError(f"{NO_SENSE}: it tells of another time", hint="log in there and look")


def _figures(words: Sequence[float | str]) -> tuple[float, float, float] | None:
    smallest, median, largest = words
    if isinstance(smallest, str) or isinstance(median, str) or isinstance(largest, str):
        return None
    return smallest, median, largest
