"""tools/setup.sh on machines that are a directory: stub commands on PATH, and nothing else but what Bash needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.paths import PROJECT

NOBODY = 61111
REAL_TOOLS = [
    "bash",
    "env",
    "dirname",
    "grep",
    "awk",
    "sort",
    "comm",
    "cmp",
    "cp",
    "cat",
    "mkdir",
    "ln",
    "rm",
    "sleep",
    "true",
]
STUBS = {
    "dpkg-query": 'while read -r package; do echo "$package installed"; done <installed; echo "old-thing config-files"',
    "apt-get": """
      echo "apt-get $* (${DEBIAN_FRONTEND:-})" >>calls
      for word; do [[ $word == -* || $word == install || $word == update ]] || echo "$word" >>installed; done""",
    "sudo": """
      [[ -e sudoer ]] || { echo "sudo: a password is required" >&2; exit 1; }
      [[ $* == "-n true" ]] || echo "sudo" >>calls
      [[ $1 != -n ]] || shift
      exec "$@\"""",
    "python3": """
      echo "python3 $*" >>calls
      mkdir -p .venv/bin && ln -sf "$PWD/bin/python" .venv/bin/python && touch .venv/pip""",
    "python": """
      if [[ $1 == -c ]]; then [[ -e .venv/pip ]]; exit; fi
      echo "python $*" >>calls
      [[ ! -e slow ]] || sleep 1
      [[ $* != "-m pip"* || ! -e no-network ]]""",
    "touch": ': >>"$1"',
}  # fmt: skip
INSTALL = "apt-get -qq install -y --no-install-recommends git qemu-utils (noninteractive)"
UPDATE = "apt-get -qq update ()"
PIP = "python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock"
NEW_VENV = ["python3 -m venv .venv", PIP, "python -m compileall -q .venv/lib"]


class Machine:
    """A checkout on a machine, and who works there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tools").mkdir()
        (root / "bin").mkdir()
        shutil.copy(PROJECT / "tools" / "setup.sh", root / "tools")
        (root / "tools" / "debian-packages.txt").write_text("# why\nqemu-utils  # disks\ngit\nnftables\n")
        (root / "requirements.lock").write_text("one==1\n")
        (root / "installed").write_text("nftables\n")
        for tool in REAL_TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (root / "bin" / tool).symlink_to(found)
        for name, script in STUBS.items():
            stub = root / "bin" / name
            stub.write_text(f"#!/usr/bin/env bash\n{script}\n")
            stub.chmod(0o755)

    def has_everything(self) -> None:
        """What a run before has installed."""
        (self.root / "installed").write_text("git\nqemu-utils\nnftables\n")
        (self.root / ".venv" / "bin").mkdir(parents=True)
        (self.root / ".venv" / "bin" / "python").symlink_to(self.root / "bin" / "python")
        (self.root / ".venv" / "pip").touch()
        (self.root / ".venv" / "requirements.lock").write_text("one==1\n")

    def setup(self, *, root: bool, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it as root or as an ordinary user; in a user namespace if we are not root ourselves."""
        become: list[str] = []
        if root and os.geteuid() != 0:
            become = [str(shutil.which("unshare")), "--user", "--map-root-user"]
        if not root and os.geteuid() == 0:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            become = [
                str(shutil.which("setpriv")),
                f"--reuid={NOBODY}",
                f"--regid={NOBODY}",
                "--clear-groups",
            ]
        command = [*become, str(self.root / "tools" / "setup.sh")]
        environment["PATH"] = str(self.root / "bin")
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)

    def calls(self) -> list[str]:
        """What was called since the last time."""
        file = self.root / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A fresh one. Not in tmp_path, where nobody else gets in."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Machine(Path(directory))


def test_root_gets_the_packages_that_are_missing_and_a_venv(machine: Machine) -> None:
    done = machine.setup(root=True)
    assert done.returncode == 0, done.stderr
    assert machine.calls() == [UPDATE, INSTALL, *NEW_VENV]
    assert "Debian packages: git qemu-utils" in done.stderr
    again = machine.setup(root=True)
    assert (again.returncode, again.stdout, again.stderr, machine.calls()) == (0, "", "", [])


