"""How ops reaches a stack on AWS: outputs by the Pulumi CLI, hosts by SSH, each with a deadline."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import paramiko
import pytest

from ops.drill.load import Load, LoadOptions
from ops.errors import OpsError
from ops.ssh import Login, connect
from ops.stack import AwsStack
from tests.unit import ops_pair as pair
from tests.unit.ssh_server import NO_TEXT, USER, SshServer, make_key, private_text

Json = Any
KEY = make_key()


@pytest.fixture
def server() -> Iterator[SshServer]:
    sshd = SshServer(KEY)
    yield sshd
    sshd.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's user is looked at."""
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def pulumi_says(
    home: Path, monkeypatch: pytest.MonkeyPatch, outputs: Json, config: Json | None = None
) -> None:
    """A CLI that knows one stack, `dev`."""
    script = home / "bin" / "pulumi"
    script.parent.mkdir(exist_ok=True)
    (home / "outputs.json").write_text(json.dumps(outputs))
    (home / "config.json").write_text(json.dumps(config or {}))
    script.write_text(
        f"""#!/bin/sh
case "$*" in
  *"--stack dev"*) ;;
  *) echo "error: no stack named that" >&2; exit 255 ;;
esac
case "$1" in
  stack) cat {home}/outputs.json ;;
  config) cat {home}/config.json ;;
esac
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")


def stack_with(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: SshServer,
    *,
    bastion: bool = False,
    instance: str = "i-1",
) -> AwsStack:
    """One whose proxy-0 is the server, by the key that the configuration names."""
    outputs = pair.outputs_json(pair=False)
    proxy = outputs["hosts"]["proxy-0"]
    proxy["instance_id"] = instance
    way = {"host": "127.0.0.1", "port": server.port, "user": USER, "via": None}
    proxy["ssh"] = {**way, "via": "127.0.0.1" if bastion else None}
    if bastion:
        outputs["hosts"]["bastion"] = {**proxy, "role": "bastion", "instance_id": "i-bastion", "ssh": way}
    key = home / "id"
    key.write_text(private_text(KEY, home))
    pulumi_says(
        home, monkeypatch, outputs, {"causeway:private_key_file": {"value": str(key), "secret": False}}
    )
    return AwsStack("dev", None)


def test_a_command_runs_on_a_host(home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer) -> None:
    stack = stack_with(home, monkeypatch, server)
    assert stack.hosts.succeed("proxy-0", "cat; echo done", stdin=b"told ") == "told done\n"
    assert stack.hosts.run("proxy-0", "exit 3").status == 3
    assert server.connections == 1  # the session is kept
    stack.close()


def test_a_session_that_ended_is_made_anew(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer
) -> None:
    stack = stack_with(home, monkeypatch, server)
    stack.hosts.succeed("proxy-0", "true")
    server.hang_up()
    deadline = time.monotonic() + 5
    while True:  # the client hears of it a moment later
        try:
            assert stack.hosts.succeed("proxy-0", "echo again") == "again\n"
            break
        except OpsError:
            assert time.monotonic() < deadline
    stack.close()


def test_a_command_that_does_not_end_is_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer
) -> None:
    stack = stack_with(home, monkeypatch, server)
    began = time.monotonic()
    with pytest.raises(OpsError, match=r"proxy-0: no answer in 0\.5 s"):
        stack.hosts.run("proxy-0", "sleep 20", deadline_s=0.5)
    assert time.monotonic() - began < 5
    stack.close()


def test_what_a_host_says_cannot_steer_a_terminal(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer
) -> None:
    stack = stack_with(home, monkeypatch, server)
    evil = r"printf '\033]0;x\007one\ttwo\n\302\233\377'"
    done = stack.hosts.run("proxy-0", f"{evil}; {evil} >&2")
    assert done.out == done.err == "]0;xone\ttwo\n\ufffd"
    with pytest.raises(OpsError) as told:
        stack.hosts.succeed("proxy-0", f"{evil} >&2; exit 1")
    assert told.value.message.endswith(": ]0;xone two \ufffd")
    stack.close()


@pytest.mark.parametrize("greeting", [b"SSH-0.1-\x1b[2J\x9b\r\n", NO_TEXT])
def test_who_is_no_sshd_cannot_steer_a_terminal_either(
    greeting: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(greeting)
        with pytest.raises(OpsError, match="nobody may log in") as told:
            connect(ours, "i-1", Login(user=USER))
    assert told.value.message.isprintable()
    assert capfd.readouterr() == ("", "")


NO_WAY_ON = "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"


def test_goodbyes_that_are_no_text_are_one_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.channels = 0
    stack = stack_with(home, monkeypatch, server)
    with pytest.raises(OpsError, match=f"^proxy-0: the session ended: {NO_WAY_ON}"):
        stack.hosts.run("proxy-0", "true")
    stack.close()
    stack = stack_with(home, monkeypatch, server, bastion=True)
    with pytest.raises(OpsError, match=f"^proxy-0: does not answer at 127.0.0.1: {NO_WAY_ON}"):
        stack.hosts.run("proxy-0", "true")
    stack.close()
    server.channels = 1
    stack = stack_with(home, monkeypatch, server)
    with (
        pytest.raises(OpsError, match=f"^proxy-0: no load begins: {NO_WAY_ON}"),
        Load(stack, LoadOptions(), "proxy-0"),
    ):
        pass
    stack.close()
    assert capfd.readouterr() == ("", "")


def test_an_answer_without_end_is_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer
) -> None:
    stack = stack_with(home, monkeypatch, server)
    for to in ("", " >&2"):
        with pytest.raises(OpsError, match="proxy-0: its answer is longer than 1 MiB"):
            stack.hosts.run("proxy-0", f"head -c 1200000 /dev/zero{to}")
    stack.close()


def test_a_host_is_reached_through_the_bastion(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer
) -> None:
    stack = stack_with(home, monkeypatch, server, bastion=True)
    assert stack.hosts.succeed("proxy-0", "echo there") == "there\n"
    assert server.forwarded == [("127.0.0.1", server.port)]
    stack.close()


def test_another_host_key_is_refused_and_another_instance_is_not(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: SshServer
) -> None:
    stack_with(home, monkeypatch, server).hosts.succeed("proxy-0", "true")
    impostor = SshServer(KEY)
    try:
        with pytest.raises(OpsError, match="another host key"):
            stack_with(home, monkeypatch, impostor).hosts.succeed("proxy-0", "true")
        stack_with(home, monkeypatch, impostor, instance="i-2").hosts.succeed("proxy-0", "true")
    finally:
        impostor.close()


def test_a_key_that_may_not_log_in_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SshServer(paramiko.ECDSAKey.generate())
    try:
        with pytest.raises(OpsError, match="nobody may log in"):
            stack_with(home, monkeypatch, other).hosts.succeed("proxy-0", "true")
    finally:
        other.close()


def test_an_unknown_stack_is_the_clis_own_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi_says(home, monkeypatch, {})
    with pytest.raises(OpsError, match="no stack named that"):
        AwsStack("prod", None)


def test_without_the_cli_the_way_out_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(OpsError, match="not on PATH"):
        AwsStack("dev", None)


def test_hosts_that_are_met_at_the_same_time_are_all_remembered(home: Path, server: SshServer) -> None:
    known, key = home / "known_hosts", home / "id"
    key.write_text(private_text(KEY, home))
    names = [f"i-{number}" for number in range(16)]

    def meet(name: str) -> None:
        stream = socket.create_connection(("127.0.0.1", server.port))
        connect(stream, name, Login(user=USER, key_file=key, known_hosts=known)).close()

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(meet, names))
    assert sorted(line.split()[0] for line in known.read_text().splitlines()) == sorted(names)
