"""Whatever ends in the middle, the next command copes with it, and `down` leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.daemon import launch
from lab.paths import PROJECT
from tests.lab.conftest import SINGLE, LabUnderTest, wait_until
from tests.lab.test_path import FUNC, HTTP

pytestmark = pytest.mark.lab


@pytest.fixture
def fresh() -> Iterator[LabUnderTest]:
    """A lab of its own, down before and after."""
    lab = LabUnderTest(f"crash-{os.getpid()}")
    try:
        yield lab
    finally:
        lab.command("down")


def start_up(lab: LabUnderTest) -> subprocess.Popen[str]:
    """`lab up` in a session of its own."""
    argv = [sys.executable, "-m", "lab", "up", "--name", lab.name, *SINGLE]
    return subprocess.Popen(
        argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for_hosts(lab: LabUnderTest, up: subprocess.Popen[str], count: int) -> None:
    """Until the API knows so many instances: in the middle of `up`."""

    def enough() -> bool:
        assert up.poll() is None, up.communicate()[0]
        done = lab.command("status", "--json", check=False)
        return done.returncode == 0 and done.stdout.count('"instance_id"') >= count

    wait_until(f"{count} hosts are started", enough, 120)


def processes_of(lab: LabUnderTest) -> list[str]:
    """Command lines on this machine that name the lab or its directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(lab.paths.root) in line or f"--name {lab.name}" in line:
                found.append(line)
    return found


def processes_in(namespace: int) -> list[Path]:
    """Processes of this machine that are in a network namespace, which is given as an open file."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.path.samestat((process / "ns" / "net").stat(), os.fstat(namespace)):
                found.append(process)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def of_the_machine() -> dict[str, str]:
    """What is this machine's own: devices, addresses, routes, filters, settings of its network, and mounts."""
    asked = (
        "ip -br link",
        "ip -br address",
        "ip route show table all",
        "ip rule",
        "nft --stateless list ruleset",
    )
    told = {line: subprocess.run(line.split(), capture_output=True, text=True).stdout for line in asked}
    for file in (
        "/proc/self/mounts",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/conf/all/rp_filter",
    ):
        told[file] = Path(file).read_text()
    told["named namespaces"] = " ".join(sorted(path.name for path in Path("/run/netns").glob("*")))
    return told


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_is_completed_by_the_next(fresh: LabUnderTest, signum: signal.Signals) -> None:
    with start_up(fresh) as up:
        wait_for_hosts(fresh, up, 2)
        up.send_signal(signum)
        up.wait(60)
        assert up.returncode != 0
    fresh.up()
    fresh.succeed(FUNC, HTTP)
    assert [h["name"] for h in fresh.status()["hosts"]] == ["func-0", "proxy-0", "user-alpha"]


def test_down_in_the_middle_of_up_leaves_nothing(fresh: LabUnderTest) -> None:
    own = of_the_machine()
    with start_up(fresh) as up:
        wait_for_hosts(fresh, up, 1)
        assert of_the_machine() == own, "everything of a lab is in its own namespaces"
        supervisor = launch.find(fresh.paths)
        assert supervisor is not None
        (init,) = launch.children(supervisor.pid)
        internet = os.open(f"/proc/{init}/ns/net", os.O_RDONLY)
        assert processes_in(internet)
        os.killpg(up.pid, signal.SIGKILL)
        up.wait(10)
    fresh.command("down")
    assert not fresh.paths.root.exists()
    assert not (fresh.paths.root.parent / f".{fresh.name}.lock").exists()
    assert processes_of(fresh) == []
    assert processes_in(internet) == []
    os.close(internet)
    assert of_the_machine() == own


def test_a_daemon_that_died_is_said_and_mended(fresh: LabUnderTest) -> None:
    fresh.command("up", "--empty")
    supervisor = launch.find(fresh.paths)
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until("it is gone", lambda: launch.find(fresh.paths) is None)
    said = fresh.command("status", check=False)
    assert said.returncode == 1
    assert "has stopped" in said.stderr
    assert "lab down" in said.stderr
    assert "Traceback" not in said.stderr
    fresh.command("up", "--empty")
    assert fresh.status()["hosts"] == []


def test_a_preview_that_was_killed_leaves_no_api_and_the_next_none_of_its_files(fresh: LabUnderTest) -> None:
    argv = [sys.executable, "-m", "lab", "preview", "--stack", "dev"]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as preview:
        left = LabUnderTest(f"preview-{preview.pid}")
        wait_until("its API answers", lambda: left.paths.control_socket.exists())
        preview.kill()
    wait_until("the API is gone", lambda: processes_of(left) == [])
    assert left.paths.root.exists()
    fresh.command("preview", "--stack", "dev")
    assert not left.paths.root.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "/", "../images", "a/b", "x" * 200, "-x", "A"])
def test_what_is_no_name_of_a_lab_removes_nothing(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "labs" / "other" / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    for command in ("down", "status"):
        argv = [sys.executable, "-m", "lab", command, f"--name={name}"]
        environment = {**os.environ, "CAUSEWAY_LAB_HOME": str(tmp_path)}
        said = subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True)
        assert said.returncode == 1
        assert "is no name for a lab" in said.stderr
        assert "Traceback" not in said.stderr
    assert precious.exists()


def test_a_busy_name_is_refused(fresh: LabUnderTest) -> None:
    fresh.paths.root.parent.mkdir(parents=True, exist_ok=True)
    with launch.exclusive(fresh.paths):
        for command in (["up", "--empty"], ["down"]):
            fresh.paths.root.mkdir(exist_ok=True)
            said = fresh.command(*command, check=False)
            assert said.returncode == 1, command
            assert "busy" in said.stderr
            assert "--name" in said.stderr


def test_a_host_that_does_not_answer_is_named(fresh: LabUnderTest) -> None:
    fresh.up()
    fresh.command("fault", "hang", FUNC)
    started = time.monotonic()
    said = fresh.command("exec", FUNC, "--", "true", check=False)
    assert said.returncode == 1
    assert f"{FUNC} hangs: `lab fault resume {FUNC}` wakes it" in said.stderr
    assert time.monotonic() - started < 60  # a stated bound: connect 10 s, banner 30 s
    fresh.command("fault", "resume", FUNC)
    wait_until(
        "it answers again", lambda: fresh.command("exec", FUNC, "--", "true", check=False).returncode == 0
    )


def test_a_missing_tool_is_named_with_its_package(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for tool in ("unshare", "ip", "mount", "true"):
        found = next(p for d in os.environ["PATH"].split(":") if (p := Path(d) / tool).exists())
        (bare / tool).symlink_to(found)
    lab = LabUnderTest(f"tools-{os.getpid()}")
    said = lab.command("up", "--empty", check=False, env={**os.environ, "PATH": str(bare)})
    assert said.returncode == 1
    assert "apt-get install" in said.stderr
    assert "qemu-system-x86" in said.stderr
    assert "Traceback" not in said.stderr
    assert not lab.paths.root.exists()
