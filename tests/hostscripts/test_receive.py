"""How files get onto a host: whole or not at all."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from components.host_scripts import END_OF_FILE, Concern, configuration_script, files_of
from tests.hostscripts.stub_host import HOSTSCRIPTS, StubHost

ROUTES = Concern.ROUTES
APPLY = '#!/bin/bash\necho "applying $1, $CAUSEWAY_RECEIVED received"\n'


def text_of(files: dict[str, tuple[str, str]], concern: str = "routes") -> str:
    """As receive.sh's head describes it: path → (mode, text)."""
    receiver, opening, received, end, closing = form()
    path, mode = "/opt/causeway/tunnel.sh", "0755"
    parts = [
        received.replace(path, its_path).replace(mode, its_mode) + text + end
        for its_path, (its_mode, text) in files.items()
    ]
    assert receiver == "<the bytes of this file>\n"
    text = (HOSTSCRIPTS / "receive.sh").read_text()
    return "".join([text, opening, *parts, closing.replace("tunnel", concern)])


def form() -> tuple[str, str, str, str, str]:
    """The form in receive.sh's head: receiver, opening, what precedes a file, what ends it, closing."""
    head = (HOSTSCRIPTS / "receive.sh").read_text().split("this form:\n#\n", 1)[1].split("#\n", 1)[0]
    lines = [line.removeprefix("#   ") for line in head.splitlines(keepends=True)]
    receiver, opening, received, _bytes, end, _more, *closing = lines
    return receiver, opening, received, end, "".join(closing)


FILES = {
    "/opt/causeway/lib.sh": ("0644", (HOSTSCRIPTS / "lib.sh").read_text()),
    "/opt/causeway/apply": ("0755", APPLY),
    "/etc/causeway/routes.json": ("0600", '{"routes": ["$(touch /tmp/no) `no` \\\\ \'"]}\n'),
}


@pytest.fixture
def host(tmp_path: Path) -> StubHost:
    """A host that has nothing of Causeway's yet."""
    host = StubHost(tmp_path / "host")
    for name in ("opt", "etc", "run"):
        subprocess.run(["rm", "-rf", str(host.root / name)], check=True)
    return host


def send(host: StubHost, text: str, *, ok: bool = True) -> str:
    """What the command's `sudo bash -s` does with it."""
    return host.run(["bash", "-s"], stdin=text, ok=ok)


def files_on(host: StubHost) -> dict[str, tuple[str, str]]:
    """Path → (mode, text) of everything that is there."""
    return {
        f"/{path.relative_to(host.root)}": (f"{path.stat().st_mode & 0o7777:04o}", path.read_text())
        for name in ("opt", "etc")
        for path in (host.root / name).rglob("*")
        if path.is_file()  # leftovers too
    }


def test_the_stack_sends_the_form_that_is_described() -> None:
    state = {"routes": ["a value"]}
    files = {file.target: (file.mode, (HOSTSCRIPTS / file.source).read_text()) for file in files_of(ROUTES)}
    files["/etc/causeway/routes.json"] = ("0600", json.dumps(state, indent=2) + "\n")
    assert configuration_script(ROUTES, state) == text_of(files)


def test_files_arrive_as_they_are(host: StubHost) -> None:
    said = send(host, text_of(FILES))
    assert files_on(host) == FILES
    assert said.splitlines() == [
        "causeway: received /opt/causeway/lib.sh",
        "causeway: received /opt/causeway/apply",
        "causeway: received /etc/causeway/routes.json",
        "applying routes, 3 received",
    ]
    assert (host.root / "etc/causeway").stat().st_mode & 0o777 == 0o700


def test_the_second_time_nothing_is_received(host: StubHost) -> None:
    send(host, text_of(FILES))
    before = (host.root / "opt/causeway/apply").stat()
    assert send(host, text_of(FILES)) == "applying routes, 0 received\n"
    assert (host.root / "opt/causeway/apply").stat() == before


def test_what_was_applied_survives_a_power_failure(host: StubHost) -> None:
    """It is on the disk before the command is over: nothing would write it again."""
    send(
        host,
        text_of(
            {**FILES, "/opt/causeway/apply": ("0755", '#!/bin/bash\necho applied >>"$CAUSEWAY_ROOT/done"\n')}
        ),
    )
    directories = f"{host.root}/opt/causeway {host.root}/etc/causeway"
    assert host.done() == ["applied", f"sync --file-system {directories}"]


