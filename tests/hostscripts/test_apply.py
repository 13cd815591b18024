"""The dispatcher: order, failures, records, one at a time."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from components.host_scripts import Concern
from tests.hostscripts.stub_host import StubHost


def concern_does(host: StubHost, concern: str, script: str) -> None:
    """A concern with this script and some state."""
    path = host.root / f"opt/causeway/{concern}.sh"
    path.write_text(f'#!/usr/bin/env bash\nsource "$CAUSEWAY_ROOT/opt/causeway/lib.sh"\n{script}\n')
    path.chmod(0o755)
    host.state(concern, {})


def test_all_concerns_with_state_in_order_whatever_fails(stub_host: StubHost) -> None:
    concern_does(stub_host, "routes", "say here; true")
    concern_does(stub_host, "tunnel", "run false")
    concern_does(stub_host, "packages", "run true")
    said = re.sub(r"lib.sh:\d+", "lib.sh:N", stub_host.apply(ok=False))
    assert said.splitlines() == [
        "causeway: packages: true",
        "causeway: packages: changed",
        "causeway: tunnel: false",
        'causeway: tunnel: error: lib.sh:N: failed: "$@"',
        "causeway: tunnel: failed",
        "causeway: routes: here",
        "causeway: routes: unchanged",
        "causeway: apply: error: not applied: tunnel",
    ]


def test_a_concern_is_applied_alone(stub_host: StubHost) -> None:
    concern_does(stub_host, "packages", "say here")
    concern_does(stub_host, "tunnel", "say here")
    assert stub_host.apply("tunnel") == "causeway: tunnel: here\ncauseway: tunnel: unchanged\n"


def test_a_device_made_anew_takes_the_later_concerns_along(stub_host: StubHost) -> None:
    concern_does(stub_host, "packages", "say here")
    concern_does(stub_host, "tunnel", "later_concerns_follow; say here")
    concern_does(stub_host, "routes", "say here")
    said = stub_host.apply("tunnel")
    assert [line for line in said.splitlines() if "here" in line] == [
        "causeway: tunnel: here",
        "causeway: routes: here",
    ]
    concern_does(stub_host, "tunnel", "say here")
    assert "routes" not in stub_host.apply("tunnel")


@pytest.mark.parametrize("killed_before", ["tunnel", "nat", "forward"])
def test_whoever_follows_is_not_forgotten_when_apply_is_killed(
    stub_host: StubHost, killed_before: str
) -> None:
    followers = ["tunnel", "nat", "forward"]
    concern_does(stub_host, "user_eni", "later_concerns_follow")
    for concern in followers:
        concern_does(stub_host, concern, "true")
    concern_does(stub_host, killed_before, "kill -9 $PPID")
    stub_host.apply("user_eni", ok=False)
    concern_does(stub_host, killed_before, "true")
    concern_does(stub_host, "user_eni", "true")
    undone = followers[followers.index(killed_before) :]
    assert stub_host.apply("user_eni").splitlines() == [
        f"causeway: {concern}: unchanged" for concern in ["user_eni", *undone]
    ]
    assert stub_host.apply("user_eni") == "causeway: user_eni: unchanged\n"


def test_hosts_apply_in_the_order_of_the_stacks_commands(stub_host: StubHost) -> None:
    for concern in Concern:
        concern_does(stub_host, concern, "true")
    applied = [line.split(":")[1].strip() for line in stub_host.apply().splitlines()]
    assert applied == list(Concern)


@pytest.mark.parametrize(("name", "says"), [("tunel", "unknown concern tunel"), ("nat", "no state for nat")])
def test_what_cannot_be_applied_is_said(stub_host: StubHost, name: str, says: str) -> None:
    assert says in stub_host.apply(name, ok=False)


@pytest.mark.parametrize(
    ("name", "target"),
    [("causeway", "multi-user"), ("causeway-input", "sysinit"), ("causeway-container", "sysinit")],
)
def test_a_boot_unit_is_enabled_once(stub_host: StubHost, name: str, target: str) -> None:
    unit = stub_host.root / f"etc/systemd/system/{name}.service"
    unit.write_text("[Unit]\n")
    concern_does(stub_host, "packages", "true")
    assert f"ln -sf ../{name}.service" in stub_host.apply()
    link = unit.parent / f"{target}.target.wants/{name}.service"
    assert link.resolve() == unit
    assert stub_host.apply() == "causeway: packages: unchanged\n"


def test_two_applies_take_turns(stub_host: StubHost) -> None:
    concern_does(stub_host, "packages", "say applied")
    stub_host.apply()
    with (stub_host.root / "run/causeway/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [stub_host.root / "opt/causeway/apply"],
            env=stub_host.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=0.5)
        fcntl.flock(lock, fcntl.LOCK_UN)
    assert "applied" in second.communicate()[0]


def status(host: StubHost, concern: str) -> dict[str, object]:
    """What status says about a concern."""
    told: dict[str, object] = json.loads(host.run([str(host.root / "opt/causeway/status")]))["concerns"][
        concern
    ]
    return told


@pytest.mark.parametrize("emptied", ["etc/causeway/routes.json", "opt/causeway/routes.sh"])
def test_what_lost_its_content_is_not_taken_for_applied(stub_host: StubHost, emptied: str) -> None:
    concern_does(stub_host, "routes", "true")
    (stub_host.root / emptied).write_text("")
    said = stub_host.apply(ok=False)
    assert "routes: its state or its script is empty" in said
    assert said.splitlines()[-2:] == [
        "causeway: routes: failed",
        "causeway: apply: error: not applied: routes",
    ]


def test_status_says_that_it_lacks_jq(stub_host: StubHost, tmp_path: Path) -> None:
    """A user instance, which is not ours, need not have it."""
    environment = {**os.environ, **stub_host.environment(), "CAUSEWAY_PATH": str(tmp_path)}
    command = [str(stub_host.root / "opt/causeway/status")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("causeway: status: error: jq is missing")
    assert line.endswith("run: apt-get install jq")


def test_status_tells_whether_what_is_there_was_applied(stub_host: StubHost) -> None:
    concern_does(stub_host, "packages", "true")
    assert status(stub_host, "packages") | {"state_sha256": ""} == {
        "result": None,
        "applied_at": None,
        "state_sha256": "",
        "in_sync": False,
    }
    stub_host.apply()
    assert status(stub_host, "packages")["in_sync"] is True
    stub_host.state("packages", {"other": True})
    assert status(stub_host, "packages")["in_sync"] is False
    stub_host.apply()
    concern_does(stub_host, "packages", "false")
    stub_host.apply(ok=False)
    assert status(stub_host, "packages")["result"] == "failed"
    assert status(stub_host, "packages")["in_sync"] is False


def test_packages_are_installed_only_if_missing(stub_host: StubHost) -> None:
    stub_host.state("packages", {"install": True, "packages": ["jq", "nftables"]})
    assert stub_host.apply() == "causeway: packages: unchanged\n"
    stub_host.state("packages", {"install": True, "packages": ["jq", "curl", "tcpdump"]})
    assert stub_host.apply().endswith("causeway: packages: changed\n")
    update, install = stub_host.done()
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends curl tcpdump")
