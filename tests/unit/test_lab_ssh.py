"""`lab exec` and what becomes of the command."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from lab import ssh as lab_ssh
from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import LabPaths
from lab.patience import problem_of, told_of_problems
from tests.unit.ssh_server import USER, SshServer, make_key


def test_who_waits_is_told_once_what_a_host_is_at(capsys: pytest.CaptureFixture[str]) -> None:
    looks: Iterator[str] = iter(["", "hangs", "hangs", "", "hangs", "is not running"])
    seen = threading.Event()

    def problem() -> str:
        found = next(looks, None)
        if found is None:
            seen.set()
        return found or ""

    with told_of_problems(problem, poll_s=0.001):
        assert seen.wait(10)
    assert capsys.readouterr().err.splitlines() == ["lab: hangs", "lab: hangs", "lab: is not running"]


def test_a_problem_comes_with_the_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(LabPaths("none"))
    machine = {"problem": "hangs: `lab fault resume func-0` wakes it"}
    monkeypatch.setattr(client, "call", lambda _op, **_more: {"name": "func-0", "machine": machine})
    assert problem_of(client, "10.0.0.3") == "func-0 hangs: `lab fault resume func-0` wakes it"
    machine["problem"] = ""
    assert problem_of(client, "10.0.0.3") == ""


def test_a_lab_that_ended_meanwhile_is_a_problem_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path))
    client = Client(LabPaths("gone"))
    with pytest.raises(LabError) as caught:
        client.call("host", host="func-0")
    assert problem_of(client, "func-0") == str(caught.value)


@pytest.fixture
def session() -> Iterator[paramiko.SSHClient]:
    """On a host that runs commands for real, and passes signals on as sshd does."""
    key = make_key()
    server = SshServer(key)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507
    client.connect("127.0.0.1", server.port, USER, pkey=key, look_for_keys=False, allow_agent=False)
    yield client
    client.close()
    server.close()


class CtrlC(io.BytesIO):
    """Comes as soon as the command says something."""

    def write(self, _data: object) -> int:
        raise KeyboardInterrupt


def test_ctrl_c_interrupts_the_command_on_the_host(session: paramiko.SSHClient, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"trap 'touch {told}; exit' INT; echo begun; while :; do sleep 0.05; done"
    with pytest.raises(KeyboardInterrupt):
        lab_ssh.passthrough(session, [script], stdin=None, stdout=CtrlC())
    deadline = time.monotonic() + 10
    while not told.exists():
        assert time.monotonic() < deadline, "the command runs on"
        time.sleep(0.01)


def test_ctrl_c_after_the_host_has_gone_only_ends(session: paramiko.SSHClient) -> None:
    class Gone(CtrlC):
        def write(self, data: object) -> int:
            session.close()
            return super().write(data)

    with pytest.raises(KeyboardInterrupt):
        lab_ssh.passthrough(session, ["echo begun; cat"], stdin=None, stdout=Gone())


@pytest.mark.parametrize(
    ("line", "status"), [("kill -KILL $$", 137), ("kill -TERM $$", 143), ("exit 42", 42), ("true", 0)]
)
def test_a_command_that_a_signal_ends_has_the_status_that_shells_give_it(
    session: paramiko.SSHClient, line: str, status: int
) -> None:
    for _ in range(2):  # of one session
        with Path(os.devnull).open("rb") as nothing:
            assert lab_ssh.passthrough(session, [line], stdin=nothing, stdout=io.BytesIO()) == status
        assert lab_ssh.run(session, [line]).returncode == status


def test_a_command_without_an_end_is_given_up(session: paramiko.SSHClient) -> None:
    with pytest.raises(LabError, match=r"no answer in 0\.3 s to: sleep 60"):
        lab_ssh.run(session, ["sleep", "60"], deadline_s=0.3)
