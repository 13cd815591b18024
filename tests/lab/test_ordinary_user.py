"""An ordinary user has a lab too, where the kernel gives user namespaces to everybody; else it is said what to run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from lab.daemon.launch import namespace_hint, start_ticks
from tests.lab.conftest import client_options
from tests.lab.ordinary_user import UID, OrdinaryUser

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="every lab of these tests is an ordinary user's then"),
]
LAB = ("--name", "ordinary")
UP = ("up", "--empty", "--json", *LAB)
FORBID = "echo 0 >/proc/sys/user/max_user_namespaces"
CLOSE_TUN = (
    "cp --archive /dev/net/tun /mnt/closed && chmod 600 /mnt/closed && mount --bind /mnt/closed /dev/net/tun"
)


@pytest.fixture(scope="module")
def user() -> Iterator[OrdinaryUser]:
    """Somebody without rights."""
    with OrdinaryUser() as user:
        yield user


def processes() -> list[str]:
    """What the user runs. Who has ended is listed until somebody's wait() buries it, and does not run."""
    owned = (entry for entry in Path("/proc").glob("[0-9]*") if owner(entry) == UID)
    return [entry.name for entry in owned if start_ticks(int(entry.name)) is not None]


def owner(process: Path) -> int | None:
    """Whose it is; None if it has ended."""
    try:
        return process.stat().st_uid
    except FileNotFoundError:
        return None


def test_an_ordinary_user_has_a_cloud_with_real_machines(user: OrdinaryUser) -> None:
    up = user.lab(*UP)
    assert up.returncode == 0, up.stderr
    try:
        ec2 = boto3.client("ec2", **client_options(json.loads(up.stdout)))  # type: ignore[call-overload]
        (image,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])["Images"]
        ec2.run_instances(ImageId=image["ImageId"], InstanceType="t3.small", MinCount=1, MaxCount=1)
        (host,) = json.loads(user.lab("status", "--json", *LAB).stdout)["hosts"]
        seen = user.lab("exec", *LAB, host["instance_id"], "--", "ip -br -4 address show eth0")
        assert host["private_ip"] in seen.stdout, seen.stderr
        inside = user.lab("internet", *LAB, "--", "cat", "/proc/self/uid_map").stdout.split()
        assert inside[:2] == ["0", str(UID)], "root of a namespace, and nobody else outside"
        assert processes()
        shared = ("/tmp", "/var/tmp", "/dev/shm", "/run")
        elsewhere = user.run("find", *shared, "-maxdepth", "1", "-uid", str(UID))
        assert elsewhere.stdout == "", "everything is in the cache directory"
    finally:
        down = user.lab("down", *LAB)
    assert down.returncode == 0, down.stderr
    assert processes() == []
    assert user.run("sh", "-c", "ls $CAUSEWAY_LAB_HOME/labs").stdout == ""


def test_without_user_namespaces_it_is_said_what_to_run(user: OrdinaryUser) -> None:
    """In a user namespace of the user's own, which may have none below it."""
    own = ["unshare", "--user", f"--map-user={UID}", f"--map-group={UID}", "--keep-caps"]
    without_rights = 'exec setpriv --ambient-caps=-all "$@"'
    said = user.lab(*UP, wrapped=(*own, "sh", "-c", f"{FORBID} && {without_rights}", "sh"))
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.splitlines()[1:] == [
        "  → run `sudo sysctl user.max_user_namespaces=10000`, or run the lab as root"
    ]


def test_without_the_tun_device_it_is_said_what_to_run(user: OrdinaryUser) -> None:
    said = user.lab(*UP, before=("unshare", "--mount", "sh", "-c", f'{CLOSE_TUN} && exec "$@"', "sh"))
    assert said.returncode == 1
    assert said.stdout == ""
    assert "→ as root: modprobe tun && chmod 666 /dev/net/tun" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kernel/unprivileged_userns_clone": "0"}, "sudo sysctl kernel.unprivileged_userns_clone=1`"),
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1", "user/max_user_namespaces": "0"},
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=10000`",
        ),
        ({"kernel/unprivileged_userns_clone": "1", "user/max_user_namespaces": "5"}, "container or chroot"),
    ],
)
def test_the_settings_that_forbid_it_are_named_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: UID)
    for key, value in settings.items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_text(f"{value}\n")
    assert said in namespace_hint(tmp_path)
