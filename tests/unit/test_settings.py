"""What settings accept, and that nothing but `ConfigurationError` ever comes out of a wrong one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given

from components.plan import Redundancy
from components.settings import ConfigurationError, load_settings, warnings_about
from tests.unit.plan_strategies import configurations, lightly
from tests.unit.settings_cases import base, put


def problems_of(config: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config)
    return [problem.key for problem in caught.value.problems]


def test_defaults() -> None:
    config = base("pair")
    del config["redundancy"], config["underlay_mtu"], config["install_packages"], config["access"]["user"]
    settings = load_settings(config)
    assert settings.underlay_mtu == 9001
    assert settings.install_packages is True
    assert settings.drillable is False
    assert settings.redundancy is Redundancy.PAIR
    assert settings.access.user == "admin"


def test_without_a_word_it_is_a_pair_and_needs_what_a_pair_needs() -> None:
    config = base()
    del config["redundancy"]
    assert problems_of(config) == ["proxy.havip", "api"]


def test_keys_with_and_without_namespace_are_the_same() -> None:
    plain = base()
    full = {key if key == "aws:region" else f"causeway:{key}": value for key, value in plain.items()}
    assert load_settings(full) == load_settings(plain)


def test_the_providers_region_counts_wherever_it_stands() -> None:
    assert problems_of({"causeway:aws:region": "nowhere", **base()}) == ["causeway:aws:region"]
    assert problems_of({**base(), "causeway:aws:region": "nowhere"}) == ["causeway:aws:region"]


def test_keys_of_others_are_let_be() -> None:
    assert load_settings({**base(), "aws:profile": "me", "pulumi:tags": {}}) == load_settings(base())


def test_top_level_numbers_and_booleans_may_be_text() -> None:
    """The engine makes text of them."""
    settings = load_settings({**base(), "underlay_mtu": "1500", "install_packages": "true"})
    assert (settings.underlay_mtu, settings.install_packages) == (1500, True)


def test_empty_optional_keys_are_absent() -> None:
    assert load_settings({**base(), "ami": None, "underlay_mtu": None}) == load_settings(base())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(base()).underlay_mtu = 1500


def test_loading_changes_nothing_of_what_it_reads() -> None:
    config = base()
    load_settings(config)
    assert config == base()


def test_no_secret_reaches_the_settings() -> None:
    assert "AAABANNYM6" not in repr(load_settings(base()))


@pytest.mark.parametrize("key", ["access.password", "access.private_key", "ssh_private_key", "api_token"])
def test_secrets_in_wrong_places_are_not_printed(key: str) -> None:
    config = base()
    put(config, key, "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config)
    assert "hunter2" not in str(caught.value)


def test_a_number_as_a_key_is_not_the_text_of_it() -> None:
    assert problems_of({**base(), 1: "one", "1": "another"}) == ["1", "1"]


def test_a_tenant_may_overlap_another_outside_what_is_reached() -> None:
    config = base()
    put(config, "tenants[1].create.vpc_cidr", "172.16.0.0/16")
    put(config, "tenants[1].create.subnet_cidr", "172.16.102.0/24")
    put(config, "tenants[1].create.instance_address", "172.16.102.4")
    put(config, "tenants[1].cidrs", ["172.16.102.0/24"])
    assert len(load_settings(config).tenants) == 2


def test_a_stack_may_have_no_tenants_yet() -> None:
    assert load_settings({**base(), "tenants": []}).tenants == ()


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("underlay_mtu", 1280, True),
        ("underlay_mtu", 1279, False),
        ("underlay_mtu", 9001, True),
        ("underlay_mtu", 9002, False),
        ("func_hosts.count", 247, True),
        ("func_hosts.count", 248, False),
        ("func_hosts.first_address", "192.168.80.4", True),
        ("func_hosts.first_address", "192.168.80.3", False),
        ("proxy.advert_ms", 20, True),
        ("proxy.advert_ms", 19, False),
        ("proxy.advert_ms", 1000, True),
        ("proxy.advert_ms", 30, True),
        ("proxy.advert_ms", 25, False),
        ("proxy.advert_ms", "25", False),
        ("proxy.advert_ms", 1001, False),
        ("proxy.first_address", "192.168.4.253", True),
        ("proxy.first_address", "192.168.4.254", False),
        ("platform.proxy_subnet", "192.168.4.0/24", True),
        ("platform.proxy_subnet", "192.168.4.0/29", False),
        ("access.operator_cidrs", ["11.0.0.0/8"], True),
        ("access.operator_cidrs", ["10.0.0.0/7"], False),
        ("access.operator_cidrs", ["11.0.0.0/9", "11.128.0.0/9"], True),
        ("access.operator_cidrs", ["11.0.0.0/9", "11.128.0.0/9", "12.0.0.0/32"], False),
        ("tenants[1].index", 96, True),  # on pair 47, whose proxies end before the first HaVip
        ("tenants[1].index", 97, False),
        ("tenants[0].name", "a" * 32, True),
        ("tenants[0].name", "a" * 33, False),
        ("proxy.havip", "192.168.4.254", True),
        ("proxy.havip", "192.168.4.255", False),
        ("tenants[0].havip", "172.16.101.254", True),
        ("tenants[0].havip", "172.16.101.255", False),
        ("tenants[0].overlay.first_func", "10.0.0.252", True),
        ("tenants[0].overlay.first_func", "10.0.0.253", False),
    ],
)
def test_bounds(key: str, value: object, accepted: bool) -> None:
    config = base("pair")
    put(config, key, value)
    if accepted:
        load_settings(config)
    else:
        assert any(problem.startswith(key) for problem in problems_of(config))


def test_public_ranges_are_doubted() -> None:
    config = base("existing")
    put(config, "tenants[0].cidrs", ["52.10.0.0/16"])
    load_settings(config)
    assert [doubt.key for doubt in warnings_about(config)] == ["tenants[0].cidrs[0]"]
    assert not warnings_about(base("existing"))


def test_an_api_in_clear_is_doubted() -> None:
    (doubt,) = warnings_about(base("pair"))
    assert (doubt.key, doubt.value) == ("api.scheme", "http")


def test_access_is_not_opened_to_everyone_part_by_part() -> None:
    config = base()
    put(config, "access.operator_cidrs", [f"{number}.0.0.0/8" for number in range(256)])
    assert "access.operator_cidrs" in problems_of(config)


def test_many_broken_tenants_are_told_in_reasonable_time() -> None:
    """Overlaps are found by sorting, not pair by pair."""
    config = base()
    config["tenants"] = [deepcopy(config["tenants"][0]) for _ in range(1000)]
    assert len(problems_of(config)) >= 3 * 999


@lightly
@given(configurations())
def test_valid_configurations_are_accepted(config: dict[str, Any]) -> None:
    load_settings(config)
