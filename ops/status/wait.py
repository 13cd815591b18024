"""Wait until nothing is wrong with any proxy."""

from __future__ import annotations

import time

from ops.errors import OpsError
from ops.stack import Stack
from ops.status.compare import Report, compare
from ops.status.gather import look

POLL_S = 0.5


def wait_until_well(stack: Stack, deadline_s: float) -> Report:
    """Until nothing is wrong with any proxy."""
    deadline = time.monotonic() + deadline_s
    while True:
        report = compare(stack.outputs, look(stack, stack.outputs.proxies))
        if not report.of_proxies:
            return report
        if time.monotonic() > deadline:
            said = "; ".join(map(str, report.of_proxies))
            raise OpsError(f"not well after {deadline_s:g} s: {said}", hint="`python -m ops status`")
        time.sleep(POLL_S)
