"""Errors that a plugin hands to the engine; their text is what a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ProviderError(Exception):
    """The operation failed; nothing was made. One clear line."""


class PartlyMadeError(ProviderError):
    """The object exists, but is not as asked for: the engine keeps it, and the next `up` goes on."""

    def __init__(
        self, object_id: str, state: Mapping[str, Any], inputs: Mapping[str, Any], reason: str
    ) -> None:
        super().__init__(reason)
        self.id = object_id
        self.state = state
        self.inputs = inputs
        self.reason = reason


@dataclass(frozen=True)
class CheckFailure:
    """What is wrong with one input. `path` is the property's, as in `rootBlockDevice.volumeSize`."""

    path: str
    reason: str


class InvalidInputsError(ProviderError):
    """Some inputs of a function are wrong; all of them are named."""

    def __init__(self, failures: Sequence[CheckFailure]) -> None:
        super().__init__("; ".join(f"{failure.path}: {failure.reason}" for failure in failures))
        self.failures = failures
