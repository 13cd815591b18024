"""What the stack was before this run, by its own outputs.

The engine keeps a program's outputs even where a resource failed, but for those that wait for that resource: then it
keeps the old ones, all of them. So in a run that changes the redundancy, that output waits until it is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.plan import Redundancy, Role

# A function of the engine itself: in previews too, and without a resource, as a StackReference would be one.
_READ = "pulumi:pulumi:readStackOutputs"


@dataclass(frozen=True, kw_only=True)
class Previous:
    """`redundancy`: None before the first update. `proxies`: where the SSH of each was, by name."""

    redundancy: Redundancy | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)

    def output(self, redundancy: Redundancy, changed: pulumi.Resource) -> pulumi.Input[str]:
        """For the next run to know this one's by: in a run that changes it, once `changed` is there."""
        if self.redundancy in (None, redundancy):
            return redundancy.value
        return changed.urn.apply(lambda _: redundancy.value)


def previous_stack() -> Previous:
    """Nothing where the state cannot be asked: what is made of it must not keep an update from running."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        outputs = pulumi.runtime.invoke(_READ, {"name": name}).value["outputs"]
    except Exception as error:  # the SDK has no narrower one
        pulumi.log.warn(f"how the stack was before this update is not known: {error}")
        return Previous()
    return _previous(outputs)


def _previous(outputs: Mapping[str, Any]) -> Previous:
    before = outputs.get("plan", {}).get("redundancy")
    return Previous(
        redundancy=None if before is None else Redundancy(before),
        proxies={
            name: host["ssh"]["host"]
            for name, host in outputs.get("hosts", {}).items()
            if host["role"] == Role.PROXY and host["ssh"] is not None
        },
    )
