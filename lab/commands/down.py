"""`lab down`."""

from __future__ import annotations

from lab.daemon import launch
from lab.paths import LabPaths
from lab.progress import Progress


def take_down(paths: LabPaths) -> None:
    """End every process of the lab and remove its directory; nothing to do is success."""
    progress = Progress()
    if not paths.root.exists():
        progress.line(f"no lab {paths.name!r} is up: nothing to do")
        return
    with launch.exclusive(paths), progress.stage(f"taking the lab {paths.name!r} down"):
        launch.end(paths)
        launch.remove_directory(paths)
