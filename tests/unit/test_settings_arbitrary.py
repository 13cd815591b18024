"""Whatever stands in a stack file: settings that have a plan, or a `ConfigurationError` that can be printed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.planning import make_plan
from components.settings import (
    ConfigurationError,
    Settings,
    load_settings,
    warnings_about,
)
from components.validation.shape import Many, Table, key_of, shape_of
from tests.unit.plan_strategies import lightly
from tests.unit.settings_cases import base, put


class Odd(Enum):
    """What hypothesis cannot print, by name: `real` makes it of the name."""

    HUGE = auto()  # more digits than Python prints
    NEGATIVE = auto()
    DEEP = auto()
    CYCLE = auto()
    HUGE_KEY = auto()


# What YAML can hold: https://yaml.org/type/. All of it as keys too.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text()
    | st.text(st.characters(categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), min_size=1)
    | st.sampled_from(["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "1" * 5000, "{}", "%s", "[bold]"])
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes()
    | st.sampled_from([Odd.HUGE, Odd.NEGATIVE])
)
VALUES = st.recursive(
    SCALARS | st.sampled_from(Odd) | st.sets(st.integers(), max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=12,
)


def real(value: Any) -> Any:
    """The value with what stands for something odd replaced by it."""
    match value:
        case Odd.HUGE | Odd.NEGATIVE:
            return 10**5000 if value is Odd.HUGE else -(10**5000)
        case Odd.DEEP:
            return _deep(3000)
        case Odd.CYCLE:
            itself: list[Any] = []
            itself.append(itself)
            return itself
        case Odd.HUGE_KEY:
            return {10**5000: 1, ("a", "\ud800"): 2}
        case list():
            return [real(each) for each in value]
        case dict():
            return {real(key): real(each) for key, each in value.items()}
        case _:
            return value


def _deep(depth: int) -> Any:
    nested: Any = []
    for _ in range(depth):
        nested = {"a": [nested]}
    return nested


def every_key(group: type = Settings, prefix: str = "") -> list[str]:
    """Every key that the settings have, with one element of each list and table."""
    keys = []
    for name, field in group.model_fields.items():  # type: ignore[attr-defined]
        key, shape = f"{prefix}{key_of(name, field)}", shape_of(field)
        keys.append(key)
        while isinstance(shape, Many | Table):
            key, shape = f"{key}{'[0]' if isinstance(shape, Many) else '.x9.large'}", shape.of
            keys.append(key)
        if isinstance(shape, type):
            keys += every_key(shape, f"{key}.")
    return keys


def check(config: Any) -> None:
    """The one property."""
    error = error_of(config)
    if error is None:
        make_plan(load_settings(config), "test")
        warnings_about(config)
        return
    assert error.problems
    assert all(problem.key and problem.rule and problem.way_out for problem in error.problems)
    assert str(error).encode()
    assert str(error).replace("\n", "").isprintable()


def error_of(config: Any) -> ConfigurationError | None:
    try:
        load_settings(config)
    except ConfigurationError as error:
        return error
    return None


def with_at(config: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    # The base may lack the group, or an earlier change took it away.
    with contextlib.suppress(KeyError, TypeError, IndexError, AttributeError):
        put(config, key, real(value))
    return config


@lightly
@given(VALUES)
@example(Odd.DEEP)
@example(Odd.HUGE_KEY)
def test_any_data_instead_of_a_configuration(config: Any) -> None:
    check(real(config))


@pytest.mark.parametrize("key", every_key())
@settings(lightly, max_examples=8)
@given(name=st.sampled_from(["created", "pair", "existing"]), value=VALUES)
@example(name="created", value=Odd.HUGE)
@example(name="created", value="\ud800")
def test_any_data_at_a_key(key: str, name: str, value: Any) -> None:
    check(with_at(base(name), key, value))


@lightly
@given(
    st.sampled_from(["created", "pair", "existing"]),
    st.dictionaries(st.sampled_from(every_key()), VALUES, min_size=2),
)
def test_any_data_at_several_keys(name: str, values: Mapping[str, Any]) -> None:
    config = base(name)
    for key, value in values.items():
        with_at(config, key, value)
    check(config)


@pytest.mark.parametrize("group", ["", "platform", "tags", "instance_types", "tenants[0].overlay"])
@lightly
@given(key=SCALARS, value=VALUES)
def test_any_key_in_a_group(group: str, key: Any, value: Any) -> None:
    config = base()
    there: Any = config
    if group == "tenants[0].overlay":
        there = config["tenants"][0]["overlay"]
    elif group:
        there = config.setdefault(group, {})
    there[real(key)] = real(value)
    check(config)


def test_odd_names_of_groups_are_escaped() -> None:
    check({**base(), "instance_types": {"\x1b[31m": {"enies": 4}}})
