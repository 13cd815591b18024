"""`lab capture`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lab import ssh as lab_ssh
from lab.daemon.client import Client
from lab.daemon.launch import enter
from lab.errors import LabError
from lab.paths import LabPaths

# Which namespace of a guest has a device: the root one, or a tenant's.
# It ends with our end of its standard input: a guest must not go on capturing for nobody.
FIND_DEVICE = """
set -eu
device=$1; shift
watch() {
  "$@" </dev/null &
  capture=$!
  (cat >/dev/null; kill "$capture" 2>/dev/null) <&3 &
  wait "$capture"
}
exec 3<&0
if ip link show dev "$device" >/dev/null 2>&1; then watch tcpdump -i "$device" "$@"; exit; fi
for namespace in $(ip netns list | cut -d' ' -f1); do
  if ip -n "$namespace" link show dev "$device" >/dev/null 2>&1; then
    watch ip netns exec "$namespace" tcpdump -i "$device" "$@"
    exit
  fi
done
echo "no device $device in any namespace" >&2
exit 1
"""


def watch(
    paths: LabPaths, host: str, device: str, filters: list[str], *, count: int | None, write: Path | None
) -> int:
    """Run tcpdump where the device is, until it ends or is interrupted; returns its exit status.

    An ENI is named eth<device index>: what it carries is seen at its tap, outside the guest, so also of a guest that
    hangs. Every other name is looked for inside the guest, in all its namespaces.
    """
    client = Client(paths)
    options = ["-n", "-l", *(["-c", str(count)] if count else []), *(["-U", "-w", "-"] if write else [])]
    try:
        if match := re.fullmatch(r"eth(\d+)", device):
            argv = client.call("capture", host=host, device_index=int(match[1]))
            with opened(write) as output:
                return subprocess.run([*enter(paths), *argv, *options, *filters], stdout=output).returncode
        find_and_run = ["sh", "-c", FIND_DEVICE, "capture", device, *options, *filters]
        with lab_ssh.log_in(client, host) as session, opened(write) as output:
            return lab_ssh.passthrough(session, find_and_run, stdin=None, stdout=output)
    except KeyboardInterrupt:
        return 0


@contextmanager
def opened(write: Path | None) -> Iterator[BinaryIO]:
    """Where the packets go: a file, made anew, or standard output."""
    if write is None or str(write) == "-":
        yield sys.stdout.buffer
        return
    try:
        stream = write.open("wb")
    except OSError as error:
        raise LabError(
            f"{write} cannot be written: {error.strerror}", hint="name another file with --write"
        ) from error
    with stream:
        yield stream
