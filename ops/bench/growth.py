"""Plan and program for 10, 100 and 1,000 func hosts: time and memory should grow close to linearly.

Each size runs in a process of its own, so that peak memory is that size's and nothing is warm from the one before.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

from ops.bench.figure import Figure

SIZES = (10, 100, 1000)


def measure_growth(runs: int) -> list[Figure]:
    """Seconds and MiB per size, and how much more than linear the last step is."""
    figures = []
    medians: dict[str, list[float]] = {"plan": [], "program": []}
    for size in SIZES:
        samples = [child(size) for _ in range(max(1, min(runs, 3)))]
        for what in ("plan", "program"):
            figure = Figure(
                what=f"{what}, {size} func hosts", unit="s", samples=tuple(s[f"{what}_s"] for s in samples)
            )
            medians[what].append(figure.median)
            figures.append(figure)
        figures.append(
            Figure(
                what=f"program, {size} func hosts: memory",
                unit="MiB",
                samples=tuple(s["peak_mib"] for s in samples),
            )
        )
    for what, (_, hundred, thousand) in medians.items():
        figures.append(
            Figure(what=f"{what}: time ×1,000 ÷ time ×100", unit="×", samples=(thousand / hundred,), goal=15)
        )
    return figures


def child(size: int) -> dict[str, float]:
    """Measure one size in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "ops.bench.growth", str(size)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(size: int) -> None:
    """Plan and run the program under mocks for so many func hosts."""
    from components.planning import make_plan
    from components.settings import load_settings
    from tests.unit.program import run_stack, stack_configuration

    def grow(configuration: dict[str, Any]) -> None:
        configuration["causeway:func_hosts"]["count"] = size
        configuration["causeway:platform"]["func_subnet"] = "192.168.80.0/20"
        overlay = {"cidr": "10.0.0.0/20", "proxy": "10.0.0.4", "first_func": "10.0.0.5"}
        configuration["causeway:tenants"][0]["overlay"] = overlay

    configuration = stack_configuration("lab")
    grow(configuration)
    configuration["causeway:private_key"] = {"secure": ""}
    began = time.monotonic()
    make_plan(load_settings(configuration), "lab")
    planned = time.monotonic()
    run_stack("lab", change=grow)
    ended = time.monotonic()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"plan_s": planned - began, "program_s": ended - planned, "peak_mib": peak_mib}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
