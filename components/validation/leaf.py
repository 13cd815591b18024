"""What settings are made of: groups of keys, and leaves that know how their value is read.

One definition of a leaf serves the messages, the settings and the JSON schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class MisfitError(ValueError):
    """A value that cannot be read: the rule that it breaks, and the way out."""

    def __init__(self, rule: str, way_out: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.way_out = way_out


@dataclass(frozen=True)
class Leaf:
    """Reads one value: an annotation of a settings field, as in `Annotated[IPv4Network, NETWORK]`.

    `parse` takes anything that YAML can hold and returns the value or raises `MisfitError`.
    """

    parse: Callable[[object], object]
    schema: dict[str, Any] = field(hash=False)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Defaults are written as values, not as text, and are not validated.
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


class Group(BaseModel):
    """Keys that belong together; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
