"""The user instance's service."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

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


CLIENTS = 1500
DRILL_MOST = 5000  # what `ops drill --connections` takes


@contextmanager
def serving(setup: str = "", descriptors: int | None = None) -> Iterator[tuple[int, int, int]]:
    """The service after some Python: its ports for HTTP, and for TCP and UDP, and its process."""
    http_port, tcp_port = free_port(), free_port()
    code = f"import sys; sys.path.insert(0, {str(HOSTSCRIPTS)!r}); import echo_service\n{setup}\necho_service.main()"
    limit = () if descriptors is None else ("prlimit", f"--nofile={descriptors}")
    argv = [*limit, sys.executable, "-c", code, *map(str, (http_port, tcp_port, tcp_port))]
    with subprocess.Popen(argv) as service:
        try:
            wait_until("it listens", lambda: listens(http_port) and listens(tcp_port))
            yield http_port, tcp_port, service.pid
            assert service.poll() is None, "the service has ended"
        finally:
            service.kill()


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """The service, on two ports: HTTP, and TCP and UDP."""
    with serving() as (http_port, tcp_port, _):
        yield http_port, tcp_port


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """For this process, and the service, which inherits it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 2 * CLIENTS:
        pytest.skip(f"this user may open {before[1]} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connected(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """So many clients of the TCP echo."""
    return [
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(count)
    ]


def echoes(clients: Sequence[socket.socket], text: bytes = b"?") -> bool:
    """Whether each of them hears what it says."""
    for client in clients:
        client.sendall(text)
    return all(client.recv(len(text)) == text for client in clients)


def fill(client: socket.socket) -> int:
    """Say as many bytes as are taken of one that does not listen."""
    sent = 0
    client.settimeout(0.3)
    try:
        while True:
            sent += client.send(bytes(1 << 16))
    except TimeoutError:
        client.settimeout(10)
        return sent


def status_of(process: int, what: str) -> int:
    """A figure of /proc/PID/status."""
    found = re.search(rf"^{what}:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def is_over(client: socket.socket) -> bool:
    """Whether the service has ended a connection."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


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


@pytest.mark.usefixtures("many_descriptors")
def test_very_many_connections_at_once_are_one_thread() -> None:
    with serving() as (http_port, tcp_port, process), ExitStack() as stack:
        clients = connected(tcp_port, CLIENTS, stack)
        assert echoes(clients)
        assert echoes(clients)
        assert status_of(process, "Threads") == 1
        test_http_tells_the_clients_address((http_port, tcp_port))
        stack.close()
        test_tcp_echoes_until_the_client_ends((http_port, tcp_port))


def test_a_client_that_never_reads_holds_up_nobody_and_takes_no_room() -> None:
    with serving() as (http_port, tcp_port, process), ExitStack() as stack:
        others = connected(tcp_port, 5, stack)
        assert echoes(others)
        before = status_of(process, "VmRSS")
        for deaf in connected(tcp_port, 5, stack):
            fill(deaf)
            assert echoes(others)
        assert (
            status_of(process, "VmRSS") - before < 5 * 1024
        )  # KiB; twice 64 KiB each, and what Python keeps
        test_http_tells_the_clients_address((http_port, tcp_port))


def test_who_reads_late_hears_everything(ports: tuple[int, int]) -> None:
    with socket.create_connection(("127.0.0.1", ports[1])) as client:
        sent = fill(client)
        client.shutdown(socket.SHUT_WR)
        heard = 0
        while data := client.recv(1 << 16):
            heard += len(data)
    assert heard == sent > 1 << 16


def test_many_that_reset_harm_nobody(ports: tuple[int, int]) -> None:
    with ExitStack() as stack:
        others = connected(ports[1], 5, stack)
        for _ in range(50):
            test_a_client_that_breaks_off_harms_nobody(ports)
        deaf = connected(ports[1], 1, stack)[0]
        fill(deaf)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        deaf.close()
        assert echoes(others)


def test_a_slow_client_is_answered_and_holds_up_nobody(ports: tuple[int, int]) -> None:
    with socket.create_connection(("127.0.0.1", ports[0])) as slow:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
            slow.sendall(bytes([byte]))
            test_http_tells_the_clients_address(ports)
        with slow.makefile("rb") as answer:
            assert answer.read().endswith(b"}\n")


def test_who_says_nothing_for_too_long_is_ended_and_who_speaks_is_not() -> None:
    with serving("echo_service.ECHO_IDLE_S = 1") as (_, tcp_port, _pid), ExitStack() as stack:
        silent, speaking = connected(tcp_port, 2, stack)
        deadline = time.monotonic() + 10
        silent.setblocking(False)
        while time.monotonic() < deadline:
            assert echoes([speaking])
            try:
                assert silent.recv(1) == b""
                return
            except BlockingIOError:
                time.sleep(0.05)
        pytest.fail("it is still there")


def test_without_descriptors_the_longest_silent_make_room() -> None:
    with serving(descriptors=64) as (_, tcp_port, _pid), ExitStack() as stack:
        first = connected(tcp_port, 20, stack)
        assert echoes(first)
        rest = connected(tcp_port, 50, stack)
        assert echoes(rest)
        assert is_over(first[0])


def test_its_unit_may_have_as_many_descriptors_as_a_drill_has_connections() -> None:
    found = re.search(r"LimitNOFILE=(\d+)", (HOSTSCRIPTS / "echo.sh").read_text())
    assert found is not None
    assert int(found[1]) > 2 * DRILL_MOST
