"""KVM is used only where it was seen to work, and the fallback is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.machine import accelerator
from lab.machine.accelerator import KVM, TCG, choose_accelerator, why_not_kvm

KERNEL = Path("/vmlinuz")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What progress was told; the cache is empty."""
    monkeypatch.setenv("CAUSEWAY_LAB_HOME", str(tmp_path))
    monkeypatch.delenv("CAUSEWAY_LAB_ACCELERATOR", raising=False)
    return []


def finds(monkeypatch: pytest.MonkeyPatch, *reasons: str) -> None:
    """The probe finds these, one a call, and may not be called more often."""
    left = list(reasons)
    monkeypatch.setattr(accelerator, "why_not_kvm", lambda _kernel: left.pop(0))


def test_kvm_that_works_is_used_without_a_word(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    finds(monkeypatch, "")
    assert [choose_accelerator(KERNEL, said.append) for _ in range(2)] == [KVM, KVM]
    assert said == []


def test_the_fallback_is_said_each_time_and_probed_once(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    finds(monkeypatch, "no /dev/kvm")
    assert [choose_accelerator(KERNEL, said.append) for _ in range(2)] == [TCG, TCG]
    assert said == ["guests are emulated (TCG), which is slower: no /dev/kvm"] * 2


def test_another_boot_of_the_machine_is_probed_anew(
    monkeypatch: pytest.MonkeyPatch, said: list[str], tmp_path: Path
) -> None:
    finds(monkeypatch, "no /dev/kvm", "")
    choose_accelerator(KERNEL, said.append)
    cache = tmp_path / "accelerator.json"
    cache.write_text(json.dumps(json.loads(cache.read_text()) | {"boot_id": "another"}))
    assert choose_accelerator(KERNEL, said.append) == KVM


def test_a_damaged_cache_is_none(monkeypatch: pytest.MonkeyPatch, said: list[str], tmp_path: Path) -> None:
    finds(monkeypatch, "")
    (tmp_path / "accelerator.json").write_text("{")
    assert choose_accelerator(KERNEL, said.append) == KVM


def test_the_choice_can_be_made_by_hand(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    finds(monkeypatch)
    monkeypatch.setenv("CAUSEWAY_LAB_ACCELERATOR", "tcg")
    assert choose_accelerator(KERNEL, said.append) == TCG
    monkeypatch.setenv("CAUSEWAY_LAB_ACCELERATOR", "xen")
    with pytest.raises(LabError, match="CAUSEWAY_LAB_ACCELERATOR=xen"):
        choose_accelerator(KERNEL, said.append)


def test_without_the_device_nothing_is_started(tmp_path: Path) -> None:
    assert why_not_kvm(KERNEL, tmp_path / "kvm") == f"no {tmp_path / 'kvm'}"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'VFS: Unable to mount root fs'", ""),
        ("echo nothing of a kernel", "did not come up"),
        ("echo could not open KVM >&2; exit 1", "could not open KVM"),
        ("exec tail -f /dev/null", "did not boot with it in 1 s"),
    ],
)
def test_only_a_kernel_that_boots_is_proof(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, reason: str
) -> None:
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text(f"#!/bin/sh\n{script}\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = why_not_kvm(KERNEL, Path("/dev/null"), deadline_s=1)
    assert reason in found
    assert bool(found) == bool(reason)
