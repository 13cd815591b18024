"""Missing packages are installed, also after an installation that was broken off."""

from __future__ import annotations

import pytest

from tests.hostscripts.stub_host import StubHost

INSTALL = "apt-get --quiet=2 -o DPkg::Lock::Timeout=240 -o Acquire::Retries=3"


@pytest.mark.parametrize("broken_off", [False, True])
def test_what_is_missing_is_installed(stub_host: StubHost, broken_off: bool) -> None:
    """Power lost in the middle of dpkg leaves numbered files there, and apt does nothing until they are dealt with."""
    updates = stub_host.root / "var/lib/dpkg/updates"
    updates.mkdir(parents=True)
    if broken_off:
        (updates / "0001").touch()
    stub_host.state("packages", {"install": True, "packages": ["jq", "keepalived"]})
    stub_host.apply("packages")
    assert (stub_host.root / "done").read_text().splitlines() == [
        *(["dpkg --configure -a"] if broken_off else []),
        f"{INSTALL} update",
        f"{INSTALL} install --yes --no-install-recommends keepalived",
    ]


def test_nothing_is_done_without_leave(stub_host: StubHost) -> None:
    stub_host.state("packages", {"install": False, "packages": ["jq", "keepalived"]})
    assert "packages missing: keepalived" in stub_host.apply("packages", ok=False)
    assert not (stub_host.root / "done").exists()
