"""As many networks as the settings let through: a security group has room for their rules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from components.firewall import FirewallArgs
from components.firewall_rules import platform_firewall, user_firewall
from components.plan import Plan
from components.planning import make_plan
from components.settings import ConfigurationError, load_settings
from components.validation.quota import OWN_RULES, RULES
from tests.unit.settings_cases import base

OPERATORS = [f"198.18.{number}.1/32" for number in range(RULES - OWN_RULES)]
DESTINATIONS = [f"172.16.{number}.0/24" for number in range(101, 101 + RULES)]


def configuration(name: str) -> dict[str, Any]:
    """With all networks that fit, and packages from the internet."""
    config = base(name)
    config["install_packages"] = True
    config["access"]["operator_cidrs"] = OPERATORS
    config["tenants"][0]["cidrs"] = DESTINATIONS
    return config


def firewalls(plan: Plan) -> list[FirewallArgs]:
    """Every VPC's."""
    return [
        platform_firewall(plan, "vpc-1"),
        *(user_firewall(plan, tenant, "vpc-2", {}) for tenant in plan.tenants),
    ]


@pytest.mark.parametrize("name", ["created", "existing"])
def test_no_group_has_more_rules_than_it_takes(name: str) -> None:
    plan = make_plan(load_settings(configuration(name)), "test")
    for firewall in firewalls(plan):
        counts = Counter((rule.group, rule.direction) for rule in firewall.rules)
        assert max(counts.values()) <= RULES, counts


@pytest.mark.parametrize(
    ("keys", "one_more"),
    [(("access", "operator_cidrs"), "198.18.99.1/32"), (("tenants", 0, "cidrs"), "172.16.1.0/24")],
)
def test_one_more_does_not_fit(keys: tuple[str | int, ...], one_more: str) -> None:
    config: Any = configuration("created")
    where = config
    for key in keys[:-1]:
        where = where[key]
    where[keys[-1]] = [*where[keys[-1]], one_more]
    with pytest.raises(ConfigurationError, match="are too many"):
        load_settings(config)
