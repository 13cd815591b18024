"""Builds the root file system with mmdebstrap, in a directory that only becomes the image when complete."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.image.files import SOURCE, SUITE, Root, pack_guest_files, packages
from lab.image.mirror import debian_mirror, proxy_options
from lab.image.tools import SEARCH, require_space, require_tools

# What a build starts ends with it, also after SIGKILL: nobody must write to a directory whose lock is free.
TOGETHER = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
# An ordinary user becomes root of a user namespace, in which mmdebstrap may chroot, mount and chown.
AS_ROOT = [*TOGETHER, "--user", "--map-root-user", "--map-auto"]
LAST_LINES = 5
FULL_BYTES = 32 << 20  # less than this left after a failure: the disk was the reason


def build_root(root: Root, progress: Callable[[str], None]) -> None:
    """Make `root.directory` complete, or leave nothing of it. The caller holds the image's lock."""
    require_tools()
    root.directory.parent.mkdir(parents=True, exist_ok=True)
    require_space(root.directory.parent)
    mirror = debian_mirror()
    progress(f"image: Debian {SUITE} from {mirror} (about 45 s)")
    with becoming(root.directory) as partial:
        pack_guest_files(partial / "guest.tar")
        argv = [str(SOURCE / "build.sh"), SUITE, mirror, ",".join(packages()), str(partial), *proxy_options()]
        prefix = TOGETHER if os.geteuid() == 0 else AS_ROOT
        run([*prefix, *argv], partial, root.directory.with_suffix(".log"))
        (partial / "guest.tar").unlink()


@contextmanager
def becoming(target: Path) -> Iterator[Path]:
    """A directory beside `target` that is renamed to it at the end, and is gone after any exception.

    What an earlier, killed process left of it is removed first.
    """
    partial = target.with_name(f"{target.name}.partial")
    remove(partial)
    partial.mkdir()
    try:
        yield partial
    except BaseException:
        remove(partial)
        raise
    partial.rename(target)


def remove(directory: Path) -> None:
    """Also what belongs to the ids of a user namespace."""
    if os.geteuid() != 0 and directory.exists():
        subprocess.run([*AS_ROOT, "rm", "-rf", "--one-file-system", str(directory)], check=True)
    shutil.rmtree(directory, ignore_errors=not directory.exists())


def run(argv: list[str], directory: Path, log: Path) -> None:
    """Run the build; a failure's LabError has the last of what it said, and `log` has all."""
    environment = {**os.environ, "PATH": SEARCH, "LC_ALL": "C.UTF-8", "TMPDIR": str(directory)}
    with log.open("wb") as output:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
        )
    if done.returncode == 0:
        log.unlink()
        return
    require_space(directory, FULL_BYTES)
    said = "\n    ".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    raise LabError(
        f"the guests' image could not be built:\n    {said}",
        hint=f"all of it is in {log}; the mirror must be reachable (CAUSEWAY_LAB_MIRROR names another)",
    )
