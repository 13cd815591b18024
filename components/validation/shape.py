"""What may stand at a place of the configuration, read from the settings' annotations."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from components.validation.leaf import Group, Leaf


@dataclass(frozen=True)
class Many:
    """A list of something."""

    of: Shape


@dataclass(frozen=True)
class Table:
    """Keys that the operator chooses, each with something."""

    key: Leaf
    of: Shape


Shape: TypeAlias = "Leaf | Many | Table | type[Group]"


def shape_of(field: FieldInfo) -> Shape:
    """The shape of a settings field."""
    return _shape(field.annotation, field.metadata)


def key_of(name: str, field: FieldInfo) -> str:
    """What the operator writes for a field."""
    return field.alias or name


def _shape(annotation: Any, metadata: list[Any]) -> Shape:
    for mark in metadata:
        if isinstance(mark, Leaf):
            return mark
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], list(arguments[1:]))
    if origin in (Union, UnionType):
        (present,) = [argument for argument in arguments if argument is not NoneType]
        return _shape(present, [])
    if origin is tuple:
        return Many(_shape(arguments[0], []))
    if origin is dict:
        key = _shape(arguments[0], [])
        if isinstance(key, Leaf):
            return Table(key, _shape(arguments[1], []))
    if isinstance(annotation, type) and issubclass(annotation, Group):
        return annotation
    raise TypeError(f"{annotation}: no shape of the configuration")
