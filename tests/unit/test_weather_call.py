"""Weather that makes no sense is refused before it changes."""

from __future__ import annotations

import pytest

from lab.daemon.weather_call import require_sensible
from lab.errors import LabError


@pytest.mark.parametrize("delay", [float("inf"), float("nan"), -1.0, 1e9])
def test_a_delay_ends(delay: float) -> None:
    with pytest.raises(LabError, match="delay_s is") as caught:
        require_sensible({"action": None, "condition": {"unavailable": False, "delay_s": delay}})
    assert caught.value.hint == "seconds, from 0 to 3600"


@pytest.mark.parametrize(
    ("action", "hint"),
    [
        ("AssignPrivateIpAdresses", "did you mean AssignPrivateIpAddresses?"),
        ("describevpcs", "did you mean DescribeVpcs?"),
        ("MakeRain", "like AssignPrivateIpAddresses"),
    ],
)
def test_an_action_is_one_of_the_api(action: str, hint: str) -> None:
    with pytest.raises(LabError, match="has no action") as caught:
        require_sensible({"action": action, "condition": None})
    assert hint in caught.value.hint


@pytest.mark.parametrize("action", [None, "", "*", "AssignPrivateIpAddresses", "AssumeRole", "GetParameter"])
def test_all_else_passes(action: str | None) -> None:
    require_sensible({"action": action, "condition": {"unavailable": True, "delay_s": 1.8}})
    require_sensible({"action": action, "condition": None})
    require_sensible({"action": action})
