"""Which Pulumi CLI the lab uses, with stand-ins for `pulumi` and `go` on PATH."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.engine.pulumi_cli import ensure_pulumi, pinned_version
from lab.errors import LabError

VERSION = pinned_version()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that comes first on PATH, and a cache directory of the lab's own."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path / "home"))
    return directory


def executable(file: Path, script: str) -> Path:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def fake_go(tools: Path, record: Path, *, builds: str = VERSION) -> None:
    """Says it is new enough, and builds a `pulumi` that says its version."""
    executable(
        tools / "go",
        f'''
if [ "$1" = env ]; then echo go1.99.0; exit; fi
echo "$@" >> {record}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho v{builds}\\n' > "$2"
chmod +x "$2"''',
    )


def ignore(_line: str) -> None:
    return


def test_the_one_on_path_if_its_version_is_the_sdks(tools: Path, tmp_path: Path) -> None:
    pulumi = executable(tools / "pulumi", f"echo v{VERSION}")
    assert ensure_pulumi(ignore) == pulumi
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("says", ["echo v3.1.0", "exit 1", "echo what?"])
def test_another_one_on_path_is_not_used_and_that_is_said(tools: Path, tmp_path: Path, says: str) -> None:
    executable(tools / "pulumi", says)
    fake_go(tools, tmp_path / "record")
    lines: list[str] = []
    assert ensure_pulumi(lines.append) == tmp_path / "home" / "bin" / f"pulumi-v{VERSION}"
    assert f"not {VERSION}" in lines[0]


def test_it_is_built_once_with_its_version_inside(tools: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    fake_go(tools, record)
    callers = [threading.Thread(target=ensure_pulumi, args=(ignore,)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    (command,) = record.read_text().splitlines()
    assert f"version.Version=v{VERSION}" in command
    assert command.endswith("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi")
    assert sorted(f.name for f in (tmp_path / "home" / "bin").iterdir()) == [
        "pulumi-v" + VERSION,
        "pulumi.lock",
    ]


def test_a_failed_build_says_why_and_leaves_nothing(tools: Path, tmp_path: Path) -> None:
    executable(
        tools / "go", '[ "$1" = env ] && { echo go1.99.0; exit; }\necho "dial tcp: lookup proxy" >&2; exit 1'
    )
    with pytest.raises(LabError) as caught:
        ensure_pulumi(ignore)
    assert "dial tcp: lookup proxy" in caught.value.message
    assert f"install Pulumi {VERSION} on PATH" in caught.value.hint
    assert [f.name for f in (tmp_path / "home" / "bin").iterdir()] == ["pulumi.lock"]


def test_a_module_of_another_version_than_the_sdk_is_noticed(tools: Path, tmp_path: Path) -> None:
    fake_go(tools, tmp_path / "record", builds="3.1.0")
    with pytest.raises(LabError, match=f"tools/go.mod builds Pulumi 3.1.0, but the Python SDK is {VERSION}"):
        ensure_pulumi(ignore)
    assert not (tmp_path / "home" / "bin" / f"pulumi-v{VERSION}").exists()
