"""The guests' image and template, built anew in a directory of their own."""

from __future__ import annotations

import os
import tempfile

from ops.bench.figure import Figure, seconds


def measure_image(_runs: int) -> list[Figure]:
    """Seconds for image and template together, from nothing but Debian's packages."""
    from lab.image import ensure_image

    kept = os.environ.get("CAUSEWAY_LAB_HOME")
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as home:
        os.environ["CAUSEWAY_LAB_HOME"] = home
        try:
            took = seconds(lambda: ensure_image(lambda _line: None))
        finally:
            if kept is None:
                del os.environ["CAUSEWAY_LAB_HOME"]
            else:
                os.environ["CAUSEWAY_LAB_HOME"] = kept
    return [Figure(what="image and template from nothing", unit="s", samples=(took,), goal=90)]
