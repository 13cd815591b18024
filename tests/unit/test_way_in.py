"""A script by SSH against a real server, with and without a bastion."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from components.way_in import (
    MOST_SAID_BYTES,
    Done,
    NoAnswerError,
    NoWayInError,
    RefusedError,
    WayIn,
    run_script,
)
from tests.hostscripts.waiting import wait_until
from tests.unit.ssh_server import NO_TEXT, USER, SshServer, private_text

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


@pytest.mark.parametrize("via", [None, "127.0.0.1"])
def test_a_refused_login_is_not_silence(way: WayIn, via: str | None) -> None:
    with pytest.raises(RefusedError, match=r"^nobody@127\.0\.0\.1: "):
        run_script(replace(way, user="nobody", via=via), "true\n", within_s=10)


def test_through_a_bastion(way: WayIn, server: SshServer) -> None:
    assert run_script(replace(way, via="127.0.0.1"), "echo here\n", within_s=10).said == "here"
    assert server.forwarded == [("127.0.0.1", server.port)]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec sleep 20\n", "nothing"),
        ("echo one; exec sleep 20\n", "one"),
        ("while sleep 0.1; do echo more; done\n", "more\n"),  # a byte now and then is no reason to wait on
        ("exec >&- 2>&-; sleep 20\n", "nothing"),  # all is said, and the status does not come
    ],
)
@pytest.mark.parametrize("via", [None, "127.0.0.1"])
def test_a_script_is_given_up_whatever_it_says(way: WayIn, script: str, said: str, via: str | None) -> None:
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match=rf"^127\.0\.0\.1: not done within 0\.5 s; it said: {said}"):
        run_script(replace(way, via=via), script, within_s=0.5)
    assert time.monotonic() - began < 5


def test_a_host_that_takes_nobodys_command_is_given_up(
    way: WayIn, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose processes hang answers the log-in, and then no more."""
    monkeypatch.setattr(server, "starts_commands", False)
    with pytest.raises(NoAnswerError, match="not done within"):
        run_script(way, "true\n", within_s=0.5)


def test_a_host_that_is_lost_meanwhile(way: WayIn, server: SshServer, tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    def hangs_up() -> None:
        wait_until("it has begun", begun.exists)
        time.sleep(0.5)  # what it said is on its way
        server.hang_up()

    with ThreadPoolExecutor() as others:
        others.submit(hangs_up)
        with pytest.raises(NoAnswerError, match="the connection was lost; it said: begun"):
            run_script(way, f"echo begun; touch {begun}; exec sleep 20\n", within_s=20)


def test_one_that_ends_before_it_took_all_of_the_script(way: WayIn) -> None:
    script = "echo enough; exit 4\n" + "# more\n" * 1_000_000
    assert run_script(way, script, within_s=20) == Done(status=4, said="enough")


def test_what_a_script_says_does_nothing_to_a_terminal(way: WayIn) -> None:
    script = r"printf 'a\tb\r\n\033[2Jc\007\302\233d\342\200\256e\177ü\n'"
    assert run_script(way, f"{script}\n", within_s=10).said == "a\tb\n[2Jcdeü"


def test_no_more_is_kept_than_the_end(way: WayIn) -> None:
    said = run_script(way, "head -c 1000000 /dev/zero | tr '\\0' x; echo end\n", within_s=20).said
    assert said.endswith("xend")
    assert len(said) < MOST_SAID_BYTES


def test_a_host_that_is_not_there(way: WayIn, server: SshServer) -> None:
    server.close()
    with pytest.raises(NoWayInError, match=r"127\.0\.0\.1: "):
        run_script(way, "true\n", within_s=10)
    server.__post_init__()


def test_who_is_no_sshd(way: WayIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as others:
        run = others.submit(run_script, replace(way, port=listener.getsockname()[1]), "true\n", within_s=10)
        client, _ = listener.accept()
        with client:
            client.sendall(NO_TEXT)
            with pytest.raises(NoWayInError, match=r"127\.0\.0\.1: "):
                run.result()


@pytest.mark.parametrize("key", ["no key at all", "other"])
def test_a_key_that_does_not_fit(way: WayIn, key: str, tmp_path: Path) -> None:
    if key == "other":
        (tmp_path / "other").mkdir()
        key = private_text(paramiko.RSAKey.generate(2048), tmp_path / "other")
    with pytest.raises(NoWayInError):
        run_script(replace(way, private_key=key), "true\n", within_s=10)


def test_the_key_is_not_shown(way: WayIn) -> None:
    assert way.private_key not in repr(way)
