"""The Debian mirror: the one that this machine's own apt uses."""

from __future__ import annotations

import os
import subprocess

from lab.errors import LabError

FORMAT = "$(SITE)\t$(ORIGIN)\t$(LABEL)"
HINT = "set CAUSEWAY_LAB_MIRROR to the URL of a Debian mirror"


def debian_mirror() -> str:
    """URL of an archive that has Debian's releases; LabError if apt knows none."""
    if explicit := os.environ.get("CAUSEWAY_LAB_MIRROR"):
        return explicit
    try:
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError("this machine's apt does not say where it gets packages from", hint=HINT) from error
    return choose([tuple(line.split("\t")) for line in listed.splitlines()])


def choose(targets: list[tuple[str, ...]]) -> str:
    """The main archive among (site, origin, label); before the first `apt-get update` only the site is known."""
    for site, origin, label in targets:
        if (origin, label) == ("Debian", "Debian"):
            return site
    for site, *_ in targets:
        if site.rstrip("/").endswith("/debian"):
            return site
    raise LabError("this machine's apt has no Debian archive among its sources", hint=HINT)


def proxy_options() -> list[str]:
    """apt options that lead through the proxy of this machine's apt, if it has one."""
    names = ("Acquire::http::Proxy", "Acquire::https::Proxy")
    dumped = subprocess.run(
        ["apt-config", "dump", "--format", "%f\t%v%n", *names], capture_output=True, text=True, check=True
    ).stdout
    pairs = (line.partition("\t") for line in dumped.splitlines())
    return [f'{name} "{value}"' for name, _, value in pairs if name in names and value]
