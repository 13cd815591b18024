"""What a provider is asked, in plain Python; `server` brings it on the wire."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lab.providers.plugin.diff import Change
from lab.providers.plugin.errors import CheckFailure

Plain = Any
Values = Mapping[str, Plain]


@dataclass(frozen=True)
class Urn:
    """Who a resource is: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""

    text: str

    @property
    def stack(self) -> str:
        """`project/stack`."""
        stack, project, *_ = self.text.removeprefix("urn:pulumi:").split("::")
        return f"{project}/{stack}"

    @property
    def type(self) -> str:
        """The type token, without its parents'."""
        return self.text.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        """The name that the program gave."""
        return self.text.split("::", 3)[3]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(frozen=True)
class Checked:
    """Inputs as the type wants them, or what is wrong with them."""

    inputs: Values
    failures: Sequence[CheckFailure] = ()


@dataclass(frozen=True)
class DiffResult:
    """What an update would change, and whether in place."""

    changes: Sequence[Change] = ()
    delete_before_replace: bool = False
    stables: Sequence[str] = ()


@dataclass(frozen=True)
class Made:
    """An object that exists (or, in a preview, will)."""

    id: str
    state: Values


@dataclass(frozen=True)
class Found:
    """An object as it is now; `id` is empty when it is gone."""

    id: str
    state: Values = field(default_factory=dict)
    inputs: Values = field(default_factory=dict)


class Provider(ABC):
    """Resources and functions of one package. Methods run in threads, any number at once."""

    version: str
    derived: Mapping[str, str] = MappingProxyType({})  # outputs that show what is in an input of another name

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def configure(self, config: Values) -> None:  # noqa: B027 - not each has something to configure
        """Take the provider's configuration; raises ProviderError for what it does not know."""

    @abstractmethod
    def check(self, urn: Urn, old: Values, new: Values, seed: bytes) -> Checked:
        """Validate and complete inputs. Calls nobody."""

    @abstractmethod
    def diff(self, urn: Urn, object_id: str, old: Values, state: Values, new: Values) -> DiffResult:
        """Compare the inputs of then and now. Calls nobody."""

    @abstractmethod
    def create(self, urn: Urn, new: Values, *, preview: bool) -> Made:
        """Make it; in a preview only say what is known beforehand."""

    @abstractmethod
    def read(self, urn: Urn, object_id: str, state: Values, inputs: Values) -> Found:
        """Look how it is now."""

    @abstractmethod
    def update(
        self, urn: Urn, object_id: str, old: Values, state: Values, new: Values, *, preview: bool
    ) -> Values:
        """Change it in place; returns the new state."""

    @abstractmethod
    def delete(self, urn: Urn, object_id: str, state: Values) -> None:
        """Remove it; done when it is really gone, and when it was gone before."""

    @abstractmethod
    def invoke(self, token: str, arguments: Values) -> Values:
        """Answer a function."""
