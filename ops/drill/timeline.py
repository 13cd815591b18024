"""The picture of a run: round trips, throughput, new connections and who holds the HaVips, over one axis of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.drill.result import ANSWERED, Bin, Event, RunResult, Summary
from ops.errors import OpsError

Json = Any
BIN_S = 0.05
COLOURS = {"fault": "#c0392b", "mend": "#27803b", "seen": "#2c5f9e"}
OF_PROXIES = ("#4c78a8", "#f2a541")
NOBODY = "#d9d9d9"
TITLE_CHARACTERS = 90  # of the largest size, in the width of a picture
BEFORE_S, AFTER_S = 2.0, 4.0  # around the events; a long idle time before them shows nothing


def draw(run: RunResult, summary: Summary, what: str, file: Path) -> None:
    """Write a PNG. OpsError where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise OpsError(
            "the picture needs matplotlib", hint="`make setup` installs it; without it leave out --pictures"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    acts = [event for event in run.events if event.kind in COLOURS]
    zero = next((event.at for event in acts if event.at >= run.load.began), run.load.began)
    start, end = span(run, acts, zero)
    lanes = sorted({name for sample in run.samples for name in sample.holders})
    heights = [3.2, 1.8, 1.1, *([0.35 * len(lanes) + 0.15] if lanes else [])]
    figure, axes = pyplot.subplots(
        len(heights), 1, sharex=True, figsize=(11, sum(heights) + 1.7),
        gridspec_kw={"height_ratios": heights, "hspace": 0.14},
    )  # fmt: skip
    round_trips(axes[0], run, zero)
    throughput(axes[1], run, zero, start, end)
    attempts(axes[2], run, zero)
    if lanes:
        holders(axes[3], run, zero, lanes)
    for axis in axes:
        for event in acts:
            axis.axvline(event.at - zero, color=COLOURS[event.kind], linewidth=1.1, alpha=0.85, zorder=1)
        axis.set_xlim(start, end)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("seconds since the first event")
    numbered(axes[0], acts, zero, start, end)
    title = f"{run.scenario}: {what}"
    size = min(12.0, 12.0 * TITLE_CHARACTERS / len(title))
    figure.suptitle(title, x=0.07, y=0.995, ha="left", fontsize=size, fontweight="bold")
    figure.text(
        0.07, 0.995 - 0.27 / figure.get_figheight(), caption(run, summary), ha="left", va="top", fontsize=8.5
    )
    legend_of_events(figure, acts, zero)
    top = 1 - (0.75 + 0.17 * len(acts)) / figure.get_figheight()
    figure.subplots_adjust(left=0.07, right=0.93, top=top, bottom=0.5 / figure.get_figheight())
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)


def span(run: RunResult, acts: Sequence[Event], zero: float) -> tuple[float, float]:
    """From a little before the first event to a little after the last, or after the last stall."""
    bins = run.load.bins
    first, last = (bins[0].at - zero, bins[-1].at - zero) if bins else (0.0, 1.0)
    if not acts:
        return first, last
    stalls = [flow.stalled_at + flow.stall_s - zero for flow in run.load.flows if flow.stall_s > 0.2]
    return max(first, -BEFORE_S), min(last, max(acts[-1].at - zero, *stalls, 0.0) + AFTER_S)


def every_bin(run: RunResult) -> list[tuple[float, Bin | None]]:
    """All of the run's time, in steps of a bin; None where nothing came back."""
    by_index = {round((one.at - run.load.began) / BIN_S): one for one in run.load.bins}
    last = max(by_index, default=-1)
    return [(run.load.began + (index + 0.5) * BIN_S, by_index.get(index)) for index in range(last + 1)]


def round_trips(axis: Any, run: RunResult, zero: float) -> None:
    """TCP as a band from the smallest to the largest with the median in it, UDP and ICMP as points; logarithmic, ms."""
    bins = every_bin(run)
    times = [at - zero for at, _ in bins]
    nothing = (math.nan, math.nan, math.nan)
    figures = [(one.tcp if one is not None else None) or nothing for _, one in bins]
    low, middle, high = ([one[column] * 1000 for one in figures] for column in range(3))
    axis.fill_between(
        times, low, high, color="#4c78a8", alpha=0.25, linewidth=0, label="TCP, all connections"
    )
    axis.plot(times, middle, color="#2c4a6e", linewidth=1.1, label="TCP, median")
    for kind, colour, mark in (("udp", "#7a3e9d", "."), ("icmp", "#0f8b8d", "x")):
        took = [(at - zero, getattr(one, kind)) for at, one in bins if one is not None]
        seen = [(at, figures[2] * 1000) for at, figures in took if figures is not None]
        if seen:
            axis.scatter(
                *zip(*seen, strict=True), s=9, color=colour, marker=mark, linewidths=0.7, label=kind.upper()
            )
    stalls(axis, run, zero)
    logarithmic(axis)
    low_end, high_end = axis.get_ylim()
    axis.set_ylim(low_end, high_end * 4)  # room for the legend
    axis.set_ylabel("round trip, ms")
    axis.legend(loc="upper right", fontsize=8, frameon=False, ncols=5)


