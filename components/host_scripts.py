"""One concern of one host as one script: files of `hostscripts/` and the desired state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "hostscripts"
RECEIVER = "receive.sh"
STEPS = "steps.sh"
SCRIPTS_ON_HOST = "/opt/causeway"
STATE_ON_HOST = "/etc/causeway"
END_OF_FILE = "CAUSEWAY_END_OF_FILE"
STATE_DIGEST_DIGITS = 12  # against accidents; a host that lies would say whatever is expected


class Concern(StrEnum):
    """One thing to configure; its script and state bear this name. Applied in this order."""

    PACKAGES = "packages"
    INPUT = "input"
    USER_ENI = "user_eni"
    CONTAINER = "container"
    TUNNEL = "tunnel"
    SYNC = "sync"
    NAT = "nat"
    FORWARD = "forward"
    PAIR = "pair"
    ROUTES = "routes"
    ECHO = "echo"


class Step(StrEnum):
    """What a pair's proxy does around a change; functions of `STEPS`."""

    STEPS_ASIDE = "steps_aside"
    MAKES_WAY = "makes_way"
    IS_READY = "is_ready"
    STAYS_ALONE = "stays_alone"


@dataclass(frozen=True, kw_only=True)
class HostFile:
    """A file for a host; its bytes never depend on the stack."""

    source: str  # in `hostscripts/`
    target: str
    mode: str


def _script(name: str, mode: str = "0755") -> HostFile:
    return HostFile(source=name, target=f"{SCRIPTS_ON_HOST}/{name}", mode=mode)


def _unit(name: str) -> HostFile:
    return HostFile(source=name, target=f"/etc/systemd/system/{name}", mode="0644")


# Every concern brings these: whichever runs first, the host can apply itself at the next boot.
COMMON = (
    _script("lib.sh", "0644"),
    _script("apply"),
    _script("status"),
    _unit("causeway.service"),
)
EXTRA: Mapping[Concern, Sequence[HostFile]] = {
    Concern.INPUT: (_unit("causeway-input.service"),),
    Concern.CONTAINER: (_unit("causeway-container.service"),),
    Concern.TUNNEL: (_script("tunnel_peers.sh", "0644"),),
    Concern.SYNC: (_unit("causeway-sync@.service"), _script("pair")),
    Concern.PAIR: (
        *(
            _script(f"pair_{part}.py", "0644")
            for part in ("watch", "decide", "links", "hang", "aws", "path", "netlink")
        ),
        _script("pair"),
        _unit("causeway-pair.service"),
        _unit("causeway-keepalived.service"),
    ),
    Concern.ECHO: (_script("echo_service.py"),),
}


def files_of(concern: Concern) -> tuple[HostFile, ...]:
    """What a host keeps to apply this concern, at boot too."""
    return (*COMMON, _script(f"{concern}.sh"), *EXTRA.get(concern, ()))


def configuration_script(concern: Concern, state: Mapping[str, object], directory: Path | None = None) -> str:
    """A bash script for `sudo bash -s` that installs the concern's files and state and applies them.

    A transfer that is cut short does nothing: everything stands in one function, called by the last line. The
    state is printed one value a line, so that a preview shows a changed value as a changed line.
    """
    directory = directory or DIRECTORY
    parts = [
        _text(directory / RECEIVER),
        "main() {\n",
        *(_receive(file.target, file.mode, _text(directory / file.source)) for file in files_of(concern)),
        _receive(f"{STATE_ON_HOST}/{concern}.json", "0600", _state_text(state)),
        f"apply_concern {concern}\n",
        "}\n",
        "main </dev/null\n",
    ]
    return "".join(parts)


def state_digest(state: Mapping[str, object]) -> str:
    """Of the state as it is on a host: the first 12 of the hexadecimal digits that sha256sum prints there."""
    return hashlib.sha256(_state_text(state).encode()).hexdigest()[:STATE_DIGEST_DIGITS]


def step_script(
    step: Step, digest: str, *, staying: Sequence[str] | None = None, directory: Path | None = None
) -> str:
    """A bash script for `sudo bash -s`, whole or not at all. `digest`: of what makes the step necessary.

    `staying`: namespaces of the tenants that the pair is to have; None: of all that it has.
    """
    line = " ".join((step, digest, *(() if staying is None else ("--staying", *staying))))
    return f"{_text((directory or DIRECTORY) / STEPS)}main() {{\n{line}\n}}\nmain </dev/null\n"


def digest_of(
    states: Mapping[Concern, Mapping[str, object]], instance: str, directory: Path | None = None
) -> str:
    """Of what a host is made from, and all that it is told: files and states, but not the peers of its tunnels.

    These come and go with func hosts, and disturb nobody.
    """
    told = hashlib.sha256(instance.encode())
    for concern, state in states.items():
        told.update(configuration_script(concern, _without_peers(state), directory).encode())
    return told.hexdigest()


def _without_peers(state: Mapping[str, object]) -> Mapping[str, object]:
    tunnels = state.get("tunnels")
    if not isinstance(tunnels, list):
        return state
    return {**state, "tunnels": [{**tunnel, "peers": []} for tunnel in tunnels]}


def _state_text(state: Mapping[str, object]) -> str:
    return json.dumps(state, indent=2, ensure_ascii=False) + "\n"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _receive(target: str, mode: str, text: str) -> str:
    if not text.endswith("\n") or END_OF_FILE in text.splitlines():
        raise ValueError(f"{target}: must end with a newline and hold no line {END_OF_FILE}")
    return f"receive_file {target} {mode} <<'{END_OF_FILE}'\n{text}{END_OF_FILE}\n"
