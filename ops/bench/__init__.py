"""Speed and memory, measured on this machine in one run and put beside the stated goals."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench.figure import Figure
from ops.bench.first_packet import measure_first_packet
from ops.bench.forwarding import measure_forwarding
from ops.bench.growth import measure_growth
from ops.bench.hostscripts import measure_hostscripts
from ops.bench.image import measure_image
from ops.bench.lab import measure_lab
from ops.bench.reconcile import measure_reconcile

PARTS: dict[str, Callable[[int], list[Figure]]] = {
    "first-packet": measure_first_packet,
    "forwarding": measure_forwarding,
    "growth": measure_growth,
    "hostscripts": measure_hostscripts,
    "image": measure_image,
    "lab": measure_lab,
    "reconcile": measure_reconcile,
}


def run_bench(output: Path, parts: Sequence[str], runs: int) -> None:
    """Measure, print, write. A missed goal is shown, not hidden: the exit status does not depend on it."""
    console = Console(highlight=False)
    figures: list[Figure] = []
    for part in parts:
        console.print(f"[dim]measuring: {part} …[/]")
        figures += PARTS[part](runs)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("what", "measured", "goal", ""):
        table.add_column(column)
    for figure in figures:
        mark = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.met]
        table.add_row(figure.what, figure.shown, figure.goal_shown, mark)
    console.print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    output.write_text(
        json.dumps({"machine": machine, "figures": [f.plain() for f in figures]}, indent=2) + "\n"
    )
    console.print(f"written to {output}")
