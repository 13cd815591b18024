"""The command line for running stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at a running stack, and measure it.")


@app.callback()
def ops() -> None:
    """Look at a running stack, and measure it."""


@app.command()
def bench(
    output: Annotated[Path, typer.Option("--json", help="Where the figures go as JSON.")] = Path(
        "build/bench.json"
    ),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Some parts: growth, hostscripts, image, lab.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", help="Repetitions of what is short; medians are shown.")] = 5,
) -> None:
    """Measure speed and memory against the stated goals; prints a table and writes JSON."""
    from ops.bench import run_bench

    run_bench(output, parts=only or ["growth", "hostscripts", "image", "lab"], runs=runs)
