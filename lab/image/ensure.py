"""The one entry: an image and its template, built when they are not there."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.image.build import build_root, remove
from lab.image.files import Image, Root, digest
from lab.image.template import ensure_template
from lab.machine.accelerator import choose_accelerator
from lab.paths import home

Progress = Callable[[str], None]
UNUSED_S = 14 * 24 * 3600.0


def ensure_image(progress: Progress) -> Image:
    """The image that this version of the project needs; the first call builds it (about 90 s).

    `progress` gets a line now and then. A second process that wants the same image waits for the first.
    """
    images = home() / "images"
    images.mkdir(parents=True, exist_ok=True)
    root = Root(directory=images / digest())
    with locked(root.directory.with_suffix(".lock"), progress):
        remove_unused(images)
        if not root.directory.exists():
            started = time.monotonic()
            build_root(root, progress)
            progress(f"image: built in {time.monotonic() - started:.0f} s")
        accelerator = choose_accelerator(root.kernel, progress)
        return ensure_template(root, accelerator, progress)


def remove_unused(images: Path) -> None:
    """Images that no version of the project asked for in a while: each is 650 MB. Leftovers of killed builds too."""
    for lock in images.glob("*.lock"):
        if time.time() - lock.stat().st_mtime > UNUSED_S:
            for path in images.glob(f"{lock.stem}*"):
                if path.is_dir():
                    remove(path)
                else:
                    path.unlink()


@contextmanager
def locked(path: Path, progress: Progress) -> Iterator[None]:
    """Exclusive, across processes; gone with the process that holds it. Its file's time is that of the last use."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("image: another process is building it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
