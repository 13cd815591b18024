"""What the providers' SDKs say a resource accepts: mocks accept anything."""

from __future__ import annotations

import re
import typing
from functools import cache
from importlib import import_module

from pulumi import _types

from tests.unit.pulumi_mocks import SECRET, UNKNOWN, Json

PACKAGES = {"aws": "pulumi_aws", "command": "pulumi_command"}


def accepts(token: str, prop: str) -> bool:
    """Whether this type of resource has this input; false for components."""
    arguments = _arguments(token)
    return arguments is not None and prop in _properties(arguments)


def unknown_inputs(token: str, inputs: dict[str, Json]) -> list[str]:
    """Paths of inputs, nested ones too, that the resource does not have."""
    arguments = _arguments(token)
    return [] if arguments is None else _unknown(arguments, inputs, "")


def _unknown(arguments: type, value: Json, path: str) -> list[str]:
    if isinstance(value, dict) and SECRET in value:
        value = value[SECRET]
    if not isinstance(value, dict):
        return [] if value == UNKNOWN else [f"{path}: not an object"]
    properties = _properties(arguments)
    wrong = [f"{path}{name}" for name in value if name not in properties]
    for name, item in value.items():
        nested = _nested(properties.get(name))
        if isinstance(item, str) and _is_text(properties.get(name)):
            continue
        items = item if isinstance(item, list) else [item]
        if nested is not None:
            wrong += [found for one in items for found in _unknown(nested, one, f"{path}{name}.")]
    return wrong


@cache
def _arguments(token: str) -> type | None:
    """The SDK's class of a type's inputs: `aws:ec2/instance:Instance` → `ec2.instance.InstanceArgs`."""
    package, module, _ = token.split(":")
    if package not in PACKAGES:
        return None
    path, _, name = module.partition("/")
    file = name or token.rsplit(":", 1)[1]
    snake_case = re.sub("(?<!^)([A-Z])", r"_\1", file).lower()
    found = import_module(f"{PACKAGES[package]}.{path}.{snake_case}")
    (arguments,) = (
        candidate
        for name, candidate in vars(found).items()
        if isinstance(candidate, type)
        and candidate.__module__ == found.__name__
        and _types.is_input_type(candidate)
        and not name.startswith("_")
    )
    return arguments


@cache
def _properties(arguments: type) -> dict[str, object]:
    """Wire name → type."""
    names = _types.input_type_py_to_pulumi_names(arguments)
    hints = typing.get_type_hints(arguments, vars(import_module(arguments.__module__)))
    types = _types.input_type_types(arguments)
    return {wire: types.get(wire, hints.get(python)) for python, wire in names.items()}


def _is_text(hint: object) -> bool:
    """Whether text will do, as for a policy document."""
    return hint is str or any(map(_is_text, typing.get_args(hint)))


def _nested(hint: object) -> type | None:
    """The class of inputs somewhere inside a type hint, as in Input[Optional[Sequence[Input[XArgs]]]]."""
    if isinstance(hint, type) and _types.is_input_type(hint):
        return hint
    found = (_nested(argument) for argument in typing.get_args(hint))
    return next((one for one in found if one is not None), None)