def logarithmic(axis: Any) -> None:
    """1, 10, 100 as one writes them."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.grid(axis="y", which="major", alpha=0.25)


def stalls(axis: Any, run: RunResult, zero: float) -> None:
    """Each connection's longest silence, as a thin line at its length."""
    kept = [flow for flow in run.load.flows if flow.kept and flow.stall_s > 2 * BIN_S]
    for number, flow in enumerate(kept):
        length = flow.stall_s * 1000
        since = flow.stalled_at - zero
        label = "a connection's longest stall" if number == 0 else None
        axis.plot(
            [since, since + flow.stall_s],
            [length, length],
            color="#888888",
            linewidth=0.6,
            alpha=0.5,
            label=label,
        )


def throughput(axis: Any, run: RunResult, zero: float, start: float, end: float) -> None:
    """Echoes per second, zero where nothing came back; bulk transfer on an axis of its own."""
    bins = [(at - zero, one) for at, one in every_bin(run) if start <= at - zero <= end]
    times, found = [at for at, _ in bins], [one for _, one in bins]
    rates = [0 if one is None else one.echoes / BIN_S for one in found]
    axis.fill_between(times, rates, step="mid", color="#4c78a8", alpha=0.55, linewidth=0)
    axis.set_ylabel("echoes/s")
    axis.set_ylim(bottom=0)
    if run.load.bulk:
        twin = axis.twinx()
        bulk = [0 if one is None else one.bulk_bytes * 8 / 1e6 / BIN_S for one in found]
        twin.step(times, bulk, where="mid", color="#b5651d", linewidth=0.9)
        twin.set_ylabel("bulk, Mbit/s", color="#b5651d")
        twin.set_ylim(bottom=0)
        twin.spines[["top"]].set_visible(False)


def attempts(axis: Any, run: RunResult, zero: float) -> None:
    """New connections, each at the time it was begun: how long it took, or that it came to nothing."""
    good = [(one.began - zero, one.took_s * 1000) for one in run.load.attempts if one.outcome == ANSWERED]
    bad = [
        (one.began - zero, max(one.took_s * 1000, 1)) for one in run.load.attempts if one.outcome != ANSWERED
    ]
    if good:
        axis.scatter(*zip(*good, strict=True), s=8, color="#2c4a6e", label="answered")
    if bad:
        axis.scatter(
            *zip(*bad, strict=True), s=22, color=COLOURS["fault"], marker="x", label="came to nothing"
        )
        axis.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.9, borderpad=0.3)
    logarithmic(axis)
    low_end, high_end = axis.get_ylim()
    axis.set_ylim(min(low_end, 9), max(high_end, 110))
    axis.set_ylabel("new, ms")


def holders(axis: Any, run: RunResult, zero: float, lanes: Sequence[str]) -> None:
    """A lane per HaVip, in the colour of the proxy that has it by API."""
    proxies = sorted({name for sample in run.samples for found in sample.holders.values() for name in found})
    colour = dict(zip(proxies, OF_PROXIES, strict=False))
    for lane, havip in enumerate(reversed(lanes)):
        for one, following in zip(run.samples, [*run.samples[1:], None], strict=True):
            found = one.holders.get(havip, ())
            until = (following.at if following is not None else one.at + BIN_S) - zero
            shade = colour[found[0]] if len(found) == 1 else NOBODY
            axis.barh(lane, until - (one.at - zero), left=one.at - zero, height=0.7, color=shade, linewidth=0)
    axis.set_yticks(range(len(lanes)), list(reversed(lanes)), fontsize=8)
    axis.set_ylim(-0.6, len(lanes) - 0.4)
    for proxy in proxies:
        axis.barh(0, 0, color=colour[proxy], label=proxy)
    axis.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False, borderpad=0.2, handlelength=1
    )


def numbered(axis: Any, acts: Sequence[Event], zero: float, start: float, end: float) -> None:
    """The events' numbers above the first panel; those that are close stand side by side, earlier ones at its edge."""
    taken = -math.inf
    for number, event in enumerate(acts, 1):
        at = max(event.at - zero, start, taken + (end - start) * 0.016)
        taken = at
        axis.annotate(
            str(number), (at, 1.015), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8.5,
            fontweight="bold", color=COLOURS[event.kind],
        )  # fmt: skip


def legend_of_events(figure: Any, acts: Sequence[Event], zero: float) -> None:
    """What the numbers mean."""
    inch = 1 / figure.get_figheight()
    for number, event in enumerate(acts, 1):
        figure.text(
            0.07, 0.995 - (0.3 + 0.17 * number) * inch, f"{number}  {event.at - zero:+.2f} s  {event.text}",
            ha="left", va="top", fontsize=8.5, color=COLOURS[event.kind],
        )  # fmt: skip


def caption(run: RunResult, summary: Summary) -> str:
    """The run in figures."""
    kept = [flow.stall_s for flow in run.load.flows if flow.kept]
    parts = [
        f"{len(kept)} of {len(run.load.flows)} connections kept",
        f"longest stall {max(kept, default=0.0):.2f} s",
        *([f"every HaVip moved after {run.whole_s:.2f} s"] if run.whole_s is not None else []),
        *([f"{summary.runs} runs: p99 {summary.stall_p99_s:.2f} s"] if summary.runs > 1 else []),
    ]
    return " · ".join(parts)
