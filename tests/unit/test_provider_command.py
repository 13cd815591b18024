"""The command stand-in against a real SSH server: what runs when, with what, and what a failure says."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.providers.command import connection as connection_module
from lab.providers.command.provider import CommandProvider
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.values import ASSET_SIGNATURE, UNKNOWN, Asset
from tests.unit.ssh_server import NO_TEXT, USER, SshServer, make_key, private_text

Values = Mapping[str, Any]
COMMAND = Urn("urn:pulumi:test::unit::command:remote:Command::func-0-tunnel")
COPY = Urn("urn:pulumi:test::unit::command:remote:CopyToRemote::file")
KEY = make_key()


class Commands:
    """The provider, as the engine drives it, and the lines it logged."""

    def __init__(self, connection: Values) -> None:
        self.lines: list[str] = []
        self.provider = CommandProvider(lambda _urn, line: self.lines.append(line))
        self.connection = connection

    def checked(self, urn: Urn = COMMAND, **inputs: Any) -> Values:
        given = {"connection": self.connection, **inputs}
        result = self.provider.check(urn, {}, given, b"")
        assert not result.failures, result.failures
        return result.inputs

    def create(self, urn: Urn = COMMAND, **inputs: Any) -> Values:
        return self.provider.create(urn, self.checked(urn, **inputs), preview=False).state

    def update(self, state: Values, urn: Urn = COMMAND, **inputs: Any) -> Values:
        return self.provider.update(urn, "id", state, state, self.checked(urn, **inputs), preview=False)


@pytest.fixture
def server() -> Iterator[SshServer]:
    made = SshServer(KEY)
    yield made
    made.close()


@pytest.fixture
def connection(server: SshServer, tmp_path: Path) -> dict[str, Any]:
    key = private_text(KEY, tmp_path)
    return {"host": "127.0.0.1", "port": float(server.port), "user": USER, "privateKey": key}


@pytest.fixture
def commands(connection: dict[str, Any]) -> Commands:
    return Commands(connection)


def test_create_runs_with_stdin_and_keeps_the_output(commands: Commands) -> None:
    state = commands.create(create="cat; echo oops >&2", stdin="line one\nline two\n")
    assert state["stdout"] == "line one\nline two"
    assert state["stderr"] == "oops"
    assert sorted(commands.lines) == ["line one", "line two", "oops"]


@pytest.mark.parametrize(
    ("logging", "lines"),
    [("stdout", ["out"]), ("stderr", ["err"]), ("none", []), ("stdoutAndStderr", ["err", "out"])],
)
def test_logging_says_what_is_shown_not_what_is_kept(
    commands: Commands, logging: str, lines: list[str]
) -> None:
    state = commands.create(create="echo out; echo err >&2", logging=logging)
    assert sorted(commands.lines) == lines
    assert (state["stdout"], state["stderr"]) == ("out", "err")


def test_output_is_shown_while_the_command_runs(commands: Commands, tmp_path: Path) -> None:
    fifo = tmp_path / "go-on"
    create = f"mkfifo {fifo}; echo begun; read -r _ < {fifo}; echo ended"
    running = threading.Thread(target=commands.create, kwargs={"create": create})
    running.start()
    for _ in range(200):
        if "begun" in commands.lines:
            break
        running.join(0.05)
    assert commands.lines == ["begun"]
    fifo.write_text("now\n")
    running.join(10)
    assert commands.lines == ["begun", "ended"]


def test_any_change_runs_update_or_else_create_again(commands: Commands, tmp_path: Path) -> None:
    record = tmp_path / "record"
    state = commands.create(create=f"echo create >> {record}")
    state = commands.update(state, create=f"echo create >> {record}", delete=f"echo delete >> {record}")
    state = commands.update(
        state,
        create=f"echo create >> {record}",
        update=f"echo update >> {record}",
        delete=f"echo delete >> {record}",
    )
    commands.provider.delete(COMMAND, "id", state)
    assert record.read_text().split() == ["create", "create", "update", "delete"]


def test_without_create_nothing_runs_and_nobody_is_asked(server: SshServer, commands: Commands) -> None:
    state = commands.create(delete="true")
    assert (state["stdout"], server.connections) == ("", 0)
    commands.provider.delete(COMMAND, "id", {key: value for key, value in state.items() if key != "delete"})
    assert server.connections == 0


def test_only_triggers_replace_and_the_new_one_comes_first(commands: Commands) -> None:
    def change(**inputs: Any) -> tuple[list[str], bool]:
        old = commands.checked(create="a", triggers=[1.0])
        new = commands.checked(**{"create": "a", "triggers": [1.0], **inputs})
        result = commands.provider.diff(COMMAND, "id", old, {}, new)
        return [change.path for change in result.changes if change.replaces], result.delete_before_replace

    assert change(create="b", stdin="x", delete="y", logging="none") == ([], False)
    assert change(triggers=[2.0]) == (["triggers"], False)


def test_previous_output_is_in_the_environment_of_an_update(commands: Commands) -> None:
    state = commands.create(create="echo first")
    with pytest.raises(ProviderError, match="refuses the environment variable PULUMI_COMMAND_STDOUT"):
        commands.update(state, create="echo second")
    state = commands.update(state, create="echo second", addPreviousOutputInEnv=False)
    assert state["stdout"] == "second"


def test_environment_needs_accept_env(commands: Commands) -> None:
    assert commands.create(create="echo $LC_X", environment={"LC_X": "here"})["stdout"] == "here"
    with pytest.raises(
        ProviderError, match="refuses the environment variable SECRET: its AcceptEnv must name it"
    ):
        commands.create(create="true", environment={"SECRET": "x"})


def test_a_failure_names_command_status_and_output(commands: Commands) -> None:
    with pytest.raises(ProviderError) as caught:
        commands.create(create="echo so far; echo 'jq: not found' >&2; exit 3", stdin="hush")
    said = str(caught.value)
    assert "failed (exit status 3)" in said
    assert "so far" in said
    assert "jq: not found" in said
    assert "hush" not in said


def test_input_that_the_command_does_not_read_is_no_error(commands: Commands) -> None:
    assert commands.create(create="echo done", stdin="x" * 5_000_000)["stdout"] == "done"


def test_a_preview_connects_to_nobody(server: SshServer, commands: Commands) -> None:
    inputs = commands.checked(create="true", stdin=UNKNOWN)
    state = commands.provider.create(COMMAND, inputs, preview=True).state
    assert (state["stdout"], state["stderr"]) == (UNKNOWN, UNKNOWN)
    commands.provider.update(COMMAND, "id", inputs, state, inputs, preview=True)
    commands.provider.read(COMMAND, "id", state, inputs)
    assert server.connections == 0


def test_a_host_is_logged_in_to_once_and_again_when_it_hung_up(server: SshServer, commands: Commands) -> None:
    commands.create(create="true")
    commands.create(create="true")
    assert server.connections == 1
    server.hang_up()
    assert commands.create(create="echo back")["stdout"] == "back"
    assert server.connections == 2


def test_a_host_that_is_just_starting_is_waited_for(server: SshServer, commands: Commands) -> None:
    server.refuse_first = 3
    assert commands.create(create="echo up")["stdout"] == "up"
    assert server.connections == 4


def test_attempts_are_limited(
    server: SshServer, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "FIRST_PAUSE_S", 0.001)
    server.refuse_first = 1000
    limited = Commands({**connection, "dialErrorLimit": 2.0})
    with pytest.raises(
        ProviderError, match=r"admin@127\.0\.0\.1:\d+ does not let anybody in after 3 attempts"
    ):
        limited.create(create="true")
    assert server.connections == 3


def test_who_is_no_sshd_is_tried_again(connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever paramiko makes of its first message."""
    monkeypatch.setattr(connection_module, "FIRST_PAUSE_S", 0.001)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as others:
        port = float(listener.getsockname()[1])
        limited = Commands({**connection, "port": port, "dialErrorLimit": 1.0})
        run = others.submit(limited.create, create="true")
        for _ in range(2):
            client, _ = listener.accept()
            with client:
                client.sendall(NO_TEXT)
                client.recv(4096)
        with pytest.raises(ProviderError, match="does not let anybody in after 2 attempts"):
            run.result()


