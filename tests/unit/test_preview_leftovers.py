"""Directories that killed previews left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.commands.preview import is_preview, remove_leftovers


def test_a_number_that_is_somebody_elses_by_now_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path))
    left = tmp_path / "labs" / f"preview-{os.getpid()}"
    left.mkdir(parents=True)
    remove_leftovers()
    assert not left.exists()


def test_a_number_of_nobody_is_no_previews() -> None:
    assert not is_preview("999999999")
    assert not is_preview(str(os.getpid())), "the tests'"
