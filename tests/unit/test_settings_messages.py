"""Wrong configuration ends with one message that names every problem: golden files."""

from __future__ import annotations

import os

import pytest

from components.settings import ConfigurationError, load_settings
from tests.unit.settings_cases import Case, all_cases, base


@pytest.mark.parametrize("name", ["created", "pair", "existing"])
def test_bases_are_valid(name: str) -> None:
    load_settings(base(name))


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_message(case: Case) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(case.config())
    if os.environ.get("UPDATE_GOLDEN"):
        case.write_message(str(caught.value))
    assert str(caught.value) == case.message()


def test_there_are_cases() -> None:
    assert len(all_cases()) >= 40