def test_cancelling_ends_the_attempts(server: SshServer, connection: dict[str, Any]) -> None:
    server.refuse_first = 1000
    patient = Commands({**connection, "dialErrorLimit": -1.0})
    threading.Timer(0.5, patient.provider.cancelled.set).start()
    with pytest.raises(ProviderError, match="cancelled while connecting to admin@"):
        patient.create(create="true")


def test_a_host_key_is_checked_if_given(server: SshServer, connection: dict[str, Any]) -> None:
    right = f"{server.host_key.get_name()} {server.host_key.get_base64()}"
    assert Commands({**connection, "hostKey": right}).create(create="echo ok")["stdout"] == "ok"
    other = make_key()
    wrong = Commands({**connection, "hostKey": f"{other.get_name()} {other.get_base64()}"})
    with pytest.raises(ProviderError, match="shows another host key than the one given"):
        wrong.create(create="true")


def test_a_wrong_key_is_refused_and_said(
    connection: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "FIRST_PAUSE_S", 0.001)
    stranger = Commands(
        {**connection, "privateKey": private_text(make_key(), tmp_path), "dialErrorLimit": 1.0}
    )
    with pytest.raises(ProviderError, match=r"the login as admin is refused \(the key: "):
        stranger.create(create="true")


def test_a_private_key_that_is_none_is_an_error_at_once(
    connection: dict[str, Any], server: SshServer
) -> None:
    broken = Commands({**connection, "privateKey": "no key"})
    with pytest.raises(ProviderError, match="privateKey is no key that SSH knows"):
        broken.create(create="true")
    assert server.connections == 1


