"""The provider's configuration: the keys of the real plugin that mean something here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.providers.plugin.errors import ProviderError

DEFAULT_REGION = "us-east-1"
# Checks and look-ups that the real plugin makes at its start; the stand-in makes none.
MEANINGLESS_HERE = frozenset(
    {
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "version",
        "pluginDownloadURL",
    }
)
KNOWN = (
    frozenset({"region", "accessKey", "secretKey", "token", "endpoints", "defaultTags"}) | MEANINGLESS_HERE
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Whom to ask, as whom. `recovering`: the last run died, so what it made may be there already."""

    region: str
    endpoint: str
    access_key: str
    secret_key: str
    default_tags: Mapping[str, str] = field(default_factory=dict)
    recovering: bool = False


def read_config(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Config:
    """Configuration from the stack, else from the environment variables of every AWS SDK."""
    if unknown := sorted(key for key in given if key not in KNOWN and not key.startswith("__")):
        raise ProviderError(
            f"aws's stand-in in the lab does not know {_keys(unknown)}; known: {_keys(KNOWN)}"
        )
    endpoint = _endpoint(_parsed(given.get("endpoints"))) or environment.get("AWS_ENDPOINT_URL", "")
    if not endpoint:
        # Without one, botocore would go to the real AWS.
        raise ProviderError("aws's stand-in needs the lab's endpoint: set AWS_ENDPOINT_URL or aws:endpoints")
    return Config(
        region=str(given.get("region") or environment.get("AWS_REGION") or DEFAULT_REGION),
        endpoint=endpoint,
        access_key=str(given.get("accessKey") or environment.get("AWS_ACCESS_KEY_ID") or "lab"),
        secret_key=str(given.get("secretKey") or environment.get("AWS_SECRET_ACCESS_KEY") or "lab"),
        default_tags=(_parsed(given.get("defaultTags")) or {}).get("tags", {}),
        recovering=bool(environment.get("CAUSEWAY_LAB_RECOVERING")),
    )


def _keys(names: Iterable[str]) -> str:
    return ", ".join(f"aws:{name}" for name in sorted(names))


def _parsed(value: Any) -> Any:
    """Structured configuration arrives as its JSON text."""
    return json.loads(value) if isinstance(value, str) else value


def _endpoint(endpoints: Any) -> str:
    """The one address behind `[{"ec2": URL, "iam": URL, …}]`."""
    addresses = {url for entry in endpoints or [] for url in entry.values()}
    if len(addresses) > 1:
        raise ProviderError(
            f"aws:endpoints: the lab has one address for all services, not {sorted(addresses)}"
        )
    return str(next(iter(addresses), ""))
