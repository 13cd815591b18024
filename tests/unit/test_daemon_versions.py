"""The daemon and who calls it may be of different checkouts."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.commands.engine import Request, run_engine
from lab.daemon.client import PROTOCOL, Client
from lab.daemon.control import ControlServer
from lab.daemon.engine_call import start_child
from lab.daemon.launch import require_visible
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths
from lab.progress import Progress

Json = Any


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[LabPaths]:
    """A lab's directory; tmp_path is too deep for a socket."""
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setenv("CAUSEWAY_LAB_HOME", directory)
        found = LabPaths("skewed")
        found.root.mkdir(parents=True)
        yield found


@contextmanager
def daemon(paths: LabPaths, operations: Json) -> Iterator[None]:
    """Only its socket."""

    def connect(_host: str, _port: int) -> socket.socket:
        raise LabError("connected", hint="")

    server = ControlServer(paths.control_socket, paths.name, operations, connect)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answers_of(paths: LabPaths, message: Json) -> Json:
    """As a client of some other version asks."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(paths.control_socket))
        connection.sendall(json.dumps(message).encode() + b"\n")
        return json.loads(connection.makefile().readline())


def test_a_client_of_another_version_is_told_so(paths: LabPaths) -> None:
    ran: list[Json] = []
    with daemon(paths, {"ping": lambda *_: {"version": PROTOCOL}, "engine": lambda _, m: ran.append(m)}):
        for theirs in ({}, {"version": PROTOCOL - 1}, {"version": PROTOCOL + 1}):
            for op in ({"op": "engine"}, {"op": "connect", "host": "func-0", "port": 22}):
                answer = answers_of(paths, {**op, **theirs})
                assert "'skewed' is of another version" in answer["error"]
                assert "lab down" in answer["hint"]
        assert ran == []
        assert answers_of(paths, {"op": "ping"}) == {"ok": {"version": PROTOCOL}}
        Client(paths).call("engine", protocol=47)  # an argument of its own has any name
        assert [message["protocol"] for message in ran] == [47]
        with pytest.raises(LabError, match="connected"):
            Client(paths).connect("func-0", 22)


def test_a_daemon_of_an_older_version_runs_no_program(paths: LabPaths) -> None:
    """It does not look at the versions, and would take the program of its own checkout."""
    ran: list[Json] = []
    with daemon(paths, {"ping": lambda *_: "pong", "engine": lambda _, m: ran.append(m)}):
        client = Client(paths)
        assert client.answers()  # so it is not taken for one that hangs
        with pytest.raises(LabError, match="of another version") as caught:
            run_engine(client, Request(action="up", stack="lab"), Progress())
    assert "lab down" in caught.value.hint
    assert ran == []


def test_the_program_is_run_by_the_python_of_its_checkout(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "lab", tmp_path / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    child = tmp_path / "lab" / "daemon" / "engine_child.py"
    child.write_text("import sys\nprint(sys.executable, __file__)\n")
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    with start_child({"python": str(python), "project": str(tmp_path)}) as process:
        out, _ = process.communicate()
    assert out.decode().split() == [str(python), str(child)]


@pytest.mark.parametrize("gone", ["project", "python"])
def test_a_checkout_that_the_daemon_does_not_see_is_named(tmp_path: Path, gone: str) -> None:
    message = {"python": sys.executable, "project": str(PROJECT), gone: str(tmp_path / "gone")}
    with pytest.raises(LabError, match=f"{tmp_path}/gone: No such file"):
        start_child(message)


def test_what_lies_below_run_is_refused_before_the_daemon_misses_it(tmp_path: Path) -> None:
    require_visible(PROJECT, tmp_path, Path("/running"))
    link = tmp_path / "link"
    link.symlink_to("/run/checkout")
    for hidden in (Path("/run/user/1000/causeway"), link):
        with pytest.raises(LabError, match="below /run"):
            require_visible(PROJECT, hidden)
