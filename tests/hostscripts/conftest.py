"""Hosts of three kinds: of stub commands, of kernel namespaces, and (in tests/lab) of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostscripts.sandbox import Sandbox, is_possible
from tests.hostscripts.stub_host import StubHost


@pytest.fixture
def stub_host(tmp_path: Path) -> StubHost:
    """A host that is a directory."""
    return StubHost(tmp_path / "host")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A host that is a set of namespaces."""
    if not is_possible():
        pytest.skip(
            "this kernel gives an ordinary user no namespaces; see: sysctl kernel.unprivileged_userns_clone"
        )
    with Sandbox(tmp_path) as sandbox:
        yield sandbox
