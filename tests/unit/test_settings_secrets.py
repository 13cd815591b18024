"""No message shows a value that is marked secret, whatever is wrong with it or beside it."""

from __future__ import annotations

from typing import Any

import pytest

from components.settings import ConfigurationError, load_settings, warnings_about
from tests.unit.settings_cases import base, put


def message(config: dict[str, Any], *secret: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, secret)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "marked", "never"),
    [
        ("db_pass", "hunter2", "db_pass", "hunter2"),
        ("db_pass", {"user": "me", "pass": "hunter2"}, "db_pass", "hunter2"),
        ("causeway:db_pass", "hunter2", "causeway:db_pass", "hunter2"),
        ("cuaseway:db_pass", "hunter2", "cuaseway:db_pass", "hunter2"),
        ("causeway:aws:region", "hunter2", "causeway:aws:region", "hunter2"),
        ("causeway:redundancy", "hunter2", "causeway:redundancy", "hunter2"),  # given twice
        ("access.user", "Hunter 2", "access", "Hunter 2"),
        ("access.operator_cidrs[0]", "198.18.7.7/24", "access", "198.18.7"),
        ("access.operator_cidrs[0]", "198.18.7.7", "access", "198.18.7"),
        ("access.operator_cidrs", "198.18.7.7/32", "access", "198.18.7"),
        ("proxy.first_address", "192.168.4.77/32", "proxy", "192.168.4.77"),
        ("tags", {"Team": "hunter2!"}, "tags", "hunter2"),
        ("tags", "hunter2", "tags", "hunter2"),
        ("tags", {1: "hunter2"}, "tags", "hunter2"),
        ("platform", {"password": "x", "vpc_cidr": ["hunter2"]}, "platform", "hunter2"),
        # Rules about several values name the others too.
        ("platform.vpc_cidr", "192.170.0.0/16", "platform", "192.170"),
        ("availability_zone", "eu-west-9z", "availability_zone", "eu-west-9z"),
        ("aws:region", "eu-west-9", "aws:region", "eu-west-9"),
        ("tenants[0].overlay.cidr", "192.168.99.0/24", "tenants", "192.168.99"),
        ("tenants[0].name", "beta", "tenants", "beta"),
        ("access.bastion_instance_type", "t3.nano", "access", "t3.nano"),
        ("proxy.instance_type", "t9.hunter", "proxy", "t9.hunter"),
        ("proxy.havip", "hunter2", "proxy", "hunter2"),
        ("api", {"way": "own", "endpoint_address": "hunter2"}, "api", "hunter2"),
    ],
)
def test_secret_values_are_not_shown(key: str, value: object, marked: str, never: str) -> None:
    config = base()
    put(config, key, value)
    said = message(config, marked, "causeway:private_key")
    assert never not in said
    assert "(not shown" in said or "some of them are secret" in said
    assert never in message(config, "causeway:private_key") or "password" in str(value)


def test_other_values_are_shown_beside_secret_ones() -> None:
    config = base()
    put(config, "db_pass", "hunter2")
    put(config, "underlay_mtu", 99)
    put(config, "proxy.first_address", "192.168.5.4")
    said = message(config, "causeway:db_pass", "causeway:private_key")
    assert "underlay_mtu: 99" in said
    assert "is outside platform.proxy_subnet, which is 192.168.4.0/24" in said


def test_settings_may_be_stored_as_secrets_but_this_is_doubted() -> None:
    config = base()
    assert load_settings(config, {"causeway:account_id"}) == load_settings(config)
    (doubt,) = warnings_about(config, {"causeway:account_id", "causeway:private_key", "aws:secretKey"})
    assert doubt.key == "account_id"
    assert "123456789012" not in str(doubt)
