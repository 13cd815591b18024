"""What a run came to: plain data, figures and bounds. Pure.

Times are seconds. A connection's stall is the longest that a byte of it waited to come back, so that it includes what
TCP itself waits before it sends again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

KEPT = "kept"
RESET = "ECONNRESET"
ANSWERED = "answered"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One connection. `state`: kept, silent, eof, or the name of an error."""

    state: str
    received: int
    stall_s: float
    stalled_at: float  # when the longest stall began
    ended_at: float

    @property
    def kept(self) -> bool:
        """Whether it heard all that it said."""
        return self.state == KEPT


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A connection that was made during the run."""

    outcome: str  # answered, timeout, eof, or the name of an error
    began: float
    took_s: float


@dataclass(frozen=True, kw_only=True)
class Datagrams:
    """Numbered datagrams, each of which should come back."""

    sent: int
    lost: int
    errors: int
    gap_s: float


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Round trips (smallest, median, largest) of what came back in 50 ms, and bytes of bulk transfer."""

    at: float
    echoes: int
    tcp: tuple[float, float, float] | None
    udp: tuple[float, float, float] | None
    icmp: tuple[float, float, float] | None
    bulk_bytes: int


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """Everything that a func host met. `late_s`: how long its own client was kept from running, at most."""

    flows: tuple[Flow, ...]
    silent: tuple[Flow, ...]
    bulk: tuple[Flow, ...]
    attempts: tuple[Attempt, ...]
    datagrams: Mapping[str, Datagrams]
    bins: tuple[Bin, ...]
    late_s: float
    began: float
    clock_error_s: float


@dataclass(frozen=True, kw_only=True)
class Steady:
    """Round trips of TCP before anything happened, and how many processes waited for a core of this machine then.

    A bound that is missed where these are bad says more of the machine than of the stack.
    """

    echoes: int
    median_s: float
    p99_s: float
    longest_s: float
    load_average: float


@dataclass(frozen=True)
class Event:
    """Something that the drill did or saw. `kind`: fault, mend, seen, wait."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Sample:
    """Who holds each HaVip by API, at a time: names of proxies; several or none are possible."""

    at: float
    holders: Mapping[str, tuple[str, ...]]

    @property
    def whole_on(self) -> str | None:
        """The one proxy that holds all."""
        found = set(self.holders.values())
        (one,) = found if len(found) == 1 else ((),)
        return one[0] if len(one) == 1 else None


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run of a scenario. `broken`: what was not as the steps, or the look afterwards, expected it."""

    scenario: str
    load: LoadResult
    events: tuple[Event, ...]
    samples: tuple[Sample, ...]
    whole_s: (
        float | None
    )  # from the last fault or mend until all HaVips were on one proxy; None: nothing moved
    broken: tuple[str, ...]
    steady: Steady

    @property
    def half_moved_s(self) -> float:
        """The longest time for which HaVips were neither all with one proxy nor known to be nowhere."""
        longest, since = 0.0, None
        for sample in self.samples:
            if sample.whole_on is None:
                since = sample.at if since is None else since
                longest = max(longest, sample.at - since)
            else:
                since = None
        return longest

    @property
    def moves(self) -> int:
        """How often all HaVips came to be with another proxy than before, while there was load."""
        whole = [sample.whole_on for sample in self.samples if sample.whole_on is not None]
        return sum(one != other for one, other in pairwise(whole))


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a scenario promises. None: nothing is promised, the figure is only told.

    `moves` is exact, and holds for every run and all of its time: who takes something back is found out whenever it
    does so, not only while a step looks.
    """

    moves: int | None = 1

    lost: int | None = 0  # established connections, of all that there were
    resets: int | None = 0
    stall_p99_s: float | None = None
    stall_s: float | None = None
    whole_s: float | None = None
    half_moved_s: float | None = 5.0
    silent_lost: int | None = 0
    datagram_gap_s: float | None = (
        1.0  # of UDP and of ICMP, which nobody sends again: how long the path was away
    )


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All runs of a scenario together; stalls are of connections that were kept."""

    scenario: str
    runs: int
    connections: int
    kept: int
    resets: int
    ends: Mapping[str, int]  # how the others ended
    stall_median_s: float
    stall_p99_s: float
    stall_s: float
    attempts: int
    attempts_answered: int
    attempts_refused: int
    attempt_s: float  # the longest that was answered
    udp_lost: int
    udp_gap_s: float
    icmp_lost: int
    icmp_gap_s: float
    silent: int
    silent_kept: int
    bulk_mbit_s: float
    whole_s: float | None  # the longest
    whole_median_s: float | None
    moves: tuple[int, ...]  # by run
    half_moved_s: float
    late_s: float
    steady_p99_s: float  # the worst of the runs, as is the load average
    load_average: float
    broken: tuple[str, ...]
    missed: tuple[str, ...] = field(default=())

    @property
    def met(self) -> bool:
        """Whether every bound holds and everything was as expected."""
        return not self.missed and not self.broken


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def summarise(scenario: str, runs: Sequence[RunResult], bounds: Bounds) -> Summary:
    """Pool the runs, and hold them against the bounds."""
    flows = [flow for run in runs for flow in (*run.load.flows, *run.load.bulk)]
    stalls = [flow.stall_s for run in runs for flow in run.load.flows if flow.kept]
    attempts = [attempt for run in runs for attempt in run.load.attempts]
    silent = [flow for run in runs for flow in run.load.silent]
    udp, icmp = (
        pooled(filter(None, (run.load.datagrams.get(kind) for run in runs))) for kind in ("udp", "icmp")
    )
    whole = [run.whole_s for run in runs if run.whole_s is not None]
    summary = Summary(
        scenario=scenario,
        runs=len(runs),
        connections=len(flows),
        kept=sum(flow.kept for flow in flows),
        resets=sum(flow.state == RESET for flow in (*flows, *silent)),
        ends=dict(Counter(flow.state for flow in (*flows, *silent) if not flow.kept)),
        stall_median_s=quantile(stalls, 0.5),
        stall_p99_s=quantile(stalls, 0.99),
        stall_s=max(stalls, default=0.0),
        attempts=len(attempts),
        attempts_answered=sum(attempt.outcome == ANSWERED for attempt in attempts),
        attempts_refused=sum(attempt.outcome in ("ECONNREFUSED", RESET) for attempt in attempts),
        attempt_s=max((attempt.took_s for attempt in attempts if attempt.outcome == ANSWERED), default=0.0),
        udp_lost=udp.lost,
        udp_gap_s=udp.gap_s,
        icmp_lost=icmp.lost,
        icmp_gap_s=icmp.gap_s,
        silent=len(silent),
        silent_kept=sum(flow.kept for flow in silent),
        bulk_mbit_s=max((_bulk_mbit_s(run.load) for run in runs), default=0.0),
        whole_s=max(whole, default=None),
        whole_median_s=quantile(whole, 0.5) if whole else None,
        moves=tuple(run.moves for run in runs),
        half_moved_s=max((run.half_moved_s for run in runs), default=0.0),
        late_s=max((run.load.late_s for run in runs), default=0.0),
        steady_p99_s=max((run.steady.p99_s for run in runs), default=0.0),
        load_average=max((run.steady.load_average for run in runs), default=0.0),
        broken=tuple(f"run {number}: {text}" for number, run in enumerate(runs, 1) for text in run.broken),
    )
    return Summary(**{**vars(summary), "missed": tuple(missed(summary, bounds))})


