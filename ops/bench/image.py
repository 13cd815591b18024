"""The guests' image and template, built anew in a directory of their own."""

from __future__ import annotations

import tempfile

from lab.environment import in_the_environment
from ops.bench.figure import Figure, seconds


def measure_image(_runs: int) -> list[Figure]:
    """Seconds for image and template together, from nothing but Debian's packages."""
    from lab.image import ensure_image

    with (
        tempfile.TemporaryDirectory(prefix="causeway-bench-") as home,
        in_the_environment("CAUSEWAY_LAB_HOME", home),
    ):
        took = seconds(lambda: ensure_image(lambda _line: None))
    return [Figure(what="image and template from nothing", unit="s", samples=(took,), goal=90)]
