"""How near two names are."""

from __future__ import annotations

import pytest

from components.validation.distance import edit_distance


@pytest.mark.parametrize(
    ("one", "distance"),
    [
        ("causeway", 0),
        ("cuaseway", 1),  # swapped
        ("causway", 1),
        ("causseway", 1),
        ("csuseway", 1),
        ("casuway", 2),
        ("gateway", 3),
        ("", 3),
        ("causeway-of-another", 3),
    ],
)
def test_edit_distance(one: str, distance: int) -> None:
    assert edit_distance(one, "causeway", most=2) == distance
    assert edit_distance("causeway", one, most=2) == distance
