"""A cloud for tests of the provider stand-ins: the lab's API on a loopback port, without fabric and machines."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lab.cloud import Cloud
from lab.providers.aws.client import Aws
from lab.providers.aws.config import Config
from lab.providers.aws.provider import AwsProvider
from lab.providers.plugin.provider import Urn
from lab.world import World

Values = Mapping[str, Any]
REGION = "us-east-1"
START_DEADLINE_S = 60.0
DEBIAN_13 = "/aws/service/debian/release/13/latest/amd64"


def urn(type_name: str, name: str, *, stack: str = "test", project: str = "unit") -> Urn:
    """The URN of a resource without a parent."""
    return Urn(f"urn:pulumi:{stack}::{project}::{type_name}::{name}")


@dataclass
class Resources:
    """Drives the aws stand-in as the engine does: check, create, read, diff, update, delete."""

    provider: AwsProvider
    stack: str = "test"

    @property
    def aws(self) -> Aws:
        """The stand-in's own way to the cloud."""
        return self.provider.aws

    def checked(self, type_name: str, name: str, inputs: Values, old: Values | None = None) -> Values:
        """Inputs as the engine goes on with them; there must be no failure."""
        result = self.provider.check(urn(type_name, name, stack=self.stack), old or {}, inputs, b"seed")
        assert not result.failures, result.failures
        return result.inputs

    def create(self, type_name: str, name: str, inputs: Values) -> tuple[str, Values, Values]:
        """Make one; returns id, checked inputs and state."""
        checked = self.checked(type_name, name, inputs)
        made = self.provider.create(urn(type_name, name, stack=self.stack), checked, preview=False)
        return made.id, checked, made.state

    def recovering(self) -> Resources:
        """The same, in a run after one that died."""
        return Resources(AwsProvider(Aws(replace(self.aws.config, recovering=True))))


@contextmanager
def running_cloud(on_change: Callable[[World], None] | None = None) -> Iterator[Resources]:
    """A cloud that is empty at first, and the provider configured for it."""
    listener = socket.create_server(("127.0.0.1", 0))
    cloud = Cloud([listener], REGION, on_change or _no_fabric)
    cloud.start()
    config = Config(
        region=REGION,
        endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}",
        access_key=cloud.access_key_id,
        secret_key=cloud.secret_access_key,
    )
    try:
        yield Resources(AwsProvider(Aws(config)))
    finally:
        cloud.stop()


@contextmanager
def running_moto() -> Iterator[Resources]:
    """Plain moto, in a process of its own: the lab's cloud changes moto for the whole process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            config = Config(
                region=REGION, endpoint=f"http://127.0.0.1:{port}", access_key="test", secret_key="test"
            )
            yield Resources(AwsProvider(Aws(config)))
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "moto does not start"
            time.sleep(0.05)
        else:
            return


def _no_fabric(_world: World) -> None:
    return


@pytest.fixture(name="cloud")
def cloud_fixture() -> Iterator[Resources]:
    """An empty cloud for one test."""
    with running_cloud() as resources:
        yield resources
