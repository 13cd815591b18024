"""What an engine run needs to know."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.paths import PROJECT

Json = Any


class Plugins(StrEnum):
    """Which provider plugins the engine starts."""

    STAND_IN = "stand-in"
    REAL = "real"

    @classmethod
    def from_environment(cls) -> Plugins:
        """LAB_PLUGINS, else the stand-ins."""
        wanted = os.environ.get("LAB_PLUGINS", cls.STAND_IN)
        try:
            return cls(wanted)
        except ValueError as error:
            raise LabError(
                f"LAB_PLUGINS={wanted} is neither of {', '.join(cls)}",
                hint="leave it unset for the lab's own stand-ins",
            ) from error


def project_name() -> str:
    """The name in the project's Pulumi.yaml."""
    return str(yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["name"])


@dataclass(frozen=True, kw_only=True)
class EngineContext:
    """One stack, one cloud, one place to keep state.

    - directory: everything the engine writes; a fresh one is a fresh stack (LabPaths.pulumi for a lab's own)
    - pulumi: the CLI, from `ensure_pulumi`
    - config: overrides of the stack file; keys like `aws:region`, `func_hosts.count`, `tenants[0].name`
      (without a namespace: the project's), values as JSON. No secrets: give `private_key_file`.
    - stack_file: None is stacks/Pulumi.STACK.yaml of the project
    - program: a file to run, or a function
    """

    directory: Path
    pulumi: Path
    ec2_endpoint: str
    access_key: str
    secret_key: str
    stack: str = "lab"
    region: str = "us-east-1"
    config: Mapping[str, Json] = field(default_factory=dict)
    plugins: Plugins = field(default_factory=Plugins.from_environment)
    project: str = field(default_factory=project_name)
    stack_file: Path | None = None
    program: Path | Callable[[], None] = PROJECT / "__main__.py"

    @property
    def work_dir(self) -> Path:
        """Where the engine believes the project is."""
        return self.directory / "work"

    @property
    def state_file(self) -> Path:
        """The stack's state, as the engine's file backend keeps it."""
        return self.directory / "state" / ".pulumi" / "stacks" / self.project / f"{self.stack}.json"

    @property
    def full_stack_name(self) -> str:
        """`project/stack`, as the aws stand-in marks objects."""
        return f"{self.project}/{self.stack}"
