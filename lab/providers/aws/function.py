"""What a function of the package is, to the provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from lab.providers.aws.client import Aws
from lab.providers.aws.resource import REGION
from lab.providers.plugin.schema import Kind, Prop, Props, Schema

Values = Mapping[str, Any]

FILTER_FIELDS: Props = {
    "name": Prop(required=True),
    "values": Prop(kind=Kind.STRINGS, required=True),
}
FILTERS: Props = {"filters": Prop(kind=Kind.OBJECTS, fields=FILTER_FIELDS)}
TAG_FILTER: Props = {"tags": Prop(kind=Kind.STRING_MAP)}


class Function(ABC):
    """One function: it asks, and changes nothing."""

    type_name: ClassVar[str]
    inputs: ClassVar[Props]

    @property
    def schema(self) -> Schema:
        """What it takes."""
        return Schema("aws", self.type_name, {**REGION, **self.inputs})

    @abstractmethod
    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        """Ask the cloud; raises ProviderError when there is no such thing, or more than one."""


def api_filters(given: Values, **named: Any) -> list[dict[str, Any]]:
    """`filters`, `tags` and single properties as the API's filters."""
    own = [{"Name": f["name"], "Values": f["values"]} for f in given.get("filters", [])]
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in given.get("tags", {}).items()]
    single = [
        {"Name": name.replace("_", "-"), "Values": [str(value)]}
        for name, value in named.items()
        if value is not None
    ]
    return own + tags + single
