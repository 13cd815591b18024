"""Where the lab keeps things: below one directory, whoever says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.paths import LabPaths, home


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "/home/somebody/.cache/causeway"),
        ({"XDG_CACHE_HOME": "/var/cache/somebody"}, "/var/cache/somebody/causeway"),
        ({"XDG_CACHE_HOME": ""}, "/home/somebody/.cache/causeway"),
        ({"CAUSEWAY_LAB_HOME": "/srv/labs", "XDG_CACHE_HOME": "/var/cache/somebody"}, "/srv/labs"),
    ],
)
def test_the_cache_directory(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("CAUSEWAY_LAB_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/somebody", **environment}.items():
        monkeypatch.setenv(name, value)
    assert home() == Path(expected)
    paths = LabPaths("beside")
    assert paths.root == home() / "labs" / "beside"
    files = (
        paths.control_socket,
        paths.daemon_log,
        paths.machines,
        paths.pulumi,
        paths.outputs,
        paths.ssh_key,
    )
    assert all(file.is_relative_to(paths.root) for file in files)