def test_who_may_use_sudo_without_a_password_gets_them_by_that(machine: Machine) -> None:
    (machine.root / "sudoer").touch()
    done = machine.setup(root=False)
    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["sudo", UPDATE, "sudo", INSTALL, *NEW_VENV]


@pytest.mark.parametrize("sudo", ["asks for a password", "is not installed"])
def test_who_may_not_is_told_what_to_run(machine: Machine, sudo: str) -> None:
    if sudo == "is not installed":
        (machine.root / "bin" / "sudo").unlink()
    done = machine.setup(root=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "setup: Debian packages are missing: git qemu-utils",
        "  → run: sudo apt-get install --no-install-recommends git qemu-utils",
    ]
    assert machine.calls() == []


def test_an_ordinary_user_needs_no_sudo_where_all_is_there(machine: Machine) -> None:
    machine.has_everything()
    done = machine.setup(root=False)
    assert (done.returncode, done.stderr, machine.calls()) == (0, "", [])


def test_what_is_no_debian_machine_is_told_so(machine: Machine) -> None:
    (machine.root / "bin" / "dpkg-query").unlink()
    done = machine.setup(root=True)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "setup: this is not a Debian machine\n  → install by other means what tools/"
    )
    assert machine.calls() == []


def test_a_changed_lock_is_installed_into_the_same_venv(machine: Machine) -> None:
    machine.has_everything()
    (machine.root / "requirements.lock").write_text("one==2\n")
    assert machine.setup(root=True).returncode == 0
    assert machine.calls() == NEW_VENV[1:]
    assert machine.setup(root=True).returncode == 0
    assert machine.calls() == []


def test_what_failed_is_tried_again(machine: Machine) -> None:
    machine.has_everything()
    (machine.root / "requirements.lock").write_text("one==2\n")
    (machine.root / "no-network").touch()
    assert machine.setup(root=True).returncode != 0
    assert machine.calls() == [PIP]
    (machine.root / "no-network").unlink()
    assert machine.setup(root=True).returncode == 0
    assert machine.calls() == NEW_VENV[1:]


def test_what_takes_long_says_that_it_goes_on(machine: Machine) -> None:
    machine.has_everything()
    (machine.root / "requirements.lock").write_text("one==2\n")
    (machine.root / "slow").touch()
    done = machine.setup(root=True, SETUP_SAYS_EVERY_S="0.2")
    assert done.returncode == 0, done.stderr
    signs = [line.partition("[setup]\x1b[0m ")[2] for line in done.stderr.splitlines()]
    assert signs[0] == "Python packages from requirements.lock into .venv (one to three minutes)"
    assert len([sign for sign in signs if sign.startswith("Python packages: at it for ")]) >= 2
    assert any(sign.startswith("bytecode of the Python packages: at it for ") for sign in signs)


def test_a_sign_of_life_hides_no_failure(machine: Machine) -> None:
    machine.has_everything()
    (machine.root / "requirements.lock").write_text("one==2\n")
    for name in ("slow", "no-network"):
        (machine.root / name).touch()
    done = machine.setup(root=True, SETUP_SAYS_EVERY_S="0.2")
    assert done.returncode != 0
    assert "Python packages: at it for" in done.stderr
    assert machine.calls() == [PIP]


def test_a_venv_that_was_left_half_made_or_by_another_python_is_made_anew(machine: Machine) -> None:
    machine.has_everything()
    (machine.root / ".venv" / "pip").unlink()
    assert machine.setup(root=True).returncode == 0
    assert machine.calls() == NEW_VENV


def test_every_package_is_the_name_of_one(machine: Machine) -> None:
    """The list's comments and columns are not taken for packages."""
    shutil.copy(PROJECT / "tools" / "debian-packages.txt", machine.root / "tools")
    done = machine.setup(root=True)
    assert done.returncode == 0, done.stderr
    asked = machine.calls()[1].removeprefix("apt-get -qq install -y --no-install-recommends ").split(" (")[0]
    assert {"qemu-system-x86", "python3-venv"} <= set(asked.split())
    assert all(word.replace("-", "").replace(".", "").replace("+", "").isalnum() for word in asked.split())
