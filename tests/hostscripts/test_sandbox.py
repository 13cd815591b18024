"""Tests that need a kernel must not go missing unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostscripts import conftest


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_namespaces_ci_fails_and_others_skip(
    ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(conftest, "is_possible", lambda: False)
    with pytest.raises(outcome, match="no namespaces"):
        next(conftest._sandbox(tmp_path))
