"""The Automation API with a child that can be interrupted, and without calls to the CLI that nobody needs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from lab.engine.context import EngineContext
from lab.engine.state import read_state
from lab.engine.work_dir import environment

OnOutput = Callable[[str], Any]
POLL_S = 0.1


class Interruptible(automation.PulumiCommand):
    """The CLI as a child in a session of its own: a terminal's Ctrl-C reaches it through us only, once.

    SIGINT lets the engine end what it has begun, save its state and release its lock.
    """

    def __init__(self, context: EngineContext, version: str, lock: int, cancelled: threading.Event) -> None:
        self.command = str(context.pulumi)
        self.version = VersionInfo.parse(version)
        self._directory = context.directory
        self._lock = lock
        self._cancelled = cancelled

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> automation.CommandResult:
        """Run a command of the CLI; raises the Automation API's CommandError if it fails.

        Its output goes to files: a pipe whose reader was killed would kill the engine with SIGPIPE at its next
        word, before it has saved its state.
        """
        # The caller's own passphrase, even an empty one, would be preferred to the file of the lab's.
        inherited = {key: value for key, value in os.environ.items() if key != "PULUMI_CONFIG_PASSPHRASE"}
        files = {name: self._directory / f"engine.{name}" for name in ("stdout", "stderr")}
        with (
            files["stdout"].open("w") as stdout,
            files["stderr"].open("w") as stderr,
            subprocess.Popen(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**inherited, **additional_env, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                pass_fds=(self._lock,),
            ) as process,
        ):
            if self._wait(process):
                raise KeyboardInterrupt
        said = {name: file.read_text(errors="replace").rstrip("\n") for name, file in files.items()}
        for name, tell in (("stdout", on_output), ("stderr", on_error)):
            if tell is not None:
                for line in said[name].splitlines():
                    tell(line)
        result = automation.CommandResult(**said, code=process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result

    def _wait(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the end; whether Ctrl-C came meanwhile. The engine takes a second SIGINT as: at once."""
        interrupted = told = False
        while True:
            try:
                if self._cancelled.is_set() and not told:
                    process.send_signal(signal.SIGINT)
                    told = True
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            except KeyboardInterrupt:
                interrupted = True
                process.send_signal(signal.SIGINT)
            else:
                return interrupted


class Workspace(automation.LocalWorkspace):
    """Every command names its stack, so selecting one is not needed."""

    def select_stack(self, stack_name: str) -> None:
        """Nothing to do."""


class Stack(automation.Stack):
    """Outputs are read by us from the state, and nobody looks at the history of a lab."""

    def outputs(self) -> automation.OutputMap:
        """None: see `lab.engine.state.stack_outputs`."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002
        """None: what happened is known from the events."""
        return NO_SUMMARY


NO_SUMMARY = automation.UpdateSummary(
    kind="update",
    start_time=datetime.fromtimestamp(0, UTC),
    message="",
    environment={},
    config={},
    result="succeeded",
)


def open_stack(
    context: EngineContext,
    version: str,
    program: Callable[[], None] | None,
    lock: int,
    cancelled: threading.Event,
    extra_environment: Mapping[str, str],
) -> Stack:
    """The stack, made if it is new."""
    # A cancelled engine hangs up on the program, which says so at length; the engine's own words tell enough.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    workspace = Workspace(
        work_dir=str(context.work_dir),
        program=program,
        env_vars={**environment(context), **extra_environment},
        pulumi_command=Interruptible(context, version, lock, cancelled),
    )
    if not read_state(context) and not context.state_file.exists():
        workspace.create_stack(context.stack)
    return Stack(context.stack, workspace, StackInitMode.SELECT)
