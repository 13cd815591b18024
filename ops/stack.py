"""A running stack, wherever it runs: what it exports, a way to each host's sshd, and the EC2 API.

Stack ── of a lab ──▶ its daemon: the engine's state, streams to guests, the lab's EC2
      └─ on AWS ────▶ `pulumi stack output`, TCP (through the bastion), AWS with the operator's credentials
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import paramiko

from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths, home
from ops.answer import one_line
from ops.errors import OpsError
from ops.outputs import Host, Outputs, parse_outputs
from ops.ssh import CONNECT_DEADLINE_S, Login, Sessions, Stream, connect

LAB_STACK = "lab"
PULUMI_DEADLINE_S = 120.0


class Stack(ABC):
    """What ops needs of a stack. Works with what was exported, and asks everything else of the stack itself."""

    label: str  # as it is named to a person
    outputs: Outputs
    at_once = 32  # hosts that are asked something at the same time

    def __init__(self) -> None:
        self.hosts = Sessions(self.log_in)

    def look_at_pair(self, number: int | None) -> None:
        """From now on this stack is one pair, its tenants, and the hosts that are no proxies.

        OpsError: there is no such pair, or nobody has said which of several.
        """
        pairs = self.outputs.pairs
        if number is None and len(pairs) > 1:
            numbers = ", ".join(str(pair.number) for pair in pairs)
            raise OpsError(f"there are several pairs: {numbers}", hint="say which: --pair N")
        self.outputs = self.outputs.of_pair(pairs[0].number if number is None else number)

    def log_in(self, name: str) -> paramiko.SSHClient:
        """A session on a host, as the login that may use sudo."""
        host = self.outputs.hosts[name]
        if host.ssh is None:
            raise OpsError("there is no way in", hint="a tenant's own instance behind a bastion has none")
        return connect(self.stream(host), host.instance_id, self.login(host.ssh.user))

    @abstractmethod
    def stream(self, host: Host) -> Stream:
        """To the sshd of a host."""

    @abstractmethod
    def login(self, user: str) -> Login:
        """Who logs in."""

    @cached_property
    def ec2(self) -> Any:
        """boto3's client for EC2, which gives up soon: who asks, asks again. For any number of threads."""
        return self._make_ec2()

    @abstractmethod
    def _make_ec2(self) -> Any:
        """With the credentials of whoever owns the stack."""

    def close(self) -> None:
        """End all sessions."""
        self.hosts.close()


class LabStack(Stack):
    """The stack of a lab on this machine."""

    at_once = 2 * (os.cpu_count() or 1)  # they share this machine's cores

    def __init__(self, name: str) -> None:
        super().__init__()
        self.label = f"the lab {name!r}"
        self.client = Client(LabPaths(name))
        self._status = self.client.call("status")
        self.outputs = parse_outputs(_exported_by(self.client.paths), self.label)

    def stream(self, host: Host) -> Stream:
        """Through the daemon, from beside the host's primary ENI."""
        try:
            return self.client.connect(host.instance_id, 22)
        except LabError as error:
            raise OpsError(error.message, hint=error.hint) from error

    def login(self, user: str) -> Login:
        return Login(user=user, key_file=self.client.paths.ssh_key)

    def _make_ec2(self) -> Any:
        credentials = self._status["credentials"]
        return boto3.client(
            "ec2",
            region_name=self._status["region"],
            endpoint_url=self._status["ec2_endpoint"],
            aws_access_key_id=credentials["access_key_id"],
            aws_secret_access_key=credentials["secret_access_key"],
            config=_impatient(),
        )


class AwsStack(Stack):
    """A stack on AWS, as the Pulumi CLI knows it."""

    def __init__(self, stack: str, key_file: Path | None) -> None:
        super().__init__()
        self.label = f"the stack {stack!r}"
        self.outputs = parse_outputs(_pulumi("stack", "output", stack=stack), self.label)
        self._key_file = key_file or _configured_key_file(_pulumi("config", stack=stack))
        self._known_hosts = home() / "known-hosts" / stack.replace("/", ".")

    def stream(self, host: Host) -> Stream:
        """TCP, from the bastion if there is one."""
        if host.ssh is None:
            raise OpsError("there is no way in", hint="give it an address, or a bastion")
        address = (host.ssh.host, host.ssh.port)
        try:
            if host.ssh.via is None:
                return socket.create_connection(address, timeout=CONNECT_DEADLINE_S)
            transport = self._bastion().get_transport()
            if transport is None:
                raise paramiko.SSHException("the bastion hung up")
            return transport.open_channel(
                "direct-tcpip", address, ("127.0.0.1", 0), timeout=CONNECT_DEADLINE_S
            )
        except OpsError:
            raise
        except Exception as error:  # paramiko passes on whatever its reader met in what the bastion sent
            raise OpsError(
                f"does not answer at {address[0]}: {one_line(str(error))}",
                hint="does it run, and is your address in access.operator_cidrs?",
            ) from error

    def _bastion(self) -> paramiko.SSHClient:
        (bastion,) = self.outputs.named("bastion")
        return self.hosts.session(bastion)

    def login(self, user: str) -> Login:
        return Login(user=user, key_file=self._key_file, known_hosts=self._known_hosts)

    def _make_ec2(self) -> Any:
        return boto3.client("ec2", region_name=self.outputs.plan.region, config=_impatient())


def open_stack(stack: str, lab: str, key_file: Path | None = None) -> Stack:
    """The stack named `lab` is that of the lab LAB on this machine; every other one is the Pulumi CLI's."""
    return LabStack(lab) if stack == LAB_STACK else AwsStack(stack, key_file)


def _impatient() -> botocore.config.Config:
    return botocore.config.Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})


def _exported_by(paths: LabPaths) -> Mapping[str, Any]:
    # Not `outputs.json`, which is of the last `up` that succeeded: the engine's state is of the last one.
    from lab.engine.context import EngineContext
    from lab.engine.state import read_state, stack_outputs

    nothing_is_run = Path(os.devnull)
    context = EngineContext(
        directory=paths.pulumi, pulumi=nothing_is_run, ec2_endpoint="", access_key="", secret_key=""
    )
    return stack_outputs(read_state(context))


def _pulumi(*words: str, stack: str) -> Mapping[str, Any]:
    """What the CLI says as JSON, without secrets: there are none in the outputs."""
    cli = shutil.which("pulumi")
    if cli is None:
        raise OpsError(
            f"the stack {stack!r} is known to the Pulumi CLI, which is not on PATH",
            hint="install it (README, On AWS); `--stack lab`, the default, is the lab's and needs none",
        )
    argv = [cli, *words, "--json", "--stack", stack, "--non-interactive"]
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            argv, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=PULUMI_DEADLINE_S
        )
    except subprocess.TimeoutExpired as error:
        raise OpsError(
            f"`pulumi {' '.join(words)}` takes too long", hint="does your backend answer?"
        ) from error
    if done.returncode:
        raise OpsError(f"pulumi: {done.stderr.strip()}", hint="`pulumi stack ls` names your stacks")
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def _configured_key_file(config: Mapping[str, Any]) -> Path | None:
    """The file that the stack's own configuration names; None: it is the agent's business."""
    entry = config.get("causeway:private_key_file")
    return Path(entry["value"]).expanduser() if entry and entry.get("value") else None
