"""One operation of the Pulumi engine, with its progress shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.markup import escape

from lab.daemon.client import Client
from lab.engine.pulumi_cli import ensure_pulumi
from lab.paths import PROJECT
from lab.progress import Progress

Json = Any
SIGNS = {"create": "+", "delete": "-", "update": "~", "create-replacement": "+", "delete-replaced": "-"}
NOT_REAL = ("causeway:", "pulumi:")  # components, stack and providers
QUIET = ("same", "read", "refresh", "discard", "replace", "read-discard")
# What of the caller's environment is the engine's business: the daemon has its own from when it was started.
PASSED_ON = ("PATH", "HOME", "LAB_PLUGINS", "PULUMI_HOME", "GOFLAGS", "GOPROXY")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the engine's child in the daemon is asked for; see lab.daemon.engine_child."""

    action: str
    stack: str
    config: list[str] = field(default_factory=list)
    refresh: bool = False
    replace: list[str] = field(default_factory=list)
    settings: Mapping[str, Json] = field(default_factory=dict)


def run_engine(client: Client, request: Request, progress: Progress) -> Json:
    """Run it; returns the engine's result as JSON. Ctrl-C ends it cleanly: what was done is remembered."""
    client.require_same_protocol()
    with progress.stage("Pulumi CLI"):
        pulumi = ensure_pulumi(progress.doing)
    title = {"up": f"stack {request.stack}", "preview": f"preview of stack {request.stack}"}
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        with progress.stage(title.get(request.action, request.action)):
            return client.call(
                "engine",
                on_event=lambda event: show(progress, event),
                request={**asdict(request), "pulumi": str(pulumi)},
                environment=environment,
                project=str(PROJECT),
                python=sys.executable,
            )
    except KeyboardInterrupt:
        progress.line(
            "the engine ends what it has begun; the same command waits for that, and goes on from there"
        )
        raise


def show(progress: Progress, event: Json) -> None:
    """A line per resource that is done, and what is under way."""
    if event["phase"] == "message":
        show_message(progress, event)
        return
    what = f"{event['op']} {event['name']}"
    if event["op"] in QUIET or event["type"].startswith(NOT_REAL):
        return
    if event["phase"] == "started":
        progress.under_way(what)
    elif event["phase"] == "done":
        progress.over(what)
        progress.line(f"  [green]{SIGNS.get(event['op'], '·')}[/] {event['name']} {took(event)}")
    elif event["phase"] == "failed":
        progress.over(what)
        progress.line(f"  [red]✗ {event['op']} {event['name']}[/] {took(event)}")


def show_message(progress: Progress, event: Json) -> None:
    """Warnings stay; what a host says about its configuration only passes by. Errors are said in the end."""
    text = f"{event['name']}: {event['message']}" if event["name"] else event["message"]
    if event["severity"] == "error":
        return
    if event["severity"] == "warning":
        progress.line(f"  [yellow]{escape(text)}[/]")
    elif event["name"]:
        progress.glimpse(escape(text.splitlines()[-1]))
    else:
        progress.line(f"  {escape(text)}")


def took(event: Json) -> str:
    """How long it took, if it is known."""
    return "" if event["seconds"] is None else f"[dim]{event['seconds']:.1f} s[/]"