def missed(summary: Summary, bounds: Bounds) -> Iterable[str]:
    """Every bound that does not hold, with the figure."""
    lost = summary.connections - summary.kept
    counts = (
        ("connections lost", lost, bounds.lost),
        ("RSTs", summary.resets, bounds.resets),
        ("silent connections lost", summary.silent - summary.silent_kept, bounds.silent_lost),
    )
    for what, count, most in counts:
        if most is not None and count > most:
            yield f"{count} {what}, at most {most}"
    for number, moves in enumerate(summary.moves, 1):
        if bounds.moves is not None and moves != bounds.moves:
            yield f"run {number}: HaVips moved {moves} times, expected {bounds.moves}"
    times = (
        ("stall p99", summary.stall_p99_s, bounds.stall_p99_s),
        ("longest stall", summary.stall_s, bounds.stall_s),
        ("time until whole", summary.whole_s or 0.0, bounds.whole_s),
        ("time half moved", summary.half_moved_s, bounds.half_moved_s),
        ("gap of UDP", summary.udp_gap_s, bounds.datagram_gap_s),
        ("gap of ICMP", summary.icmp_gap_s, bounds.datagram_gap_s),
    )
    for what, took, longest in times:
        if longest is not None and took > longest:
            yield f"{what} {took:.2f} s, at most {longest:g} s"


def pooled(of: Iterable[Datagrams]) -> Datagrams:
    """As if they were one; the gap is the longest of any."""
    found = list(of)
    return Datagrams(
        sent=sum(one.sent for one in found),
        lost=sum(one.lost for one in found),
        errors=sum(one.errors for one in found),
        gap_s=max((one.gap_s for one in found), default=0.0),
    )


def _bulk_mbit_s(load: LoadResult) -> float:
    if not load.bulk or len(load.bins) < 2:
        return 0.0
    took = load.bins[-1].at - load.bins[0].at
    return sum(one.bulk_bytes for one in load.bins) * 8 / 1e6 / took if took else 0.0


def whole_after(events: Sequence[Event], samples: Sequence[Sample]) -> float | None:
    """Seconds from the last fault or mend before the HaVips came together until they did.

    None: they never left the proxy that they were on, or never came together again.
    """
    acts = [event.at for event in events if event.kind in ("fault", "mend")]
    if not acts or not samples:
        return None
    before = [sample for sample in samples if sample.at <= acts[0]]
    holder = before[-1].whole_on if before else samples[0].whole_on
    came_together = None
    for sample in samples:
        if sample.at > acts[0] and sample.whole_on is not None and sample.whole_on != holder:
            came_together, holder = sample.at, sample.whole_on
    if came_together is None:
        return None
    return came_together - max(act for act in acts if act < came_together)
