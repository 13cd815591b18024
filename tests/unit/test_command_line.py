"""What becomes of errors of the command line itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.paths import PROJECT

EARLY_CTRL_C = """
import runpy, sys
class Import:
    def find_spec(self, name, *_):
        if name == "lab.cli.stack":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Import())
runpy.run_module("lab", run_name="__main__")
"""


def test_ctrl_c_while_the_program_is_still_loading_is_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY_CTRL_C], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "lab: interrupted\n")


PRINTS = """
import sys
from lab.cli import main
main.app = lambda **_: sys.stdout.write(sys.argv[1] * int(sys.argv[2])) and 0
main.main()
"""


def printing(words: str, times: int, stdout: int, unbuffered: str) -> subprocess.CompletedProcess[str]:
    """A command that prints, with its standard output there."""
    argv = [sys.executable, "-c", PRINTS, words, str(times)]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(
        argv, cwd=PROJECT, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("times", [1, 100_000])
def test_a_full_output_is_not_taken_for_a_full_cache(times: int, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = printing("word", times, full.fileno(), unbuffered)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "lab: standard output cannot be written: No space left on device",
        "  → let it go elsewhere, or make room there",
    ]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("times", [1, 100_000])
def test_who_reads_may_stop(times: int, unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = printing("word", times, writing, unbuffered)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
