"""Tags: the program's, the provider's defaults, and the lab's own marks that say whose an object is.

Marks never show in a resource's `tags`. They are given in the call that makes the object: an engine that is
killed before it has saved the object's id leaves something that can still be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.plugin.provider import Urn

Json = Any
MARK = "lab:"
STACK_MARK = "lab:stack"
URN_MARK = "lab:urn"
TAG_CHARACTERS = 256  # the most that AWS lets a tag's value have


def marks(urn: Urn) -> dict[str, str]:
    """Whose an object is. Of a long URN the end is kept, which has type and name."""
    return {STACK_MARK: urn.stack, URN_MARK: urn.text[-TAG_CHARACTERS:]}


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the API's form."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def creation_tags(aws: Aws, urn: Urn, tags: Mapping[str, str] | None) -> dict[str, str]:
    """All tags of a new object."""
    return {**aws.config.default_tags, **(tags or {}), **marks(urn)}


def tag_specifications(aws: Aws, urn: Urn, kind: str, tags: Mapping[str, str] | None) -> list[Json]:
    """`creation_tags` for a call of EC2 that makes a `kind`."""
    return [{"ResourceType": kind, "Tags": pairs(creation_tags(aws, urn, tags))}]


def read_tags(aws: Aws, listed: list[Json] | None) -> dict[str, Json]:
    """`tags` and `tagsAll` of an object, from the API's form."""
    everything = {t["Key"]: t["Value"] for t in listed or [] if not t["Key"].startswith((MARK, "aws:"))}
    default = aws.config.default_tags
    own = {key: value for key, value in everything.items() if default.get(key) != value}
    return {"tags": own, "tagsAll": everything}


def update_tags(aws: Aws, object_id: str, old: Mapping[str, str], new: Mapping[str, str] | None) -> None:
    """Make the tags of an EC2 object equal to `new` and the defaults; marks stay."""
    wanted = {**aws.config.default_tags, **(new or {})}
    if gone := [{"Key": key} for key in old if key not in wanted]:
        aws.ec2("delete_tags", Resources=[object_id], Tags=gone)
    if changed := {key: value for key, value in wanted.items() if old.get(key) != value}:
        aws.ec2("create_tags", Resources=[object_id], Tags=pairs(changed))


def is_ours(aws: Aws, urn: Urn, object_id: str) -> bool:
    """Whether the stack of `urn` made this EC2 object."""
    filters = [
        {"Name": "resource-id", "Values": [object_id]},
        {"Name": "key", "Values": [STACK_MARK]},
    ]
    return any(
        tag["Value"] == urn.stack for tag in aws.pages("ec2", "describe_tags", "Tags", Filters=filters)
    )
