"""A host that is a directory: the scripts run on stub commands, which tell facts and record changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

Json = Any
HERE = Path(__file__).resolve().parent
HOSTSCRIPTS = HERE.parents[1] / "hostscripts"


class StubHost:
    """`root` is the scripts' CAUSEWAY_ROOT. Needs no privileges, and nothing but bash and jq."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("opt", "etc/causeway", "etc/systemd/system", "run/netns", "kernel", "proc/sys/net/ipv4"):
            (root / name).mkdir(parents=True)
        shutil.copytree(HOSTSCRIPTS, root / "opt/causeway")
        (root / "proc/sys/net/ipv4/ip_forward").write_text("0\n")
        networkd = root / "etc/systemd/networkd.conf.d/05-causeway.conf"
        networkd.parent.mkdir()
        networkd.write_text("[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n")

    def environment(self) -> dict[str, str]:
        """What the scripts take from a test."""
        path = f"{HERE / 'stubs'}:{os.environ['PATH']}"
        return {"CAUSEWAY_ROOT": str(self.root), "CAUSEWAY_PATH": path, "PATH": path}

    def state(self, concern: str, state: Json) -> None:
        """Write down what is wanted."""
        (self.root / f"etc/causeway/{concern}.json").write_text(json.dumps(state, indent=2))

    def kernel(
        self,
        namespace: str,
        addr: Json,
        route: Json = (),
        neigh: Json = (),
        rule: Json = (),
        tables: Json = (),
    ) -> None:
        """Write down what is."""
        told = (addr, list(route), list(neigh), list(rule), list(tables))
        facts = "".join(json.dumps(fact, separators=(",", ":")) + "\n" for fact in told)
        (self.root / "kernel" / (namespace or "root")).write_text(facts)
        if namespace:
            (self.root / "run/netns" / namespace).touch()

    def apply(self, *words: str, ok: bool = True) -> str:
        """Run apply; returns what it printed."""
        return self.run([str(self.root / "opt/causeway/apply"), *words], ok=ok)

    def run(self, argv: list[str], *, ok: bool = True, stdin: str = "") -> str:
        """Run a command on this host."""
        done = subprocess.run(
            argv,
            input=stdin,
            env={**os.environ, **self.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode == 0) == ok, f"{argv}: exit status {done.returncode}\n{done.stdout}"
        return done.stdout

    def done(self) -> list[str]:
        """What was asked of the stubs since the last call."""
        return self._taken("done")

    def nft(self) -> list[str]:
        """What was loaded into nft since the last call."""
        return self._taken("nft")

    def asked(self) -> list[str]:
        """The namespaces whose kernel was read since the last call."""
        return self._taken("asked")

    def _taken(self, name: str) -> list[str]:
        path = self.root / name
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines
