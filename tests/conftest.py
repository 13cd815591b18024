"""What all tests share."""

from __future__ import annotations

import gc

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "untimed", deadline=None
)  # machines that others use too are slow at times
hypothesis.settings.load_profile("untimed")
gc.set_threshold(10_000)  # 700 is for small programs: importing pulumi_aws alone makes half a million objects


@pytest.fixture(scope="module", autouse=True)
def what_lives_on_is_no_garbage() -> None:
    """Imported modules above all: to search pulumi_aws and moto for garbage takes a third of a second each time."""
    gc.freeze()
