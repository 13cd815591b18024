"""Fixtures of several test modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cloud_testing import LabUnderTest


@pytest.fixture
def lab() -> Iterator[LabUnderTest]:
    """A cloud whose instances reach by themselves what was asked for."""
    yield from _cloud(observed=False)


@pytest.fixture
def observed_lab() -> Iterator[LabUnderTest]:
    """A cloud whose instances change when the machine layer says so."""
    yield from _cloud(observed=True)


def _cloud(*, observed: bool) -> Iterator[LabUnderTest]:
    from tests.unit.cloud_testing import LabUnderTest  # moto takes a second to import; few tests need it

    under_test = LabUnderTest(observed=observed)
    yield under_test
    under_test.close()
