"""`lab up`."""

from __future__ import annotations

import json
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

from rich.console import Console

from lab.commands.engine import Request, run_engine
from lab.commands.status import host_table, wide_console
from lab.commands.tools import FOR_A_LAB, require_own_home, require_room, require_tools
from lab.daemon import launch
from lab.daemon.client import Client
from lab.engine.stack_config import setting
from lab.errors import LabError
from lab.image import ensure_image
from lab.keys import ensure_key_pair
from lab.path_check import Path, check_paths, picture
from lab.paths import PROJECT, LabPaths, home
from lab.progress import Progress
from lab.whole_file import write_whole

Json = Any


def bring_up(
    paths: LabPaths, *, empty: bool, config: list[str], refresh: bool, replace: list[str], as_json: bool
) -> None:
    """Daemon, then the program's stack `lab`, then a look at the path; each is skipped where it is done already."""
    for text in config:
        setting(text)  # what is wrong with it is said before anything starts
    require_tools(*FOR_A_LAB)
    require_own_home()
    launch.require_namespaces()
    launch.require_visible(PROJECT, FilePath(sys.executable), home())
    progress = Progress()
    with launch.exclusive(paths):
        client = ensure_daemon(paths, progress)
        if empty:
            if as_json:
                print(json.dumps({"name": paths.name, **client.call("status")}, indent=2))
            else:
                show_cloud(client.call("status"))
            return
        early = EarlyCheck(client, paths.outputs)
        request = Request(action="up", stack="lab", config=config, refresh=refresh, replace=replace)
        result = run_engine(client, request, progress)
        write_whole(paths.outputs, json.dumps(result["outputs"]))
    with progress.stage("a connection from a function to its tenant"):
        walked = early.walked(result)
    if as_json:
        print(
            json.dumps({"name": paths.name, **result, "paths": [asdict(path) for path in walked]}, indent=2)
        )
        return
    console = wide_console()
    console.print(host_table(client.call("status")["hosts"], console.width))
    for path in walked:
        print(f"\n{picture(path, result['outputs'])}")


def ensure_daemon(paths: LabPaths, progress: Progress) -> Client:
    """The lab's daemon, started if it does not run. What a dead one left is of no use: its cloud is gone."""
    if launch.find(paths) is not None:
        client = Client(paths)
        if client.answers():
            return client
        raise LabError(
            f"the daemon of the lab {paths.name!r} runs but does not answer",
            hint=f"see {paths.daemon_log}; `lab down` ends it",
        )
    if paths.root.exists():
        progress.line(f"the lab {paths.name!r} had stopped; it starts anew")
        launch.remove_directory(paths)
    with progress.stage("image of the guests"):
        ensure_image(progress.doing)
    require_room()
    launch.require_socket_path(paths)
    paths.root.mkdir(parents=True, mode=0o700)
    ensure_key_pair(paths)
    with progress.stage("EC2 API, network fabric, metadata service"):
        return launch.start(paths)


class EarlyCheck:
    """Walks the tenants' paths of the last `up` while the engine looks whether there is anything to do.

    If there was, they are walked again.
    """

    def __init__(self, client: Client, outputs: FilePath) -> None:
        self._client = client
        self._early: Future[list[Path]] | None = None
        exported = last_exports(outputs)
        if exported is not None:
            pool = ThreadPoolExecutor(1)
            self._early = pool.submit(check_paths, client, exported)
            pool.shutdown(wait=False)

    def walked(self, result: Json) -> list[Path]:
        """The paths as they are now."""
        if self._early is not None and not result["steps"] and not result["recovered"]:
            return self._early.result()
        return check_paths(self._client, result["outputs"])


def last_exports(outputs: FilePath) -> Json | None:
    """What the last `up` left; None where there was none, or its file is damaged: this `up` writes it anew."""
    try:
        return json.loads(outputs.read_text())
    except (FileNotFoundError, ValueError):
        return None


def show_cloud(state: Json) -> None:
    """What a client of the empty cloud needs."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"EC2 is at {state['ec2_endpoint']}. For any client:")
    credentials = state["credentials"]
    print(
        f"  export AWS_ENDPOINT_URL={state['ec2_endpoint']} AWS_DEFAULT_REGION={state['region']} \\\n"
        f"    AWS_ACCESS_KEY_ID={credentials['access_key_id']} "
        f"AWS_SECRET_ACCESS_KEY={credentials['secret_access_key']}"
    )
