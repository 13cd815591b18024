"""What a resource type is, to the provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set
from typing import Any, ClassVar

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.marks import is_ours, update_tags
from lab.providers.plugin.diff import Change
from lab.providers.plugin.errors import CheckFailure
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop, Props, Schema

Plain = Any
Values = Mapping[str, Plain]
State = dict[str, Plain]

TAGS: Props = {"tags": Prop(kind=Kind.STRING_MAP, affects=("tagsAll",))}
REGION: Props = {"region": Prop(replaces=True, computed=True)}


class ResourceType(ABC):
    """One type. Objects of it are found by `id` alone; the state is what `describe` says, and the inputs.

    - rank: things of a higher rank stand on things of a lower one, and are removed before them
    """

    type_name: ClassVar[str]
    inputs: ClassVar[Props]
    outputs: ClassVar[frozenset[str]] = frozenset()
    rank: ClassVar[int] = 0
    delete_before_replace: ClassVar[bool] = False

    @property
    def schema(self) -> Schema:
        """The type's inputs and outputs."""
        return Schema("aws", self.type_name, self.inputs, self.outputs)

    def check(self, new: Values) -> list[CheckFailure]:
        """What the schema cannot say."""
        del new
        return []

    def adjust(self, changes: Sequence[Change], new: Values) -> Sequence[Change]:
        """Where an option of the program decides whether a change needs another object."""
        del new
        return changes

    @abstractmethod
    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        """Make it and return its id, as soon as there is one; `settle` waits and does the rest."""

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:  # noqa: B027 - may do nothing
        """Bring a new object to what was asked for. A failure leaves it in the state, to be gone on with."""

    @abstractmethod
    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        """The properties as they are now; None when it is gone. `known`: the last state, or the inputs."""

    def exists(self, aws: Aws, object_id: str) -> bool:
        """Whether it is there, for one of which nothing is known but the id."""
        return self.describe(aws, object_id, {}) is not None

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        """Change it in place; `changed` are top-level inputs."""
        if "tags" in changed:
            update_tags(aws, object_id, state.get("tags") or {}, new.get("tags"))

    @abstractmethod
    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        """Remove it, and return when it is gone. `state` may be empty, for an object whose maker died."""


def ignore_gone(aws: Aws, operation: str, gone: tuple[str, ...], **arguments: Plain) -> None:
    """A call of EC2 that removes something which may be gone already."""
    try:
        aws.ec2(operation, **arguments)
    except AwsError as error:
        if error.code not in gone:
            raise


def may_adopt(aws: Aws, urn: Urn, parent_id: str) -> bool:
    """Whether something that cannot be tagged, and is there already, was made by a run of this stack that died.

    So it is if the last run died and what it hangs on is the stack's own. Otherwise "it exists" is an error,
    as with the real plugin.
    """
    return aws.config.recovering and is_ours(aws, urn, parent_id)
