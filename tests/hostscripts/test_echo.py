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
    """The service, on two ports: HTTP, and TCP and UDP."""
    http_port, tcp_port = free_port(), free_port()
    argv = [sys.executable, str(HOSTSCRIPTS / "echo_service.py"), *map(str, (http_port, tcp_port, tcp_port))]
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


def test_udp_echoes_each_datagram_to_its_sender(ports: tuple[int, int]) -> None:
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for number, client in enumerate(clients):
        client.settimeout(5)
        client.connect(("127.0.0.1", ports[1]))
        client.send(b"%d" % number)
    assert [client.recv(100) for client in clients] == [b"0", b"1"]
    for client in clients:
        client.close()


def test_a_sender_that_is_gone_does_not_end_the_udp_echo(ports: tuple[int, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.sendto(b"x" * 1000, ("127.0.0.1", ports[1]))  # its answer meets a closed port
    test_udp_echoes_each_datagram_to_its_sender(ports)


def test_a_client_that_breaks_off_harms_nobody(ports: tuple[int, int]) -> None:
    for port in ports:
        talk = socket.create_connection(("127.0.0.1", port))
        talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
        talk.sendall(b"GET")
        talk.close()
    test_http_tells_the_clients_address(ports)
