"""Connections from a function to its tenant that must live through something: the drill's load, held to one promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ops.drill.load import Load, LoadOptions
from ops.stack import LabStack
from tests.lab.conftest import LabUnderTest

CONNECTIONS = 50


@contextmanager
def kept_connections(
    lab: LabUnderTest,
    count: int = CONNECTIONS,
    *,
    longest_s: float | None = None,
    host: str | None = None,
) -> Iterator[None]:
    """Busy and silent ones to every tenant, open while the block runs, every one of which must still echo in the end.

    With `longest_s`, a bound that is stated to users, none may wait longer for an echo. `host`: another func host.
    """
    options = LoadOptions(connections=count)
    stack = LabStack(lab.name)
    try:
        with Load(stack, options, host) as load:
            yield
            result = load.stop()
    finally:
        stack.close()
    states = Counter(flow.state for flow in (*result.flows, *result.silent))
    assert states == {"kept": count + options.silent}
    longest = max(flow.stall_s for flow in result.flows)
    print(f"longest stall of {count} connections: {longest:.2f} s")
    assert longest_s is None or longest <= longest_s
