"""An `up` that is killed or interrupted while the cloud is making an instance: the next one leaves nothing behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.world import World
from tests.lab.conftest import wait_until
from tests.lab.engine_testing import StackUnderTest
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab
DEADLINE_S = 60.0


class Brake:
    """Holds the API's answer to the call that makes the first instance: it is there, and nobody knows its id yet."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()

    def __call__(self, world: World) -> None:
        """Called with each new world before the call that made it is answered."""
        if world.instances and not self.released.is_set():
            self.reached.set()
            assert self.released.wait(DEADLINE_S), "nobody released the brake"


@pytest.fixture
def brake() -> Iterator[Brake]:
    made = Brake()
    yield made
    made.released.set()


@pytest.fixture
def stack(brake: Brake, tmp_path: Path) -> Iterator[StackUnderTest]:
    """A stack in a cloud with the brake on."""
    with running_cloud(brake) as cloud:
        yield StackUnderTest(tmp_path / "pulumi", cloud)
        brake.released.set()


def children(pid: int) -> list[int]:
    """Processes below one, at any depth."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def gone(pids: list[int]) -> Callable[[], bool]:
    """Whether none of them runs any more."""
    return lambda: not any(Path(f"/proc/{pid}/exe").exists() and _is_alive(pid) for pid in pids)


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_killed_in_the_middle_of_making_an_instance(stack: StackUnderTest, brake: Brake) -> None:
    process = stack.start()
    assert brake.reached.wait(DEADLINE_S), "the engine never came to the instance"
    below = children(process.pid)
    engine = [pid for pid in below if "pulumi-v" in str(Path(f"/proc/{pid}/exe").readlink())]
    assert engine, "the engine is not a child of the run"
    for pid in (process.pid, *engine):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    brake.released.set()
    # The plugins see the engine's end, finish the call they are in, and go.
    wait_until("the plugins are gone", gone(below), DEADLINE_S)
    orphans = stack.instances()
    assert len(orphans) == 1
    assert orphans[0] not in stack.context().state_file.read_text(), "the state knows it: nothing was tested"

    result = stack.up()
    assert orphans[0] in result.recovered
    assert stack.instances() == [result.outputs["host"]]
    assert stack.instances() != orphans
    again = stack.up()
    assert (again.summary, again.recovered) == ({}, ())
    stack.destroy()
    assert stack.instances() == []


def test_a_killed_program_lets_the_engine_save_its_state(stack: StackUnderTest, brake: Brake) -> None:
    process = stack.start()
    assert brake.reached.wait(DEADLINE_S), "the engine never came to the instance"
    below = children(process.pid)
    process.kill()
    process.wait()
    brake.released.set()
    wait_until("engine and plugins are gone", gone(below), DEADLINE_S)
    assert stack.instances()[0] in stack.context().state_file.read_text(), "what was made is in the state"
    assert stack.up().recovered == ()


def test_ctrl_c_saves_what_was_made(stack: StackUnderTest, brake: Brake) -> None:
    process = stack.start()
    assert brake.reached.wait(DEADLINE_S), "the engine never came to the instance"
    process.send_signal(signal.SIGINT)
    said = stack.directory / "engine.stdout"
    wait_until("the engine has been interrupted", lambda: "cancelling" in said.read_text(), DEADLINE_S)
    brake.released.set()
    assert process.wait(DEADLINE_S) != 0
    assert stack.instances()[0] in stack.context().state_file.read_text(), "what was made is in the state"
    assert not list((stack.directory / "state" / ".pulumi" / "locks").rglob("*.json")), "the lock is released"

    result = stack.up()
    assert result.recovered == ()
    assert result.summary.get("create", []) != []
    assert "host-0" not in result.summary["create"]
    assert stack.up().summary == {}


def test_destroy_after_a_kill_leaves_nothing(stack: StackUnderTest, brake: Brake) -> None:
    process = stack.start()
    assert brake.reached.wait(DEADLINE_S), "the engine never came to the instance"
    below = children(process.pid)
    for pid in (process.pid, *below):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    brake.released.set()
    wait_until("the plugins are gone", gone(below), DEADLINE_S)
    wait_until("the cloud has made the instance", lambda: len(stack.instances()) == 1)
    stack.destroy()
    assert stack.instances() == []
    assert stack.count("describe_security_groups", "SecurityGroups") <= 1
