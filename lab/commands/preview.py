"""`lab preview`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from components.settings import ConfigurationError, Settings, load_settings
from lab.commands.engine import Request, run_engine
from lab.commands.tools import require_own_home
from lab.daemon import launch
from lab.daemon.client import Client
from lab.engine.stack_config import setting, stack_config
from lab.errors import LabError
from lab.keys import ensure_key_pair, operator_keys
from lab.paths import PROJECT, LabPaths, home
from lab.progress import Progress

Json = Any
STACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DEFAULT_REGION = "us-east-1"
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
    for text in config:
        setting(text)  # what is wrong with it is said before anything starts
    require_own_home()
    progress = Progress()
    request = Request(action="preview", stack=stack, config=config, refresh=refresh, replace=replace)
    with cloud(paths, stack, config, progress) as client:
        result = run_engine(client, request, progress)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print_steps(result)


@contextmanager
def cloud(paths: LabPaths, stack: str, config: list[str], progress: Progress) -> Iterator[Client]:
    """The lab's own API for its own stack, else one that has only what the stack names by id."""
    if stack == "lab" and launch.find(paths) is not None:
        yield Client(paths)
        return
    remove_leftovers()
    empty = LabPaths(f"preview-{os.getpid()}")
    empty.root.mkdir(parents=True, mode=0o700)
    try:
        ensure_key_pair(empty)
        settings = settings_of(stack, {**operator_keys(empty), **dict(setting(text) for text in config)})
        with progress.stage("an empty EC2 API (no account, no hosts)"):
            client = launch.start(
                empty, launch.Mode.API_ONLY, settings.region if settings else DEFAULT_REGION
            )
            client.call("seed", networks=existing_networks(settings) if settings else [])
        yield client
    finally:
        launch.end(empty)
        launch.remove_directory(empty)


def remove_leftovers() -> None:
    """Directories of previews that were killed; their API ended with them. A lab that lives only has such a name."""
    for directory in (home() / "labs").glob("preview-*"):
        pid = directory.name.removeprefix("preview-")
        if pid.isdecimal() and not is_preview(pid) and launch.find(paths := LabPaths(directory.name)) is None:
            launch.remove_directory(paths)


def is_preview(pid: str) -> bool:
    """Whether a process of that number is one of ours: after some minutes it may be anybody's, or a thread of his."""
    try:
        return b"preview" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


def settings_of(stack: str, overrides: Mapping[str, Json]) -> Settings | None:
    """What the program will see; None where it will refuse it, which it does better than anyone else."""
    if not STACK.fullmatch(stack):
        raise LabError(
            f"{stack!r} is no name of a stack", hint="stacks are named by files: stacks/Pulumi.STACK.yaml"
        )
    file = PROJECT / "stacks" / f"Pulumi.{stack}.yaml"
    config = stack_config(file, "causeway", overrides)
    try:
        return load_settings(config)
    except ConfigurationError:
        return None


def existing_networks(settings: Settings) -> list[Json]:
    """Networks that a stack gives by id, for the empty API to have them."""
    return [
        {
            "vpc_id": tenant.vpc_id,
            "subnet_id": tenant.subnet_id,
            "cidr": str(tenant.cidrs[0]),
            "az": settings.availability_zone,
        }
        for tenant in settings.tenants
        if tenant.vpc_id
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
