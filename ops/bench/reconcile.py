"""A proxy's tunnels, 1,000 func hosts x 14 tenants, reconciled on a guest with its own kernel, nft and ip."""

from __future__ import annotations

import json
import subprocess
import sys

from lab.paths import PROJECT
from ops.bench.figure import Figure
from ops.bench.hostscripts import FUNC_HOSTS, TENANTS, tunnels
from ops.bench.lab import NAME, lab

PROXY = "proxy-0"
# The other concerns, which have nothing of these tenants, stay out of it; so does what the reference network has.
ALONE = "mkdir -p /root/kept; mv /etc/causeway/*.json /root/kept; rm -f /run/causeway/pending/*"
NOTHING = (
    "for n in $(ls /run/netns); do ip netns delete $n; done; nft delete table inet causeway_tunnel 2>/dev/null; "
    "rm -rf /run/causeway/tunnel; "  # what was reconciled last: gone as well after a boot
)
NAMESPACES = f"for n in $(seq {TENANTS}); do ip netns add tenant-t$n; done"
TIMED = """
import subprocess, sys, time
open("/etc/causeway/tunnel.json", "w").write(sys.stdin.read())
began = time.monotonic()
subprocess.run(["/opt/causeway/apply", "tunnel"], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic() - began)
"""
GOALS = {"from nothing": 3.0, "one func host more": 0.3}


def measure_reconcile(runs: int) -> list[Figure]:
    """From nothing, with nothing to do, and with one func host more."""
    samples: dict[str, list[float]] = {"from nothing": [], "nothing to do": [], "one func host more": []}
    try:
        lab("up", "-c", "redundancy=single")
        root(ALONE)
        for _ in range(max(1, min(runs, 3))):
            root(NOTHING + NAMESPACES)
            samples["from nothing"].append(seconds_of_apply(FUNC_HOSTS))
            samples["nothing to do"].append(seconds_of_apply(FUNC_HOSTS))
            samples["one func host more"].append(seconds_of_apply(FUNC_HOSTS + 1))
            root("/opt/causeway/apply --check tunnel")  # fails if a difference has left something out
    finally:
        lab("down")
    return [
        Figure(
            what=f"tunnel, {FUNC_HOSTS:,} x {TENANTS} in a guest: {what}",
            unit="s",
            samples=tuple(found),
            goal=GOALS.get(what),
        )
        for what, found in samples.items()
    ]


def root(line: str) -> None:
    """On the proxy."""
    lab("exec", PROXY, "--", "sudo", "bash", "-c", line)


def seconds_of_apply(func_hosts: int) -> float:
    """By the guest's own clock: logging in is not what is measured."""
    argv = [sys.executable, "-m", "lab", "exec", "--name", NAME, PROXY, "--", "sudo", "python3", "-c", TIMED]
    text = json.dumps(tunnels(func_hosts))
    done = subprocess.run(argv, cwd=PROJECT, input=text, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)
