"""A report for people, what is wrong first, and for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.status.compare import HaVipSeen, PairReport, Report
from ops.status.seen import HostSeen, PairSeen, Switch

Json = Any


def print_report(report: Report, console: Console) -> None:
    """Problems, then the pair, then the hosts."""
    for problem in report.problems:
        console.print(f"[bold red]✗[/] [bold]{escape(problem.subject)}[/] {escape(problem.text)}")
    for note in report.notes:
        console.print(f"[yellow]![/] [bold]{escape(note.subject)}[/] {escape(note.text)}")
    if not report.problems:
        console.print(f"[green]✓[/] {escape(headline(report))}")
    if report.outputs.is_pair:
        console.print()
        console.print(havip_table(report.havips))
        for line in pair_lines(report):
            console.print(escape(line))
    console.print()
    console.print(host_table(report))


def headline(report: Report) -> str:
    """The stack in one sentence, all being well."""
    plan = report.outputs.plan
    hosts = f"{len(report.seen.hosts)} hosts as they should be"
    if report.outputs.is_pair:
        pairs = ", ".join(f"{pair.active} is active, {pair.standby} can take over" for pair in report.pairs)
        return f"{plan.stack}: {pairs}; {hosts}"
    count = len(report.pairs)
    proxies = "one proxy" if count == 1 else f"{count} proxies, each alone"
    return f"{plan.stack}: {proxies} ({plan.redundancy}); {hosts}"


def havip_table(havips: tuple[HaVipSeen, ...]) -> Table:
    """Where each address is, by every witness."""
    table = plain_table("HaVip", "address", "by API", "by metadata", "by kernel")
    for one in havips:
        api = "?" if one.api is None else ", ".join(one.api) or "-"
        cells = (api, ", ".join(one.imds) or "-", ", ".join(one.kernel) or "-")
        style = None if one.holder else "red"
        table.add_row(one.havip.name, one.havip.address, *cells, style=style)
    return table


def pair_lines(report: Report) -> list[str]:
    """Who is what since when and why, and how the sync is."""
    lines = []
    for name, host in report.seen.hosts.items():
        if host.pair is not None:
            age = ago(report.seen.at - host.pair.since)
            lines.append(f"{name} is {host.pair.state} since {age}: {host.pair.reason}")
    for pair in report.pairs:
        found = last_switch(report, pair)
        if found is not None:
            name, switch = found
            age = ago(report.seen.at - switch.at)
            lines.append(f"last switch {age} ago: {name} became {switch.to}: {switch.reason}")
        lines += (
            f"sync of {one.namespace}: {one.active.cached} connections told by {pair.active}, "
            f"{one.standby.injected} taken over by {pair.standby}; {one.behind} behind, "
            f"{one.active.lost + one.standby.lost} messages lost"
            for one in pair.sync
        )
    return lines


def last_switch(report: Report, pair: PairReport) -> tuple[str, Switch] | None:
    """The last time that a proxy of the pair became active, of all that both remember."""
    found = [
        (name, switch)
        for name, host in report.seen.hosts.items()
        if host.pair is not None and name in pair.pair.proxies
        for switch in host.pair.switches
        if switch.to == "active"
    ]
    return max(found, key=lambda one: one[1].at, default=None)


def host_table(report: Report) -> Table:
    """Hosts, a row each."""
    table = plain_table("host", "role", "configuration", "dropped packets", "connections")
    for name, host in sorted(report.outputs.hosts.items()):
        seen = report.seen.hosts.get(name)
        if seen is None:
            reason = report.seen.silent.get(name, "no way in")
            table.add_row(name, host.role, escape(reason), "", "", style="red" if host.ssh else "dim")
            continue
        dropped = ", ".join(f"{where} {count}" for where, count in seen.dropped.items() if count) or "0"
        connections = (
            ", ".join(
                f"{where or 'the host'} {one.count:,} of {one.limit:,}"
                for where, one in seen.connections.items()
            )
            or "-"
        )
        table.add_row(name, host.role, configuration(seen), escape(dropped), escape(connections))
    return table


def configuration(host: HostSeen) -> str:
    """Whether what was wanted was applied."""
    wrong = [name for name, concern in host.concerns.items() if not concern.in_sync]
    if wrong:
        return f"[red]not in sync: {escape(', '.join(wrong))}[/]"
    return f"{len(host.concerns)} concerns in sync" if host.concerns else "-"


def plain_table(*columns: str) -> Table:
    """As all of Causeway's tables are."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def ago(seconds: float) -> str:
    """A duration in the unit that a person would take."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def as_json(report: Report) -> Json:
    """For scripts: `healthy`, `problems`, `notes`, `hosts`, and `pairs`; `pair` is the first one.

    With single proxies there are no pairs, and `pair` is null.
    """
    pairs = [_pair(report, pair) for pair in report.pairs] if report.outputs.is_pair else []
    return {
        "stack": report.outputs.plan.stack,
        "at": report.seen.at,
        "healthy": not report.problems,
        "problems": [asdict(problem) for problem in report.problems],
        "notes": [asdict(note) for note in report.notes],
        "pair": pairs[0] if pairs else None,
        "pairs": pairs,
        "hosts": {
            **{name: _host(host) for name, host in report.seen.hosts.items()},
            **{name: {"silent": reason} for name, reason in report.seen.silent.items()},
        },
    }


def _pair(report: Report, pair: PairReport) -> Json:
    found = last_switch(report, pair)
    return {
        "number": pair.pair.number,
        "active": pair.active,
        "standby": pair.standby,
        "havips": [_havip(one) for one in pair.havips],
        "sync": [asdict(one) for one in pair.sync],
        "last_switch": None if found is None else {"proxy": found[0], **asdict(found[1])},
    }


def _havip(one: HaVipSeen) -> Json:
    return {
        "name": one.havip.name,
        "address": one.havip.address,
        "holder": one.holder,
        "api": one.api,
        "imds": one.imds,
        "kernel": one.kernel,
    }


def _host(host: HostSeen) -> Json:
    pair: PairSeen | None = host.pair
    return {
        "concerns": {name: asdict(concern) for name, concern in host.concerns.items()},
        "dropped": dict(host.dropped),
        "connections": {namespace: asdict(found) for namespace, found in host.connections.items()},
        "imds": None if host.imds is None else dict(host.imds),
        "kernel": {namespace: dict(found) for namespace, found in host.kernel.items()},
        "pair": None if pair is None else asdict(pair),
    }
