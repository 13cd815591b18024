"""Debian packages for a guest, which has no way to an archive: fetched by this machine, installed there."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from lab.image.files import SUITE
from lab.image.mirror import debian_mirror
from tests.lab.conftest import LabUnderTest

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Their place on the guest is a disk's: /run and /tmp are of its little memory.
INSTALL = """
mkdir /var/tmp/packages
tar -C /var/tmp/packages -x
DEBIAN_FRONTEND=noninteractive dpkg --path-exclude='/usr/share/doc/*' -i /var/tmp/packages/*.deb
rm -r /var/tmp/packages
"""


def install(lab: LabUnderTest, host: str, directory: Path, *names: str) -> None:
    """These and what they need; `directory` is for apt's files."""
    status = lab.succeed(host, "cat /var/lib/dpkg/status")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for package in fetched(status, directory, *names):
            tar.add(package, package.name)
    lab.succeed(host, f"set -e {INSTALL}", stdin=archive.getvalue())


def fetched(status: str, directory: Path, *names: str) -> list[Path]:
    """What a host with this dpkg status lacks. An apt of its own: nothing of this machine's is read or changed."""
    for place in ("state/lists/partial", "cache/archives/partial"):
        (directory / place).mkdir(parents=True)
    (directory / "status").write_text(status)
    (directory / "sources.list").write_text(f"deb [signed-by={KEYRING}] {debian_mirror()} {SUITE} main\n")
    options = [
        f"Dir::Etc::sourcelist={directory / 'sources.list'}",
        "Dir::Etc::sourceparts=-",
        f"Dir::State={directory / 'state'}",
        f"Dir::State::status={directory / 'status'}",
        f"Dir::Cache={directory / 'cache'}",
        "APT::Architecture=amd64",
        "APT::Sandbox::User=",
    ]
    apt = ["apt-get", "-qy", *(word for option in options for word in ("-o", option))]
    for words in (["update"], ["install", "--download-only", "--no-install-recommends", *names]):
        done = subprocess.run([*apt, *words], capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return sorted((directory / "cache/archives").glob("*.deb"))
