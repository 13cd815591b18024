"""`lab preview`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from lab.commands.engine import Request, run_engine
from lab.commands.keys import ensure_key_pair
from lab.daemon import launch
from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths
from lab.progress import Progress

Json = Any
SIGNS = {
    "create": "[green]+ create [/]",
    "update": "[yellow]~ update [/]",
    "delete": "[red]- delete [/]",
    "replace": "[magenta]± replace[/]",
}
LINES_OF_TEXT = 12  # of a changed text that are shown; --json has all


def show_preview(
    paths: LabPaths, stack: str, *, config: list[str], refresh: bool, replace: list[str], as_json: bool
) -> None:
    """What `up` would do to the lab that is up, or to nothing: an API alone is started for that, and ended."""
    progress = Progress()
    request = Request(action="preview", stack=stack, config=config, refresh=refresh, replace=replace)
    with cloud(paths, stack, progress) as client:
        result = run_engine(client, request, progress)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print_steps(result)


@contextmanager
def cloud(paths: LabPaths, stack: str, progress: Progress) -> Iterator[Client]:
    """The lab's own API for its own stack, else one that has only what the stack names by id."""
    if stack == "lab" and launch.find(paths) is not None:
        yield Client(paths)
        return
    existing = existing_networks(stack)
    empty = LabPaths(f"preview-{os.getpid()}")
    empty.root.mkdir(parents=True, mode=0o700)
    try:
        ensure_key_pair(empty)
        with progress.stage("an empty EC2 API (no account, no hosts)"):
            client = launch.start(empty, launch.Mode.API_ONLY)
            client.call("seed", networks=existing)
        yield client
    finally:
        launch.end(empty)
        launch.remove_directory(empty)


def existing_networks(stack: str) -> list[Json]:
    """Networks that a stack file gives by id."""
    file = PROJECT / "stacks" / f"Pulumi.{stack}.yaml"
    if not file.exists():
        stacks = sorted(path.stem.removeprefix("Pulumi.") for path in file.parent.glob("Pulumi.*.yaml"))
        raise LabError(f"there is no stack {stack!r}", hint=f"stacks/ has {', '.join(stacks)}")
    config = yaml.safe_load(file.read_text())["config"]
    return [
        {
            "vpc_id": tenant["vpc_id"],
            "subnet_id": tenant["subnet_id"],
            "cidr": tenant["cidrs"][0],
            "az": config["causeway:availability_zone"],
        }
        for tenant in config.get("causeway:tenants", [])
        if isinstance(tenant, dict) and {"vpc_id", "subnet_id", "cidrs"} <= tenant.keys()
    ]


def print_steps(result: Json) -> None:
    """A line per resource, and what changes in it."""
    console = Console(highlight=False, soft_wrap=True)
    for step in sorted(result["steps"], key=lambda s: (s["op"], s["name"])):
        kind = step["type"].rpartition(":")[2]
        console.print(f"{SIGNS.get(step['op'], step['op'])} {step['name']} [dim]{kind}[/]")
        for change in step["changes"]:
            print_change(console, change)
    counts = ", ".join(f"{len(names)} to {op}" for op, names in result["summary"].items())
    console.print(f"{counts or 'nothing to do'}, {result['unchanged']} unchanged")


def print_change(console: Console, change: Json) -> None:
    """Before and after; of longer texts the lines that differ."""
    before, after = change["before"], change["after"]
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        console.print(f"    {change['path']}:")
        for line in changed_lines(before, after):
            console.print(f"      {escape(line)}")
    else:
        console.print(f"    {change['path']}: {escape(json.dumps(before))} → {escape(json.dumps(after))}")


def changed_lines(before: str, after: str) -> list[str]:
    """Lines of a unified diff, without its headers."""
    import difflib

    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    lines = [line for line in lines if not line.startswith("@@")]
    return lines[:LINES_OF_TEXT] + (
        [f"… {len(lines) - LINES_OF_TEXT} more"] if len(lines) > LINES_OF_TEXT else []
    )
