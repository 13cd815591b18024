"""The load generator that a drill runs on a func host, against an echo of this machine."""

from __future__ import annotations

import selectors
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from ops.drill.load import Offset, parse
from ops.drill.result import Bounds, Event, LoadResult, RunResult, Sample, Steady, summarise
from ops.drill.timeline import draw
from ops.ssh import REMOTE

ECHO = Path(__file__).parents[2] / "hostscripts" / "echo_service.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Echo:
    """The user instance's service."""

    port: int
    process: subprocess.Popen[bytes]

    def pause(self, seconds: float) -> None:
        """It stands still, and its connections stay."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def echo() -> Iterator[Echo]:
    web, port = free_port(), free_port()
    with subprocess.Popen([sys.executable, str(ECHO), str(web), str(port), str(port)]) as process:
        deadline = time.monotonic() + 20
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", port)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield Echo(port, process)
        process.kill()


@dataclass
class Running:
    """A load under way."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def ask(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def answer(self) -> list[str]:
        out: IO[str] | None = self.process.stdout
        assert out is not None
        return out.readline().split()

    def stop(self) -> LoadResult:
        self.ask("stop")
        records: list[list[str]] = []
        while (words := self.answer()) != ["end"]:
            assert words, "the load ended early"
            records.append(words)
        return parse(records, Offset(0, 0))


