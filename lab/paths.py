"""Where the lab keeps things: one cache directory, and nothing outside it.

$CAUSEWAY_LAB_HOME, else $XDG_CACHE_HOME/causeway, else ~/.cache/causeway
├── bin/                  the Pulumi CLI that was built here
├── images/<digest>/      a Debian image and its saved template, shared by all labs
└── labs/<name>/          one running lab; `down` removes it
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
PROJECT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The cache directory of all labs."""
    if explicit := os.environ.get("CAUSEWAY_LAB_HOME"):
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "causeway"


@dataclass(frozen=True)
class LabPaths:
    """The directory of one lab. LabError for a name that is none: `down` removes what it names."""

    name: str

    def __post_init__(self) -> None:
        # Names are directories, parts of hostnames and words of command lines.
        if not NAME.fullmatch(self.name):
            raise LabError(
                f"{self.name!r} is no name for a lab",
                hint="a name has 1 to 31 of a-z, 0-9 and -, and begins with a letter or digit",
            )

    @property
    def root(self) -> Path:
        """Everything this lab writes."""
        return home() / "labs" / self.name

    @property
    def control_socket(self) -> Path:
        """The daemon's unix socket (a path of a socket has at most 107 bytes: homes must not be deep)."""
        return self.root / "control.sock"

    @property
    def daemon_log(self) -> Path:
        """What the daemon says, its children's stderr included."""
        return self.root / "daemon.log"

    @property
    def machines(self) -> Path:
        """A directory per instance id: disk, console log, QMP socket."""
        return self.root / "machines"

    @property
    def pulumi(self) -> Path:
        """PULUMI_HOME, state backend and work_dir of the engine."""
        return self.root / "pulumi"

    @property
    def outputs(self) -> Path:
        """What the program exported at the last `up` that succeeded."""
        return self.root / "outputs.json"

    @property
    def ssh_key(self) -> Path:
        """The private key that this lab made for itself; the public one has the suffix .pub."""
        return self.root / "id_ed25519"
