"""What one `up` leaves for the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.commands import up
from lab.daemon.client import Client
from lab.path_check import Path as Walked
from lab.paths import LabPaths
from lab.whole_file import write_whole

Json = object


@pytest.mark.parametrize("left", [None, "", '{"tenants": {"al', "\xff"])
def test_damaged_exports_of_the_last_up_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str | None
) -> None:
    def check_paths(_client: Client, outputs: Json) -> list[Walked]:
        assert outputs == {"of": "this up"}
        return []

    monkeypatch.setattr(up, "check_paths", check_paths)
    outputs = tmp_path / "outputs.json"
    if left is not None:
        outputs.write_bytes(left.encode("latin-1"))
    early = up.EarlyCheck(Client(LabPaths("none")), outputs)
    assert early.walked({"steps": [], "recovered": [], "outputs": {"of": "this up"}}) == []


def test_who_is_killed_while_writing_leaves_what_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    write_whole(file, "before")
    pid = os.fork()
    if pid == 0:
        Path.rename = lambda *_: os._exit(9)  # type: ignore[method-assign]
        write_whole(file, "after")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert file.read_text() == "before"
    write_whole(file, "after")
    assert file.read_text() == "after"
