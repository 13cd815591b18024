"""A script by SSH against a real server, with and without a bastion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from components.way_in import Done, NoWayInError, WayIn, run_script
from tests.unit.ssh_server import USER, SshServer, private_text

KEY = paramiko.RSAKey.generate(2048)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """Its `sudo` asks nobody."""
    sudo = tmp_path / "bin/sudo"
    sudo.parent.mkdir()
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")
    made = SshServer(KEY)
    yield made
    made.close()


@pytest.fixture
def way(server: SshServer, tmp_path: Path) -> WayIn:
    return WayIn(host="127.0.0.1", port=server.port, user=USER, private_key=private_text(KEY, tmp_path))


def test_what_a_script_says_and_how_it_ends(way: WayIn) -> None:
    script = "echo one; echo two >&2; exit 3\n"
    assert run_script(way, script, within_s=10) == Done(status=3, said="one\ntwo")


def test_through_a_bastion(way: WayIn, server: SshServer) -> None:
    assert run_script(replace(way, via="127.0.0.1"), "echo here\n", within_s=10).said == "here"
    assert server.forwarded == [("127.0.0.1", server.port)]


def test_a_silent_script_is_given_up(way: WayIn) -> None:
    with pytest.raises(TimeoutError):
        run_script(way, "exec sleep 20\n", within_s=0.3)


def test_a_host_that_is_not_there(way: WayIn, server: SshServer) -> None:
    server.close()
    with pytest.raises(NoWayInError, match=r"127\.0\.0\.1: "):
        run_script(way, "true\n", within_s=10)
    server.__post_init__()


@pytest.mark.parametrize("key", ["no key at all", "other"])
def test_a_key_that_does_not_fit(way: WayIn, key: str, tmp_path: Path) -> None:
    if key == "other":
        (tmp_path / "other").mkdir()
        key = private_text(paramiko.RSAKey.generate(2048), tmp_path / "other")
    with pytest.raises(NoWayInError):
        run_script(replace(way, private_key=key), "true\n", within_s=10)


def test_the_key_is_not_shown(way: WayIn) -> None:
    assert way.private_key not in repr(way)