def test_what_failed_fails(host: StubHost) -> None:
    send(host, text_of({**FILES, "/opt/causeway/apply": ("0755", "#!/bin/bash\nexit 3\n")}), ok=False)


PICKY = """#!/bin/bash
state=$CAUSEWAY_ROOT/etc/causeway/routes.json
cat "$state" >>"$CAUSEWAY_ROOT/done"
! grep -q bad "$state"
"""


def picky(state: str) -> dict[str, tuple[str, str]]:
    """With an apply that cannot do everything, and says what it was given."""
    return {
        **FILES,
        "/opt/causeway/apply": ("0755", PICKY),
        "/etc/causeway/routes.json": ("0600", f"{state}\n"),
    }


def test_who_cannot_do_it_goes_back_to_what_it_was_told_before(host: StubHost) -> None:
    """The stack does not know of the new state, and would send nothing if the change were taken back."""
    send(host, text_of(picky("good")))
    said = send(host, text_of(picky("bad")), ok=False)
    assert "goes back to what it was told before" in said
    assert files_on(host) == picky("good")
    assert [line for line in host.done() if not line.startswith("sync")] == ["good", "bad", "good"]


def test_what_is_told_first_stays_and_so_does_a_new_script(host: StubHost) -> None:
    """Nothing to go back to; and an old script may not fit what others have brought meanwhile."""
    assert "goes back" not in send(host, text_of(picky("bad")), ok=False)
    send(host, text_of(picky("good")))
    newer = {**picky("bad"), "/opt/causeway/lib.sh": ("0644", "# newer\n")}
    assert "goes back" not in send(host, text_of(newer), ok=False)
    assert files_on(host) == newer


def test_a_script_that_cannot_run_is_mended(host: StubHost) -> None:
    send(host, text_of(FILES))
    (host.root / "opt/causeway/apply").chmod(0o644)
    send(host, text_of(FILES))
    assert files_on(host) == FILES


def test_a_text_cut_anywhere_does_nothing(host: StubHost) -> None:
    text = text_of(FILES)
    last_line = text.rindex("main </dev/null")
    boundaries = {
        found.start() for found in re.finditer(rf"{END_OF_FILE}|receive_file /|apply_concern|^}}", text, re.M)
    }
    cuts = sorted(
        {
            *range(0, last_line, 331),
            *boundaries,
            *(b + 1 for b in boundaries),
            *range(last_line - 40, last_line + 4),
        }
    )
    assert len(cuts) > 80
    for cut in cuts:
        subprocess.run(
            ["bash", "-s"],
            input=text[:cut],
            text=True,
            capture_output=True,
            env={"CAUSEWAY_ROOT": str(host.root), "PATH": "/usr/bin:/bin"},
        )
        assert files_on(host) == {}, f"cut at {cut}: …{text[max(0, cut - 40) : cut]!r}"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/passwd", "0644"),
        ("/opt/causeway/../../etc/passwd", "0644"),
        ("/etc/systemd/system/../x", "0644"),
        ("/opt/causeway/a.sh", "4755"),
        ("/opt/causeway/a.sh", "0777"),
    ],
)
def test_other_places_and_modes_are_refused(host: StubHost, path: str, mode: str) -> None:
    said = send(host, text_of({**FILES, path: (mode, "x\n")}), ok=False)
    assert f"{path} with mode {mode}: not a place" in said
    assert files_on(host) == {}


def test_a_full_disk_leaves_what_was_there(host: StubHost) -> None:
    send(host, text_of(FILES))
    newer = {path: (mode, text + "# newer\n") for path, (mode, text) in FILES.items()}
    newer["/opt/causeway/big.sh"] = ("0755", "x" * 300_000 + "\n")
    said = host.run(
        ["bash", "-c", "ulimit -f 200; trap '' XFSZ; exec bash -s"], stdin=text_of(newer), ok=False
    )
    assert said.endswith("causeway: error: no file was installed. If the disk is full, see: df -h / /tmp\n")
    assert files_on(host) == FILES
