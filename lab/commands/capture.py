"""`lab capture`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab import ssh as lab_ssh
from lab.daemon.client import Client
from lab.daemon.launch import enter
from lab.paths import LabPaths

# Which namespace of a guest has a device: the root one, or a tenant's.
FIND_DEVICE = """
set -eu
device=$1; shift
if ip link show dev "$device" >/dev/null 2>&1; then exec tcpdump -i "$device" "$@"; fi
for namespace in $(ip netns list | cut -d' ' -f1); do
  if ip -n "$namespace" link show dev "$device" >/dev/null 2>&1; then
    exec ip netns exec "$namespace" tcpdump -i "$device" "$@"
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
    output = None if write is None or str(write) == "-" else write.open("wb")
    try:
        if match := re.fullmatch(r"eth(\d+)", device):
            argv = client.call("capture", host=host, device_index=int(match[1]))
            return subprocess.run([*enter(paths), *argv, *options, *filters], stdout=output).returncode
        find_and_run = ["sh", "-c", FIND_DEVICE, "capture", device, *options, *filters]
        with lab_ssh.log_in(client, host) as session:
            return lab_ssh.passthrough(session, find_and_run, output)
    except KeyboardInterrupt:
        return 0
    finally:
        if output is not None:
            output.close()
