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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import paramiko

from ops.drill.result import Attempt, Bin, Datagrams, Flow, LoadResult, Steady
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
    """A load that runs from `with` on, until `stop` or the end of `with`."""

    def __init__(self, stack: Stack, options: LoadOptions) -> None:
        self._stack = stack
        self._options = options
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[bytes] = []
        self.host, self.target = ends_of(stack)

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
        self._session = self._stack.log_in(self.host)
        self._channel = open_command(self._session, line)
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()
        self._wait_for("ready", READY_DEADLINE_S)
        self._offset = self._ask_clock()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def steady(self) -> Steady:
        """How it went so far."""
        self._say("so-far")
        echoes, *times = self._wait_for("so-far", READY_DEADLINE_S)[1:]
        median, p99, longest = map(float, times)
        return Steady(
            echoes=int(echoes), median_s=median, p99_s=p99, longest_s=longest, load_average=os.getloadavg()[0]
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
                return parse(records, offset)
            records.append(words)

    def _ask_clock(self) -> Offset:
        best: Offset | None = None
        for _ in range(CLOCK_QUESTIONS):
            asked = time.monotonic()
            self._say("clock")
            theirs = float(self._wait_for("clock", READY_DEADLINE_S)[1])
            took = time.monotonic() - asked
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
                return words

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
        said = b"".join(self._errors).decode(errors="replace").strip().splitlines()
        return OpsError(
            f"{self.host}: the load ended: {said[-1] if said else 'its session is gone'}",
            hint=f"is the way from {self.host} to {self.target} whole? `python -m ops status`",
        )

    def _read(self) -> None:
        with self._channel.makefile("r") as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        self._errors.extend(iter(lambda: self._channel.recv_stderr(1 << 14), b""))


def ends_of(stack: Stack) -> tuple[str, str]:
    """The first func host, and the address of the first tenant's user instance."""
    tenants = sorted(stack.outputs.tenants.items())
    targets = [t.user_instance.address for _, t in tenants if t.user_instance is not None]
    if not targets:
        raise OpsError(
            "no tenant has a user instance that would echo", hint="a drill needs a tenant with `create`"
        )
    return stack.outputs.named("func")[0], targets[0]


def parse(records: Iterable[Sequence[str]], offset: Offset) -> LoadResult:
    """From what the script printed."""
    flows: dict[str, list[Flow]] = {"flow": [], "silent": [], "bulk": []}
    attempts: list[Attempt] = []
    datagrams: dict[str, Datagrams] = {}
    bins: list[Bin] = []
    late = 0.0

    def here(text: str) -> float:
        return float(text) + offset.seconds

    for kind, *rest in records:
        match kind:
            case "flow" | "silent" | "bulk":
                state, received, stall, since, ended = rest
                flows[kind].append(
                    Flow(
                        state=state,
                        received=int(received),
                        stall_s=float(stall),
                        stalled_at=here(since),
                        ended_at=here(ended),
                    )
                )
            case "new":
                outcome, began, took = rest
                attempts.append(Attempt(outcome=outcome, began=here(began), took_s=float(took)))
            case "udp" | "icmp":
                sent, lost, errors, gap, _since = rest
                datagrams[kind] = Datagrams(
                    sent=int(sent), lost=int(lost), errors=int(errors), gap_s=float(gap)
                )
            case "bin":
                at, echoes, *figures, bulk = rest
                bins.append(
                    Bin(
                        at=here(at), echoes=int(echoes), tcp=_figures(figures[:3]), udp=_figures(figures[3:6]),
                        icmp=_figures(figures[6:]), bulk_bytes=int(bulk),
                    )
                )  # fmt: skip
            case "late":
                late = float(rest[0])
            case _:
                raise ValueError(f"the load said {kind!r}")
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


def _figures(words: Sequence[str]) -> tuple[float, float, float] | None:
    if "-" in words:
        return None
    smallest, median, largest = map(float, words)
    return smallest, median, largest