def test_by_a_bastion(connection: dict[str, Any], server: SshServer) -> None:
    bastion = SshServer(KEY)
    try:
        proxy = {**connection, "port": float(bastion.port)}
        assert Commands({**connection, "proxy": proxy}).create(create="echo inside")["stdout"] == "inside"
        assert bastion.forwarded == [("127.0.0.1", server.port)]
    finally:
        bastion.close()


class TestCopy:
    """CopyToRemote."""

    def asset(self, path: Path) -> Asset:
        content = path.read_bytes() if path.is_file() else b""
        return Asset(ASSET_SIGNATURE, hashlib.sha256(content).hexdigest(), path=str(path))

    def test_a_file_is_copied_again_only_if_its_content_or_the_path_changes(
        self, commands: Commands, tmp_path: Path
    ) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_text("one")
        state = commands.create(COPY, source=self.asset(source), remotePath=str(target))
        assert target.read_text() == "one"
        target.write_text("changed on the host")
        state = commands.update(
            state, COPY, source=self.asset(source), remotePath=str(target), triggers=["x"]
        )
        assert target.read_text() == "changed on the host"
        source.write_text("two")
        commands.update(state, COPY, source=self.asset(source), remotePath=str(target))
        assert target.read_text() == "two"

    def test_text_and_directories(self, commands: Commands, tmp_path: Path) -> None:
        text = Asset(ASSET_SIGNATURE, "h", text="hello")
        commands.create(COPY, source=text, remotePath=str(tmp_path / "t"))
        assert (tmp_path / "t").read_text() == "hello"
        tree = tmp_path / "tree" / "inner"
        tree.mkdir(parents=True)
        (tree / "f").write_text("deep")
        commands.create(COPY, source=self.asset(tmp_path / "tree"), remotePath=str(tmp_path / "there"))
        assert (tmp_path / "there" / "tree" / "inner" / "f").read_text() == "deep"

    def test_a_path_that_cannot_be_written_is_named(self, commands: Commands, tmp_path: Path) -> None:
        text = Asset(ASSET_SIGNATURE, "h", text="hello")
        with pytest.raises(ProviderError, match=r"copying to 127\.0\.0\.1:.*/nowhere/t"):
            commands.create(COPY, source=text, remotePath=str(tmp_path / "nowhere" / "t"))

    def test_nothing_is_removed(self, commands: Commands, tmp_path: Path) -> None:
        target = tmp_path / "t"
        state = commands.create(COPY, source=Asset(ASSET_SIGNATURE, "h", text="x"), remotePath=str(target))
        commands.provider.delete(COPY, "id", state)
        assert target.exists()
