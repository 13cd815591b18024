"""A stack of its own for each test of the engine: real CLI, real stand-in plugins, the lab's API without guests.

python -m tests.lab.engine_testing DIRECTORY SETTINGS     an `up` in a process that can be killed

The cloud's endpoint and keys come in the variables of every AWS SDK.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.engine.context import EngineContext
from lab.engine.events import ProgressEvent
from lab.engine.operations import Result, Scope, destroy, preview, refresh, up
from lab.engine.pulumi_cli import ensure_pulumi
from lab.errors import LabError
from lab.paths import PROJECT
from lab.providers.aws.client import Aws
from lab.providers.aws.config import Config, read_config
from tests.unit.provider_cloud import Resources

Json = Any
KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBvYFmfbV9iUoVq7g2RmCz3wyLhzdpQFqLfXdHPVxhYB one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKKIHTFr5SGU0wIwYz1o7iPjMRyqVJFcZ1sx8wZ4cGTm two",
]
TOKEN = "s3cr3t-t0k3n"
PROGRAM = Path(__file__).with_name("engine_program.py")
SETTINGS: Mapping[str, Json] = {"name": "first", "hosts": 1, "public_key": KEYS[0]}


@dataclass
class StackUnderTest:
    """Runs the engine on the test program with changed settings."""

    directory: Path
    cloud: Resources
    settings: dict[str, Json] = field(default_factory=lambda: dict(SETTINGS))
    events: list[ProgressEvent] = field(default_factory=list)

    @property
    def aws(self) -> Aws:
        """The cloud as somebody else sees it."""
        return self.cloud.aws

    def __post_init__(self) -> None:
        self.use_token(TOKEN)

    def use_token(self, token: str) -> None:
        """The program's secret from now on; by a file, because configuration is in clear."""
        file = self.directory.parent / "token"
        file.write_text(token)
        self.settings["token_file"] = str(file)

    def context(self, **settings: Json) -> EngineContext:
        """With these settings from now on."""
        self.settings |= settings
        return context(self.directory, self.aws.config, self.settings)

    def up(self, *, refresh: bool = False, replace: tuple[str, ...] = (), **settings: Json) -> Result:
        """`up` with these settings from now on."""
        scope = Scope(refresh=refresh, replace=replace)
        return up(self.context(**settings), scope, on_event=self.events.append)

    def preview(self, **settings: Json) -> Result:
        """`preview` with these settings, once."""
        return preview(context(self.directory, self.aws.config, {**self.settings, **settings}))

    def refresh(self) -> Result:
        """Read what really is."""
        return refresh(self.context())

    def destroy(self) -> Result:
        """Remove everything."""
        return destroy(self.context())

    def start(self) -> subprocess.Popen[bytes]:
        """`up` in a process of its own."""
        module, settings = "tests.lab.engine_testing", json.dumps(self.settings)
        return subprocess.Popen(
            [sys.executable, "-m", module, str(self.directory), settings],
            cwd=PROJECT,
            env={
                **os.environ,
                "AWS_ENDPOINT_URL": self.aws.config.endpoint,
                "AWS_ACCESS_KEY_ID": self.aws.config.access_key,
                "AWS_SECRET_ACCESS_KEY": self.aws.config.secret_key,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def instances(self) -> list[str]:
        """Ids of the instances that are not terminated."""
        wanted = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        reservations = self.aws.ec2("describe_instances", Filters=wanted)["Reservations"]
        return [instance["InstanceId"] for r in reservations for instance in r["Instances"]]

    def count(self, operation: str, key: str) -> int:
        """How many there are, of a describe call that takes no arguments."""
        return len(self.aws.ec2(operation)[key])


def context(directory: Path, cloud: Config, settings: Mapping[str, Json]) -> EngineContext:
    """An engine whose configuration is all overrides."""
    stack_file = directory.parent / "Pulumi.test.yaml"
    if not stack_file.exists():
        stack_file.write_text("config:\n  aws:region: us-east-1\n")
    return EngineContext(
        directory=directory,
        pulumi=ensure_pulumi(print),
        ec2_endpoint=cloud.endpoint,
        access_key=cloud.access_key,
        secret_key=cloud.secret_key,
        stack="test",
        project="engine",
        stack_file=stack_file,
        program=PROGRAM,
        config=settings,
    )


def exported_host(role: str, ssh: str) -> dict[str, Json]:
    """A host in the outputs of a program that has hooks but no plan, as components.previous reads it."""
    return {
        "role": role,
        "instance_type": "t3.small",
        "image": "ami-1",
        "private_address": "10.1.1.10",
        "ssh": {"host": ssh, "user": "admin", "via": None},
    }


def main() -> int:
    """`up`, as a process."""
    directory, settings = sys.argv[1:3]
    try:
        print(json.dumps(up(context(Path(directory), read_config({}), json.loads(settings))).as_json()))
    except LabError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
