"""The Pulumi CLI of exactly the SDK's version: the one on PATH, else one built from tools/go.mod, once.

Another version would be refused by the Automation API, or speak another protocol to the stand-in plugins.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.engine.go_toolchain import go_toolchain
from lab.errors import LabError
from lab.paths import PROJECT, home

MODULE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
COMPILERS = 2  # at once: each takes up to half a GB
SAID_LINES = 15


def pinned_version() -> str:
    """The SDK's version, which pyproject.toml pins."""
    return importlib.metadata.version("pulumi")


def ensure_pulumi(progress: Callable[[str], None]) -> Path:
    """Path of the CLI; building it takes minutes once. `progress` gets a line when something takes time."""
    version = pinned_version()
    on_path = shutil.which("pulumi")
    if on_path is not None and _version_of(Path(on_path)) == version:
        return Path(on_path)
    built = home() / "bin" / f"pulumi-v{version}"
    if built.exists():
        return built
    if on_path is not None:
        progress(f"{on_path} is {_version_of(Path(on_path)) or 'of an unknown version'}, not {version}")
    return _build(version, built, progress)


def _version_of(pulumi: Path) -> str | None:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            [str(pulumi), "version"], capture_output=True, text=True, timeout=30, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^v?(\d+\.\d+\.\d+\S*)", done.stdout)
    return found[1] if found and done.returncode == 0 else None


def _build(version: str, built: Path, progress: Callable[[str], None]) -> Path:
    """Build beside the final place and move it there, one at a time: a second caller waits for the first."""
    built.parent.mkdir(parents=True, exist_ok=True)
    with (built.parent / "pulumi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if built.exists():
            return built
        part = built.with_name(f"{built.name}.part")
        with go_toolchain(built.parent / "pulumi.build", progress) as (go, environment):
            progress(
                f"building the Pulumi CLI {version} from its Go module (once; about 5 minutes on 2 cores)"
            )
            _go_build(go, environment, version, part)
        if (is_version := _version_of(part)) != version:
            part.unlink(missing_ok=True)
            raise LabError(
                f"tools/go.mod builds Pulumi {is_version}, but the Python SDK is {version}",
                hint="bring both to the same version; tools/README.md says how",
            )
        part.rename(built)
    return built


def _go_build(go: Path, environment: Mapping[str, str], version: str, part: Path) -> None:
    command = [
        "nice", str(go), "build", "-trimpath", "-p", str(COMPILERS),
        "-ldflags", f"-s -w -X {VERSION_VARIABLE}=v{version}", "-o", str(part), MODULE,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=PROJECT / "tools",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        part.unlink(missing_ok=True)
        said = "\n".join(done.stderr.strip().splitlines()[-SAID_LINES:])
        raise LabError(
            f"building the Pulumi CLI {version} failed:\n{said}",
            hint=f"install Pulumi {version} on PATH, or see that a Go module proxy can be reached (GOPROXY) and "
            "that there are 3 GB of disk",
        )
