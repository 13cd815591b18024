"""What becomes of errors of the command line itself."""

from __future__ import annotations

import subprocess
import sys

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