@contextmanager
def load(port: int, to: str = "127.0.0.1", **options: int) -> Iterator[Running]:
    """ICMP needs rights that tests may lack."""
    words = [f"{name}={value}" for name, value in {"connections": 5, "icmp": 0, **options}.items()]
    argv = [sys.executable, "-u", str(REMOTE / "load.py"), to, str(port), *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        running = Running(process)
        assert running.answer()[0] == "ready"
        yield running
        process.kill()


def test_everything_that_is_echoed_is_kept(echo: Echo) -> None:
    with load(echo.port, bulk=1, new_ms=100) as running:
        time.sleep(0.7)
        result = running.stop()
    assert [flow.state for flow in (*result.flows, *result.silent, *result.bulk)] == ["kept"] * 7
    assert all(flow.received > 10 for flow in result.flows)
    assert result.silent[0].received == 2  # at the beginning, and in the end
    assert result.bulk[0].received > 1_000_000
    assert {attempt.outcome for attempt in result.attempts} == {"answered"}
    assert len(result.attempts) >= 4
    assert result.datagrams["udp"].sent > 10
    assert result.datagrams["udp"].lost == 0
    assert sum(one.echoes for one in result.bins) > 50


def test_connections_go_to_every_address_from_the_source_that_says_whose_it_is() -> None:
    """Two services at one port of two addresses; each says which source it saw."""
    ways = "127.0.0.2@127.0.0.8,127.0.0.3@127.0.0.9"
    with (
        echo_of("127.0.0.2") as (port, seen),
        echo_of("127.0.0.3", port) as (_, also_seen),
        load(port, ways, connections=6, silent=0, udp=0) as running,
    ):
        result = running.stop()
    assert [flow.state for flow in result.flows] == ["kept"] * 6
    assert seen[:3] == ["127.0.0.8"] * 3
    assert also_seen[:3] == ["127.0.0.9"] * 3
    assert {*seen} == {"127.0.0.8"}


@contextmanager
def echo_of(address: str, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """A TCP echo at an address; yields its port and who has connected so far."""
    clients: list[str] = []

    class Echoes(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            clients.append(self.client_address[0])
            while data := self.request.recv(4096):
                self.request.sendall(data)

    with socketserver.ThreadingTCPServer((address, port), Echoes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], clients
        server.shutdown()


def test_a_pause_is_a_stall_of_every_connection_that_lives(echo: Echo) -> None:
    with load(echo.port, new_ms=50) as running:
        time.sleep(0.3)
        echo.pause(0.6)
        time.sleep(0.3)
        result = running.stop()
    assert all(flow.kept and 0.55 < flow.stall_s < 5 for flow in result.flows)
    assert result.datagrams["udp"].gap_s > 0.55
    assert max(attempt.took_s for attempt in result.attempts) > 0.4


def test_a_client_that_does_not_run_is_no_gap_of_the_path(echo: Echo) -> None:
    """The same silence, once because nothing comes back, once because nobody listens."""
    with load(echo.port) as running:
        time.sleep(0.3)
        running.process.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        running.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        result = running.stop()
    assert result.late_s > 0.7
    assert result.datagrams["udp"].gap_s < 0.4


def test_an_end_that_dies_loses_every_connection(echo: Echo) -> None:
    with load(echo.port) as running:
        time.sleep(0.3)
        echo.kill()
        time.sleep(0.3)
        result = running.stop()
    assert {flow.state for flow in (*result.flows, *result.silent)} <= {"eof", "ECONNRESET", "EPIPE"}
    assert "ECONNREFUSED" in {attempt.outcome for attempt in result.attempts}
    assert result.datagrams["udp"].lost + result.datagrams["udp"].errors > 0


def test_an_end_that_says_nothing_any_more_is_silent_and_not_kept(echo: Echo) -> None:
    with load(echo.port, connections=2, silent=0, grace_ms=1000) as running:
        time.sleep(0.2)
        echo.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        result = running.stop()
    assert [flow.state for flow in result.flows] == ["silent", "silent"]


def test_the_clock_is_told_at_once(echo: Echo) -> None:
    with load(echo.port) as running:
        before = time.monotonic()
        running.ask("clock")
        word, told = running.answer()
        assert word == "clock"
        assert before - 0.001 <= float(told) <= time.monotonic() + 0.001


def test_round_trips_so_far_are_told_while_it_runs(echo: Echo) -> None:
    with load(echo.port) as running:
        time.sleep(0.3)
        running.ask("so-far")
        word, echoes, *times = running.answer()
        assert word == "so-far"
        assert int(echoes) > 20
        median, p99, longest = map(float, times)
        assert 0 < median <= p99 <= longest < 1
        assert {flow.state for flow in running.stop().flows} == {"kept"}


def test_datagrams_that_never_come_back_again_are_a_gap(echo: Echo) -> None:
    with load(echo.port, connections=1) as running:
        time.sleep(0.2)
        echo.kill()
        time.sleep(0.7)
        assert running.stop().datagrams["udp"].gap_s > 0.6


def test_without_an_echo_it_says_so_and_ends() -> None:
    argv = [sys.executable, str(REMOTE / "load.py"), "127.0.0.1", str(free_port()), "icmp=0"]
    done = subprocess.run(argv, input="", capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert done.stderr.startswith("127.0.0.1: ")
    assert "connection 1 of 101: Connection refused" in done.stderr


@contextmanager
def served(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A service of which this is the only thread; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:

        def serve() -> None:
            with suppress(OSError):  # the load is over
                talk(server)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def ends_it(server: socket.socket) -> None:
    server.accept()[0].close()


def says_nothing(server: socket.socket) -> None:
    with server.accept()[0] as taken:
        while taken.recv(100):
            pass


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (says_nothing, "connection 1 of 1: no echo in 0.5 s"),
        (ends_it, "connection 1 of 1: the echo service ended it"),
    ],
)
def test_an_echo_that_does_not_do_its_work_is_said_of_the_connection(
    talk: Callable[[socket.socket], None], said: str
) -> None:
    with served(talk) as port:
        code = f"import sys; sys.path.insert(0, {str(REMOTE)!r}); import load; load.FIRST_ECHO_S = 0.5; load.main()"
        argv = [sys.executable, "-c", code, "127.0.0.1", str(port)]
        words = ["icmp=0", "udp=0", "silent=0", "connections=1"]
        done = subprocess.run([*argv, *words], input="", capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert done.stderr.startswith(f"127.0.0.1: {said}")


def test_many_connections_are_made_a_batch_at_a_time() -> None:
    """There are no more of them before those that there are have been answered: no queue of a service runs over."""
    unanswered: list[int] = []

    def answers_late(server: socket.socket) -> None:
        server.settimeout(0.05)
        talks: list[socket.socket] = []
        while sum(unanswered) < 301:
            fresh: list[socket.socket] = []
            with suppress(TimeoutError):
                while True:
                    fresh.append(server.accept()[0])
            unanswered.append(len(fresh))
            for one in fresh:
                one.send(one.recv(100))
            talks += fresh
        time.sleep(5)

    with served(answers_late) as port, load(port, connections=300, interval_ms=60_000, udp=0, new_ms=60_000):
        assert sum(unanswered) == 301
        assert max(unanswered) <= 50


def test_many_connections_end_a_batch_at_a_time() -> None:
    """The next one when the far end of the last has ended, too: no path has a thousand ends to track at once."""
    ended: list[int] = []

    def echoes_and_ends_late(server: socket.socket) -> None:
        with selectors.DefaultSelector() as found:
            found.register(server, selectors.EVENT_READ)
            while True:
                over: list[socket.socket] = []
                for key, _ in found.select(timeout=1):
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    if one is server:
                        found.register(server.accept()[0], selectors.EVENT_READ)
                    elif data := one.recv(100):
                        one.send(data)
                    else:
                        found.unregister(one)
                        over.append(one)
                if over:
                    time.sleep(0.05)
                    ended.append(len(over))
                for one in over:
                    one.close()

    with (
        served(echoes_and_ends_late) as port,
        load(port, connections=200, interval_ms=100, new_ms=60_000, udp=0) as running,
    ):
        result = running.stop()
        assert [flow.state for flow in (*result.flows, *result.silent)] == ["kept"] * 201
        assert sum(ended) >= 201
        assert max(ended) <= 51  # and one of those that are new, and end at once


@pytest.mark.parametrize("events", [0, 3])
def test_a_run_can_be_drawn(echo: Echo, tmp_path: Path, events: int) -> None:
    with load(echo.port, bulk=1) as running:
        time.sleep(0.5)
        result = running.stop()
    kinds = ("fault", "seen", "mend")
    marks = tuple(Event(result.began + 0.1 * n, kinds[n % 3], f"event {n} [odd] $x$") for n in range(events))
    samples: tuple[Any, ...] = tuple(
        Sample(result.began + at, {"platform": ("proxy-0",), "alpha": holders})
        for at, holders in ((0.1, ("proxy-0",)), (0.2, ()), (0.3, ("proxy-0", "proxy-1")))
    )
    steady = Steady(echoes=1, median_s=0.01, p99_s=0.02, longest_s=0.03, load_average=0.5)
    run = RunResult(
        scenario="kill", load=result, events=marks, samples=samples, whole_s=None, broken=(), steady=steady
    )
    draw(run, summarise("kill", [run], Bounds()), "what happens", tmp_path / "deep" / "kill.png")
    assert (tmp_path / "deep" / "kill.png").read_bytes().startswith(b"\x89PNG")
