"""A lab for the tests: one that is brought up once, and hosts of it as fixtures.

CAUSEWAY_TEST_LAB=NAME uses a lab that is up already and leaves it up, CAUSEWAY_TEST_PAIR=NAME likewise one with two
proxies: the short edit-test loop. CAUSEWAY_TEST_DOCKER, …_FULL and …_TENANTS are of test_docker, test_full_proxy and
test_pair_tenants, which have labs of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import paramiko
import pytest

from lab import ssh as lab_ssh
from lab.daemon.client import Client
from lab.paths import PROJECT, LabPaths

Json = Any
WAIT_S = 60.0
SINGLE = ("--config", "redundancy=single")
PAIR = ("--config", "redundancy=pair")


class LabUnderTest:
    """Drives a lab as a person would: by its command line, and by commands on its hosts.

    With one proxy: a guest less, and nobody who takes over. Who tests the pair says so, as `up(*PAIR)` does.
    """

    def __init__(self, name: str, project: Path = PROJECT) -> None:
        self.name = name
        self.paths = LabPaths(name)
        self._project = project  # the checkout whose command line it is
        self._sessions: dict[str, paramiko.SSHClient] = {}

    def command(
        self, *words: str, check: bool = True, timeout_s: float = 600, **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        """`python -m lab WORDS --name …`; with `check`, a failure shows what it said."""
        argv = [sys.executable, "-m", "lab", words[0], "--name", self.name, *words[1:]]
        done = subprocess.run(
            argv, cwd=self._project, capture_output=True, text=True, timeout=timeout_s, **kwargs
        )
        if check:
            assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, *words: str) -> Json:
        """Bring up; returns what --json prints."""
        return json.loads(self.command("up", "--json", *SINGLE, *words).stdout)

    def preview(self, *words: str) -> Json:
        """The steps that an `up` would take; of another stack, as its file is."""
        options = () if "--stack" in words else SINGLE
        return json.loads(self.command("preview", "--json", *options, *words).stdout)

    def status(self) -> Json:
        """`status --json`."""
        return json.loads(self.command("status", "--json").stdout)

    def exec(
        self, host: str, command: Sequence[str], *, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run as root on a host over a session that is kept; a dead session is made anew once."""
        session = self._sessions.get(host)
        transport = session.get_transport() if session is not None else None
        if session is None or transport is None or not transport.is_active():
            session = self._sessions[host] = lab_ssh.log_in(Client(self.paths), host)
        return lab_ssh.run(session, command, stdin=stdin)

    def succeed(self, host: str, line: str, *, stdin: bytes = b"") -> str:
        """Run a shell line that must succeed; returns what it printed."""
        done = self.exec(host, [line], stdin=stdin)
        assert done.returncode == 0, f"{host}: {line}\n{done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode()

    def fail(self, host: str, line: str) -> str:
        """Run a shell line that must not succeed; returns what it said."""
        done = self.exec(host, [line])
        assert done.returncode != 0, f"{host}: {line} succeeded:\n{done.stdout.decode()}"
        return done.stdout.decode() + done.stderr.decode()

    def json(self, host: str, line: str) -> Json:
        """What a command that prints JSON says."""
        return json.loads(self.succeed(host, line) or "[]")

    def forget(self, host: str) -> None:
        """Drop the session with a host that was restarted or replaced."""
        session = self._sessions.pop(host, None)
        if session is not None:
            session.close()


def wait_until(what: str, predicate: Callable[[], bool], deadline_s: float = WAIT_S) -> None:
    """Poll until it holds; a failure says what was waited for."""
    deadline = time.monotonic() + deadline_s
    while not predicate():
        assert time.monotonic() < deadline, f"waited {deadline_s:g} s in vain until {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def lab() -> Iterator[LabUnderTest]:
    """The reference network, up."""
    with brought_up("test", os.environ.get("CAUSEWAY_TEST_LAB")) as under_test:
        yield under_test


@pytest.fixture(scope="session")
def pair() -> Iterator[LabUnderTest]:
    """The reference network with two proxies."""
    with brought_up("pair", os.environ.get("CAUSEWAY_TEST_PAIR"), *PAIR) as under_test:
        yield under_test


@contextmanager
def brought_up(kind: str, kept: str | None, *settings: str) -> Iterator[LabUnderTest]:
    """A lab of its own, or the one of this name, which stays."""
    under_test = LabUnderTest(kept or f"{kind}-{os.getpid()}")
    try:
        under_test.up(*settings)
        yield under_test
    finally:
        if kept is None:
            under_test.command("down")


@pytest.fixture(scope="module")
def cloud() -> Iterator[LabUnderTest]:
    """A lab without the program: an EC2 for any client."""
    lab = LabUnderTest(f"empty-{os.getpid()}")
    try:
        lab.command("up", "--empty")
        yield lab
    finally:
        lab.command("down")


def ec2_of(lab: LabUnderTest, retries: int = 4) -> Any:
    """boto3's EC2 client for a lab's API."""
    patience = botocore.config.Config(retries={"max_attempts": retries})
    return boto3.client("ec2", config=patience, **client_options(lab.status()))  # type: ignore[call-overload]


def client_options(state: dict[str, Any]) -> dict[str, str]:
    """What boto3 needs, from `status --json`."""
    return {
        "endpoint_url": state["ec2_endpoint"],
        "region_name": state["region"],
        "aws_access_key_id": state["credentials"]["access_key_id"],
        "aws_secret_access_key": state["credentials"]["secret_access_key"],
    }
