"""command:remote:Command"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab.providers.command.endpoint import CONNECTION
from lab.providers.plugin.errors import CheckFailure
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop, Schema

if TYPE_CHECKING:
    import paramiko  # slow to import, and a run that changes nothing needs none of it

Values = Mapping[str, Any]
OpenChannel = Callable[[Values], "paramiko.Channel"]
PREVIOUS = {"PULUMI_COMMAND_STDOUT": "stdout", "PULUMI_COMMAND_STDERR": "stderr"}


class RemoteCommand:
    """A command for the beginning, one for changes, and one for the end."""

    type_name = "command:remote:Command"
    schema = Schema(
        "command",
        type_name,
        {
            **CONNECTION,
            "create": Prop(),
            "update": Prop(),
            "delete": Prop(),
            "stdin": Prop(),
            "environment": Prop(kind=Kind.STRING_MAP),
            "logging": Prop(one_of=("stdout", "stderr", "stdoutAndStderr", "none")),
            "addPreviousOutputInEnv": Prop(kind=Kind.BOOL, default=True),
            "triggers": Prop(kind=Kind.VALUES, replaces=True),
        },
        frozenset({"stdout", "stderr"}),
    )

    def __init__(self, open_channel: OpenChannel, log: Callable[[str, str], None]) -> None:
        self._open_channel = open_channel
        self._log = log

    def check(self, new: Values) -> list[CheckFailure]:
        """Everything is said by the schema."""
        return []

    def create(self, urn: Urn, new: Values) -> Values:
        """Run `create`, if there is one."""
        return {**new, **self._run(urn, new, new.get("create"), {})}

    def update(self, urn: Urn, state: Values, new: Values) -> Values:
        """Run `update`, else `create`, else keep what was printed before."""
        before = {key: state[key] for key in self.schema.outputs if key in state}
        command = new.get("update", new.get("create"))
        return {**new, **before, **self._run(urn, new, command, before)}

    def delete(self, urn: Urn, state: Values) -> None:
        """Run `delete`, if there is one."""
        self._run(urn, state, state.get("delete"), state)

    def _run(self, urn: Urn, inputs: Values, command: str | None, before: Values) -> dict[str, str]:
        if command is None:
            return {"stdout": "", "stderr": ""} if not before else {}
        from lab.providers.command.session import run

        done = run(
            self._open_channel(inputs["connection"]),
            command,
            stdin=inputs.get("stdin", ""),
            environment={**inputs.get("environment", {}), **self._previous(inputs, before)},
            on_line=lambda stream, line: self._tell(urn, inputs, stream, line),
        )
        return {"stdout": done.stdout.removesuffix("\n"), "stderr": done.stderr.removesuffix("\n")}

    def _previous(self, inputs: Values, before: Values) -> dict[str, str]:
        if not inputs.get("addPreviousOutputInEnv", True):
            return {}
        return {name: before[key] for name, key in PREVIOUS.items() if before.get(key)}

    def _tell(self, urn: Urn, inputs: Values, stream: str, line: str) -> None:
        wanted = inputs.get("logging", "stdoutAndStderr")
        if wanted in (stream, "stdoutAndStderr"):
            self._log(urn.text, line)
