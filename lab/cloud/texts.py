"""Text in parameters, which comes back in answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.cloud.errors import invalid_value

Json = Any
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def require_xml(params: Mapping[str, Json]) -> None:
    """Refuse characters that no XML document can have: one of them would break every listing that shows it."""
    for name, value in params.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                require_xml(item)
            elif isinstance(item, str) and NOT_XML.search(item):
                raise invalid_value(f"The value of parameter {name} contains invalid characters")
