"""Client tokens: the same request again makes nothing, another one with the same token is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lab.cloud.errors import ec2_error

Params = Mapping[str, Any]
Tokens = dict[
    str, tuple[str, str]
]  # of one call: client token → (digest of the request, id of what was made)


def made_before(tokens: Tokens, params: Params) -> str | None:
    """The id of what this very request has made already; None if it is new or has no token."""
    seen, made = tokens.get(params.get("ClientToken", ""), ("", None))
    if made is not None and seen != _digest(params):
        raise ec2_error(
            "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent"
        )
    return made


def remember(tokens: Tokens, params: Params, made: str) -> None:
    """This request, if it has a token, has made it."""
    if token := params.get("ClientToken"):
        tokens[token] = (_digest(params), made)


def _digest(params: Params) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True, default=str).encode()).hexdigest()
