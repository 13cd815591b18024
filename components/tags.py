"""Tags: whose a resource is, what it is for, and what a person sees in the console."""

from __future__ import annotations

from collections.abc import Mapping


def tagged(tags: Mapping[str, str], name: str, **marks: str) -> dict[str, str]:
    """The stack's tags, `Name`, and each mark as `causeway:<mark>`."""
    return {**tags, "Name": name, **{f"causeway:{mark}": value for mark, value in marks.items()}}
