"""The child in which the engine runs: a request on standard input, events and one answer on standard output.

    ← {"name": "default", "action": "up", "stack": "lab", "endpoint": …, "config": ["func_hosts.count=3"], …}
    → {"event": {…}}   any number of lab.engine.ProgressEvent
    → {"ok": {…}}  or  {"error": "…", "hint": "…"}

The end of standard input asks it to stop in order: the engine ends what it has begun and saves its state.
"""

from __future__ import annotations

import difflib
import gc
import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.engine.context import EngineContext
from lab.engine.events import ProgressEvent
from lab.engine.operations import Result, Scope, preview, up
from lab.engine.stack_config import setting
from lab.engine.state import read_state
from lab.errors import LabError, is_full_disk
from lab.keys import operator_keys
from lab.paths import LabPaths

Json = Any
# Most of what this process makes stays until it ends: looking for garbage is in vain.
SELDOM = (50_000, 20, 100)
INSTANCE = "aws:ec2/instance:Instance::"


class Answers:
    """Lines for the daemon. Whatever else wants to print goes to standard error: the lines are a protocol."""

    def __init__(self) -> None:
        self._lines = os.fdopen(os.dup(1), "w")
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def send(self, message: Mapping[str, Json]) -> None:
        """One line."""
        with self._lock:
            self._lines.write(json.dumps(message) + "\n")
            self._lines.flush()

    def event(self, event: ProgressEvent) -> None:
        """Progress."""
        self.send({"event": event.as_json()})


def main() -> int:
    """Answer one request."""
    gc.set_threshold(*SELDOM)
    answers = Answers()
    request = json.loads(sys.stdin.readline())
    cancelled = threading.Event()
    threading.Thread(target=wait_for_end, args=(cancelled,), daemon=True).start()
    try:
        result = run(request, answers, cancelled)
    except LabError as error:
        answers.send({"error": error.message, "hint": error.hint})
        return 1
    except OSError as error:
        if not is_full_disk(error):
            raise
        answers.send(
            {"error": f"no space left for the engine: {error}", "hint": "make room, then run it again"}
        )
        return 1
    answers.send({"ok": result.as_json()})
    return 0


def wait_for_end(cancelled: threading.Event) -> None:
    """Set `cancelled` when nobody holds the other end of standard input any more."""
    sys.stdin.read()
    cancelled.set()


def run(request: Mapping[str, Json], answers: Answers, cancelled: threading.Event) -> Result:
    """The operation that was asked for."""
    paths = LabPaths(request["name"])
    context = EngineContext(
        directory=paths.pulumi if request["stack"] == "lab" else paths.root / f"pulumi-{request['stack']}",
        pulumi=Path(request["pulumi"]),
        ec2_endpoint=request["endpoint"],
        stack=request["stack"],
        region=request["region"],
        access_key=request["credentials"]["access_key_id"],
        secret_key=request["credentials"]["secret_access_key"],
        config={**operator_keys(paths), **dict(setting(s) for s in request["config"])},
    )
    operation = {"up": up, "preview": preview}[request["action"]]
    replace = [urn for wanted in request["replace"] for urn in urns_of(wanted, context)]
    scope = Scope(refresh=request["refresh"], replace=replace)
    return operation(context, scope, on_event=answers.event, cancelled=cancelled)


def urns_of(wanted: str, context: EngineContext) -> list[str]:
    """A host's instance, by the host's name, and of a pair's proxy its role too: that has it step aside first.

    URNs stay as they are, with `**` for any characters.
    """
    if wanted.startswith("urn:"):
        return [wanted]
    resources = read_state(context).get("resources") or []
    named = {str(resource["urn"]).rpartition("::")[2]: resource for resource in resources}
    hosts = {
        name.removesuffix("-instance"): str(resource["urn"])
        for name, resource in named.items()
        if INSTANCE in str(resource["urn"])
    }
    if wanted in hosts:
        role = named.get(f"{wanted}-role", {})
        return [hosts[wanted], *([str(role["urn"])] if role.get("resourceHooks") else [])]
    close = difflib.get_close_matches(wanted, hosts, 1)
    raise LabError(
        f"there is no host {wanted!r} to be replaced",
        hint=f"did you mean {close[0]}?" if close else f"hosts are: {', '.join(sorted(hosts)) or 'none yet'}",
    )


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # everything is said and saved; taking gRPC and the SDK apart would be waited for
