"""What is asked of the weather, checked before it changes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.session import Session

from lab.cloud.actions import supported
from lab.errors import LabError

Json = Any
LONGEST_S = 3600.0
SERVICES = ("ec2", "iam", "sts", "ssm")


def require_sensible(message: Mapping[str, Json]) -> None:
    """Actions that the lab's API has, and times that end."""
    for key, value in (message.get("condition") or {}).items():
        is_time = isinstance(value, int | float) and not isinstance(value, bool)
        if is_time and not (math.isfinite(value) and 0 <= value <= LONGEST_S):
            raise LabError(f"{key} is {value}", hint=f"seconds, from 0 to {LONGEST_S:g}")
    if action := message.get("action"):
        require_action(str(action))


def require_action(action: str) -> None:
    """Raises the LabError for one that the API does not have."""
    known = actions()
    if action in known or action == "*":
        return
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(action.lower(), folded, 1)
    raise LabError(
        f"the lab's API has no action {action!r}",
        hint=f"did you mean {folded[close[0]]}?"
        if close
        else "like AssignPrivateIpAddresses; none is every action",
    )


@cache
def actions() -> frozenset[str]:
    """All that the lab's API has."""
    session = Session()
    return frozenset(
        name
        for service in SERVICES
        for name in session.get_service_model(service).operation_names
        if supported(service, name)
    )
