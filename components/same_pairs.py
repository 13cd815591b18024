"""A tenant stays on its pair: another one would cut every connection it has, without a word."""

from __future__ import annotations

import pulumi

from components.plan import Plan
from components.previous import Previous
from components.settings import ConfigurationError, Problem


def require_same_pairs(plan: Plan, previous: Previous) -> None:
    """End the program, before any resource, if a tenant that runs would be on another pair than it is."""
    moved = [tenant for tenant in plan.tenants if previous.pairs.get(tenant.name, tenant.pair) != tenant.pair]
    if not moved:
        return
    names = ", ".join(f"{each.name} (from {previous.pairs[each.name]} to {each.pair})" for each in moved)
    before = previous.tenants_per_pair or "what it was"
    raise pulumi.RunError(
        str(
            ConfigurationError(
                [
                    Problem(
                        key="proxy.tenants_per_pair",
                        value=str(plan.tenants_per_pair),
                        rule=f"moves tenants to other pairs, which would cut their connections: {names}",
                        way_out=f"set it to {before}; or remove these tenants, run up, and add them again",
                    )
                ]
            )
        )
    )
