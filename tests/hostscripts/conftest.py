"""Hosts of three kinds: of stub commands, of kernel namespaces, and (in tests/lab) of the lab."""

from __future__ import annotations

import os
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
    yield from _sandbox(tmp_path)


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The same for a module's tests that leave it as they found it."""
    yield from _sandbox(tmp_path_factory.mktemp("shared"))


def _sandbox(directory: Path) -> Iterator[Sandbox]:
    if not is_possible():
        why = "this kernel gives us no namespaces; be root, or see: sysctl kernel.unprivileged_userns_clone"
        if os.environ.get("CI"):
            pytest.fail(why)  # or nobody would notice that the filters are not tested
        pytest.skip(why)
    with Sandbox(directory) as sandbox:
        yield sandbox
