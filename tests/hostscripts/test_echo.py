"""The user instance's service."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.hostscripts.stub_host import HOSTSCRIPTS
from tests.hostscripts.waiting import wait_until


def free_port() -> int:
    """One that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody accepts."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """The service, on two ports: HTTP and TCP."""
    http_port, tcp_port = free_port(), free_port()
    argv = [sys.executable, str(HOSTSCRIPTS / "echo_service.py"), str(http_port), str(tcp_port)]
    with subprocess.Popen(argv) as service:
        try:
            wait_until("it listens", lambda: listens(http_port) and listens(tcp_port))
            yield http_port, tcp_port
        finally:
            service.kill()


def test_http_tells_the_clients_address(ports: tuple[int, int]) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/anything") as answer:
        told = json.load(answer)
    assert told == {"client": "127.0.0.1", "host": socket.gethostname()}


def test_tcp_echoes_until_the_client_ends(ports: tuple[int, int]) -> None:
    sent = bytes(range(256)) * 1000
    with socket.create_connection(("127.0.0.1", ports[1])) as talk:
        talk.sendall(sent)
        talk.shutdown(socket.SHUT_WR)
        with talk.makefile("rb") as lines:
            assert lines.read() == sent


def test_a_client_that_breaks_off_harms_nobody(ports: tuple[int, int]) -> None:
    for port in ports:
        talk = socket.create_connection(("127.0.0.1", port))
        talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
        talk.sendall(b"GET")
        talk.close()
    test_http_tells_the_clients_address(ports)
