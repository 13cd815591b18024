"""Finding and ending what holds a lab."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.commands.preview import remove_leftovers, show_preview
from lab.daemon import launch
from lab.errors import LabError
from lab.paths import LabPaths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabPaths:
    """A lab's directory."""
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path))
    found = LabPaths("preview-4194305")  # a process id that no Linux gives
    found.root.mkdir(parents=True)
    return found


@contextmanager
def holder(paths: LabPaths) -> Iterator[subprocess.Popen[bytes]]:
    """Stands for the daemon: it leads a session, and writes into the lab's log."""
    with paths.daemon_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: launch.record_supervisor(paths),
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("damage", ["", '{"pid": 1', '{"pid": 1}', "[]"])
def test_a_damaged_record_of_the_supervisor_is_overcome(paths: LabPaths, damage: str) -> None:
    with holder(paths) as process:
        launch.supervisor_file(paths).write_text(damage)
        found = launch.find(paths)
        assert found is not None
        assert found.pid == process.pid
        launch.end(paths)
        assert process.wait(10) == -signal.SIGKILL
    assert launch.find(paths) is None
    launch.remove_directory(paths)
    assert not paths.root.exists()


def test_a_lab_with_a_name_like_a_preview_is_left_alone(paths: LabPaths) -> None:
    with holder(paths) as process:
        remove_leftovers()
        assert process.poll() is None
        assert paths.root.exists()
    remove_leftovers()
    assert not paths.root.exists()


def test_a_preview_follows_no_links_of_others_either(paths: LabPaths) -> None:
    paths.root.parent.chmod(0o777)
    with pytest.raises(LabError, match="others may write there"):
        show_preview(LabPaths("none"), "lab", config=[], refresh=False, replace=[], as_json=False)
    assert paths.root.exists()  # not even what was left over is removed


def test_who_only_writes_into_the_log_is_no_supervisor(paths: LabPaths) -> None:
    with paths.daemon_log.open("ab") as log, subprocess.Popen(["sleep", "60"], stdout=log) as writer:
        launch.supervisor_file(paths).write_text("")
        try:
            assert launch.find(paths) is None
        finally:
            writer.kill()
