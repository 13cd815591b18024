"""Somebody on this machine without any rights, made by root for a test: what `lab` does for such a one.

In a mount namespace of its own, which goes with one process, every path is what it is outside, but:

    /etc/passwd             has a line for the user
    /dev/net/tun            may be opened by everybody, as Debian's udev has it (and /dev/kvm likewise)
    the labs' directory     is the user's own and empty; only the guests' image is there, read-only
    /root and the like      directories that are closed to others hold nothing but what the lab needs of them
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from lab.image import ensure_image
from lab.paths import PROJECT, home
from tests.hostscripts.sandbox import held_namespaces

UID = next(uid for uid in range(61000, 61184) if uid not in {entry.pw_uid for entry in pwd.getpwall()})
NAME = "ordinary"
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
SCRIPT = Path(__file__).with_suffix(".sh")


class OrdinaryUser:
    """A context manager; `run` is in there. Ends with everything that it started."""

    def __enter__(self) -> OrdinaryUser:
        image = ensure_image(print).root.directory
        shown = [path for path in needed() if first_barrier(path)]
        closed = {barrier for path in (*shown, home()) if (barrier := first_barrier(path))}
        words = (UID, NAME, home(), image, *sorted(closed), "--", *shown)
        self._holder, self._pid = held_namespaces(*NAMESPACES, str(SCRIPT), *map(str, words))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    def run(
        self, *argv: str, before: Sequence[str] = (), wrapped: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run in the project's directory, with the environment of a login.

        `before` is run by root and runs the rest, `wrapped` by the user.
        """
        enter = ["nsenter", "--target", self._pid, "--mount", "--pid"]
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs"]
        environment = [f"HOME=/home/{NAME}", f"USER={NAME}", f"PATH={os.environ['PATH']}", "LANG=C.UTF-8"]
        environment += [f"CAUSEWAY_LAB_HOME={home()}"]
        return subprocess.run(
            [*enter, *before, *become, "env", "-i", "-C", str(PROJECT), *environment, *wrapped, *argv],
            capture_output=True,
            text=True,
            timeout=120,
        )

    def lab(
        self, *words: str, before: Sequence[str] = (), wrapped: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """`python -m lab WORDS`."""
        return self.run(sys.executable, "-m", "lab", *words, before=before, wrapped=wrapped)


def needed() -> list[Path]:
    """Directories of the project and of its Python."""
    wanted = (PROJECT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
    return list(dict.fromkeys(wanted))


def first_barrier(path: Path) -> Path | None:
    """The topmost directory on the way that is closed to others."""
    way = (directory for directory in reversed((path, *path.parents)) if directory.exists())
    return next((directory for directory in way if not directory.stat().st_mode & 0o001), None)
