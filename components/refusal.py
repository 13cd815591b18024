"""Settings that are good for a new stack, and that this one must not get by one update."""

from __future__ import annotations

import pulumi

from components.one_at_a_time import changes_at_once
from components.plan import Plan
from components.previous import Previous
from components.same_places import moved_tenants
from components.settings import ConfigurationError


def require_possible_update(plan: Plan, previous: Previous) -> None:
    """End the program, before any resource, with every reason at once."""
    problems = [*moved_tenants(plan, previous), *changes_at_once(plan, previous)]
    if problems:
        raise pulumi.RunError(str(ConfigurationError(problems)))
