"""What an image is named after, where its packages come from, and what is said when it cannot be built."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.image import build, ensure, files, mirror, tools

DEBIAN = ("http://mirror.test/debian", "Debian", "Debian")
SECURITY = ("http://mirror.test/debian-security", "Debian", "Debian-Security")
OTHER = ("http://other.test/apt", "Other", "Other")


def test_the_mirror_is_the_one_of_this_machines_apt() -> None:
    assert mirror.choose([OTHER, SECURITY, DEBIAN]) == DEBIAN[0]


def test_before_the_first_update_the_mirror_is_known_by_its_path() -> None:
    assert mirror.choose([(OTHER[0], "", ""), (SECURITY[0], "", ""), (DEBIAN[0], "", "")]) == DEBIAN[0]


def test_a_machine_without_debian_sources_is_told_what_to_set() -> None:
    with pytest.raises(LabError, match="CAUSEWAY_LAB_MIRROR"):
        mirror.choose([OTHER])


def edited(path: Path) -> None:
    path.write_text(path.read_text() + "\n# edited\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda source: edited(source / "packages.txt"),
        lambda source: edited(source / "build.sh"),
        lambda source: edited(source / "customize.sh"),
        lambda source: edited(source / "initrd/init"),
        lambda source: edited(source / "guest/etc/sudoers.d/90-admin"),
        lambda source: (source / "guest/etc/new").write_text(""),
        lambda source: (source / "guest/etc/sudoers.d/90-admin").chmod(0o755),
    ],
)
def test_all_that_decides_the_image_is_in_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    source = shutil.copytree(files.SOURCE, tmp_path / "image")
    monkeypatch.setattr(files, "SOURCE", source)
    monkeypatch.setattr(files, "GUEST", source / "guest")
    before = files.digest()
    assert files.digest() == before
    change(source)
    assert files.digest() != before


def test_guest_files_belong_to_root_and_bring_no_directories(tmp_path: Path) -> None:
    files.pack_guest_files(tmp_path / "tar")
    with tarfile.open(tmp_path / "tar") as tar:
        members = {m.name: m for m in tar}
    assert all(m.isfile() and m.uid == m.gid == 0 for m in members.values())
    assert members["usr/local/lib/ec2-agent/ec2-agent"].mode == 0o755
    assert members["etc/sudoers.d/90-admin"].mode == 0o644


def test_missing_tools_are_named_at_once_with_the_line_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tools, "SEARCH", str(tmp_path))
    with pytest.raises(LabError) as error:
        tools.require_tools()
    assert "apt-get install" in error.value.hint
    assert {"mmdebstrap", "e2fsprogs", "qemu-system-x86"} <= set(error.value.hint.split())


def test_too_little_space_says_how_much_is_needed(tmp_path: Path) -> None:
    tools.require_space(tmp_path, needed_bytes=1)
    with pytest.raises(LabError, match=r"needs 1073741824 MB"):
        tools.require_space(tmp_path, needed_bytes=1 << 50)


def test_what_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with build.becoming(tmp_path / "image") as partial:
            (partial / "root.raw").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "image.partial" / "tree").mkdir(parents=True)
    with build.becoming(tmp_path / "image") as partial:
        (partial / "root.raw").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["image"]
    assert [p.name for p in (tmp_path / "image").iterdir()] == ["root.raw"]


def test_a_failed_build_shows_its_last_words_and_keeps_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(LabError, match="E: no such mirror") as error:
        build.run(["sh", "-c", "echo E: no such mirror >&2; exit 1"], tmp_path, log)
    assert str(log) in error.value.hint
    assert "no such mirror" in log.read_text()


def test_images_that_nobody_wanted_for_long_go_and_others_stay(tmp_path: Path) -> None:
    for name, age_s in (("old", 2 * ensure.UNUSED_S), ("new", 0.0)):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.partial").mkdir()
        lock = tmp_path / f"{name}.lock"
        lock.touch()
        os.utime(lock, (lock.stat().st_mtime - age_s,) * 2)
    ensure.remove_unused(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "new.lock", "new.partial"]
