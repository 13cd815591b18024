"""A tenant's index never changes while it runs: refused before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.errors import LabError

Json = Any


def refuse_renumbered(tenants: Json, exported: Mapping[str, Json]) -> None:
    """Compare the settings' tenants with those that the stack exported last; LabError for another index.

    AWS could not follow: the ENI at the new index would need the address that the one at the old index still has.
    What is no list of tenants passes: the program says what is wrong with it.
    """
    running = {name: tenant["index"] for name, tenant in (exported.get("tenants") or {}).items()}
    for position, tenant in enumerate(tenants if isinstance(tenants, list) else ()):
        if not isinstance(tenant, dict) or not isinstance(tenant.get("name"), str):
            continue
        name, index = tenant["name"], tenant.get("index")
        if isinstance(index, int) and index != running.get(name, index):
            raise LabError(
                f"tenants[{position}].index: {index}: the tenant {name!r} runs with index {running[name]}, and an "
                "index never changes: the proxy's ENI, the tunnels' key and the devices' names are made of it",
                hint=f"leave it at {running[name]}; or remove the tenant, run `up`, and add it again with {index}",
            )
