"""What `up` does the second time, to changed stacks, restarted and replaced hosts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import paramiko
import pytest

from lab.errors import LabError
from lab.paths import PROJECT
from tests.lab.conftest import LabUnderTest, wait_until
from tests.lab.kept_connections import kept_connections
from tests.lab.pair_lab import ops_status
from tests.lab.test_path import FUNC, HTTP, PROXY, USER

pytestmark = pytest.mark.lab


def changed(result: dict[str, list[dict[str, str]]]) -> set[tuple[str, str]]:
    """(operation, resource name) of every step that is not `same`."""
    return {(step["op"], step["name"]) for step in result["steps"] if step["op"] != "same"}


def test_a_second_up_changes_nothing(lab: LabUnderTest) -> None:
    assert changed(lab.up()) == set()


def test_a_refresh_changes_nothing(lab: LabUnderTest) -> None:
    assert changed(lab.up("--refresh")) == set()


def test_preview_connects_to_no_host(lab: LabUnderTest) -> None:
    count = "journalctl --no-pager -u ssh | grep -c Accepted || true"
    before = {host: lab.succeed(host, count) for host in (FUNC, PROXY)}
    lab.preview("--config", "func_hosts.count=2")
    assert {host: lab.succeed(host, count) for host in (FUNC, PROXY)} == before


def test_func_hosts_come_and_go(lab: LabUnderTest) -> None:
    with kept_connections(lab, 1):  # others run beside this one
        grown = changed(lab.up("--config", "func_hosts.count=3"))
        for host in ("func-1", "func-2"):
            lab.succeed(host, HTTP)
        touched = {name for op, name in grown if op != "create"}
        assert all(name.startswith("proxy-0") and "tunnel" in name for name in touched), touched
        assert all(name.startswith(("func-1", "func-2")) for op, name in grown if op == "create"), grown

        shrunk = changed(lab.up("--config", "func_hosts.count=2"))
        lab.forget("func-2")
        assert all(
            (op == "delete" and name.startswith("func-2"))
            or (name.startswith("proxy-0") and "tunnel" in name)
            for op, name in shrunk
        ), shrunk
        lab.succeed("func-1", HTTP)
        neighbours = lab.json(PROXY, "ip netns exec tenant-alpha ip -j neigh show dev mgre1 nud permanent")
        assert len(neighbours) == 2
    lab.up()
    lab.forget("func-1")


def test_a_replaced_proxy_is_configured_by_the_same_up(lab: LabUnderTest) -> None:
    old = next(h["instance_id"] for h in lab.status()["hosts"] if h["name"] == PROXY)
    lab.up("--replace", PROXY)
    lab.forget(PROXY)
    new = next(h["instance_id"] for h in lab.status()["hosts"] if h["name"] == PROXY)
    assert new != old
    lab.succeed(FUNC, HTTP)
    assert changed(lab.up()) == set()


def test_killed_and_restarted_hosts_come_back_by_themselves(lab: LabUnderTest) -> None:
    """All at once, as after a power failure."""
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = {host: lab.succeed(host, boot_id) for host in (FUNC, PROXY, USER)}
    lab.command("fault", "kill", USER)
    lab.forget(USER)
    assert machine(lab, USER) == "crashed"
    said = lab.command("exec", USER, "--", "true", check=False)
    assert said.returncode == 1
    assert f"`lab fault restart {USER}`" in said.stderr
    assert "Traceback" not in said.stderr
    for host in before:
        lab.command("fault", "restart", host)
        lab.forget(host)
    assert machine(lab, USER) == "running"
    try:
        wait_until("the path works again", lambda: answers(lab, FUNC, HTTP), 180)
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(told_by(lab, host) for host in before)) from error
    assert [host for host, old in before.items() if lab.succeed(host, boot_id) == old] == []
    assert changed(lab.up("--refresh")) == set()


def told_by(lab: LabUnderTest, host: str) -> str:
    """Why a host may not do what it should: what it says, or the end of its console if it lets nobody in."""
    asked = "uptime; systemctl --no-pager --failed; journalctl --no-pager -b -u causeway | tail -n 30"
    try:
        said = lab.exec(host, [asked]).stdout.decode()
    except (LabError, OSError, paramiko.SSHException) as error:
        said = f"{error}\n{lab.command('logs', host).stdout[-2000:]}"
    return f"── {host}, {machine(lab, host)}\n{said}"


def machine(lab: LabUnderTest, host: str) -> str:
    """What `status` says of a host's machine."""
    return str(next(h for h in lab.status()["hosts"] if h["name"] == host)["machine"]["state"])


def answers(lab: LabUnderTest, host: str, line: str) -> bool:
    """Whether a host lets us in and a command there succeeds."""
    try:
        return lab.exec(host, [line]).returncode == 0
    except (LabError, OSError, paramiko.SSHException):
        return False


def test_an_edited_script_shows_on_exactly_the_hosts_that_have_it(lab: LabUnderTest, tmp_path: Path) -> None:
    """In another checkout, whose program its command line runs in the same lab."""
    checkout = tmp_path / "checkout"
    shutil.copytree(PROJECT, checkout, ignore=shutil.ignore_patterns(".*", "build", "__pycache__"))
    edited = LabUnderTest(lab.name, checkout)
    script = checkout / "hostscripts" / "nat.sh"
    script.write_text(script.read_text() + "# edited\n")
    steps = changed(edited.preview())
    assert steps
    assert all(name.startswith("proxy-0") and "nat" in name for _, name in steps), steps
    assert changed(edited.up()) == steps
    assert "# edited" in lab.succeed(PROXY, "tail -n 1 /opt/causeway/nat.sh")
    lab.up()
    assert "# edited" not in lab.succeed(PROXY, "cat /opt/causeway/nat.sh")


def test_a_host_that_has_another_state_than_the_engine_believes_is_named_with_the_way_out(
    lab: LabUnderTest,
) -> None:
    """As when an update lost the connection once a host had what it was told, and the change was taken back."""
    state = "/etc/causeway/routes.json"
    lab.succeed(
        FUNC, f"jq '.hello = 1' {state} >/tmp/state && cp /tmp/state {state} && /opt/causeway/apply routes"
    )
    (problem,) = ops_status(lab)["problems"]
    assert problem["subject"] == "stack"
    assert "func-0 has another state than the last update says: routes (" in problem["text"]
    assert changed(lab.up()) == set()
    (urn,) = re.findall(r"--replace '(\S+)'", problem["text"])
    lab.up("--replace", urn)
    assert ops_status(lab)["problems"] == []


def test_peers_that_left_the_state_leave_the_kernel(lab: LabUnderTest) -> None:
    lab.succeed(
        PROXY,
        "ip netns exec tenant-alpha ip neigh add 10.0.0.99 lladdr 192.168.80.99 dev mgre1 nud permanent",
    )
    assert "changed" in lab.succeed(PROXY, "/opt/causeway/apply tunnel")
    neighbours = lab.json(PROXY, "ip netns exec tenant-alpha ip -j neigh show dev mgre1 nud permanent")
    assert [n["dst"] for n in neighbours] == ["10.0.0.3"]
    assert "unchanged" in lab.succeed(PROXY, "/opt/causeway/apply tunnel")
