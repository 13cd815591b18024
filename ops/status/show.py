"""A report for people, what is wrong first, and for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.status.compare import HaVipSeen, Report
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
        return f"{plan.stack}: {report.active} is active, {report.standby} can take over; {hosts}"
    return f"{plan.stack}: one proxy ({plan.redundancy}); {hosts}"


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
    found = last_switch(report)
    if found is not None:
        name, switch = found
        age = ago(report.seen.at - switch.at)
        lines.append(f"last switch {age} ago: {name} became {switch.to}: {switch.reason}")
    for one in report.sync:
        lines.append(
            f"sync of {one.namespace}: {one.active.cached} connections told by {report.active}, "
            f"{one.standby.injected} taken over by {report.standby}; {one.behind} behind, "
            f"{one.active.lost + one.standby.lost} messages lost"
        )
    return lines


def last_switch(report: Report) -> tuple[str, Switch] | None:
    """The last time that a proxy became active, of all that both remember."""
    found = [
        (name, switch)
        for name, host in report.seen.hosts.items()
        if host.pair is not None
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
            ", ".join(f"{where} {one.count:,} of {one.limit:,}" for where, one in seen.connections.items())
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
    """For scripts: `healthy`, `problems`, `notes`, `pair` (null with a single proxy) and `hosts`."""
    found = last_switch(report)
    return {
        "stack": report.outputs.plan.stack,
        "at": report.seen.at,
        "healthy": not report.problems,
        "problems": [asdict(problem) for problem in report.problems],
        "notes": [asdict(note) for note in report.notes],
        "pair": None
        if not report.outputs.is_pair
        else {
            "active": report.active,
            "standby": report.standby,
            "havips": [_havip(one) for one in report.havips],
            "sync": [asdict(one) for one in report.sync],
            "last_switch": None if found is None else {"proxy": found[0], **asdict(found[1])},
        },
        "hosts": {
            **{name: _host(host) for name, host in report.seen.hosts.items()},
            **{name: {"silent": reason} for name, reason in report.seen.silent.items()},
        },
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
