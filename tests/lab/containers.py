"""Containers on a lab's func hosts, as a runtime makes them: network namespaces on a tenant's bridge."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from tests.lab.conftest import LabUnderTest, wait_until

Json = Any
SERVER_PORT = 8080
# A server that says its name, to whoever connects.
SERVER = """
import socket, sys
server = socket.create_server(("", int(sys.argv[2])))
while True:
    one, _ = server.accept()
    try:
        one.recv(4096)  # what is unread when it closes is a reset
        one.sendall(sys.argv[1].encode() + b"\\n")
    except OSError:
        pass  # gone already
    one.close()
"""
# What is heard from each address: NAME=[udp/|icmp/]ADDRESS:PORT[@SOURCE] …; all at once. Null: nothing, in time.
# A port that is closed says so, unless something has kept the packet away.
PROBE = """
import json, socket, subprocess, sys, threading
KINDS = {"": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
def ask(target):
    protocol, _, where = target.rpartition("/")
    where, _, source = where.partition("@")
    address, port = where.split(":")
    if protocol == "icmp":
        ping = ["ping", "-n", "-c2", "-W4", *(["-I", source] if source else []), address]
        return "pong" if subprocess.run(ping, capture_output=True).returncode == 0 else None
    try:
        with socket.socket(socket.AF_INET, KINDS[protocol]) as far:
            far.settimeout(4)
            far.bind((source, 0))
            far.connect((address, int(port)))
            far.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            whole = protocol != "udp" and port == "8080"
            said = b"".join(iter(lambda: far.recv(4096), b"")) if whole else far.recv(4096)
            return said.decode(errors="replace")
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return None
answers, threads = {}, []
for word in sys.argv[1:]:
    name, target = word.split("=")
    def run(name=name, target=target):
        answers[name] = ask(target)
    threads.append(threading.Thread(target=run))
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(answers))
"""


class Container:
    """One that is there until `remove`. `inside` is how a command on its host gets into it."""

    def __init__(self, lab: LabUnderTest, host: str, name: str, tenant: Json, last: int) -> None:
        self._lab = lab
        self.host, self.name = host, name
        containers = tenant["containers"]
        prefix, _, length = containers["cidr"].partition("/")
        self.address = f"{prefix.rpartition('.')[0]}.{last}"
        self.inside = f"ip netns exec {name} "
        lab.succeed(
            host,
            f"""
ip netns add {name}
ip link add {name} mtu {containers["mtu"]} type veth peer name eth0 mtu {containers["mtu"]} netns {name}
ip link set {name} master {containers["bridge"]} up
ip -n {name} link set lo up
ip -n {name} link set eth0 up
ip -n {name} addr add {self.address}/{length} dev eth0
ip -n {name} route add default via {containers["gateway"]}
""",
        )

    def serve(self) -> None:
        """Whoever connects is told the name; up when this returns."""
        script = f"/run/{self.name}.py"
        self._lab.succeed(self.host, f"cat >{script}", stdin=SERVER.encode())
        server = f"{self.inside}python3 {script} {self.name} {SERVER_PORT}"
        self._lab.succeed(self.host, f"setsid {server} </dev/null >/dev/null 2>&1 &")
        here = f"{self.inside}bash -c 'exec 3<>/dev/tcp/127.0.0.1/{SERVER_PORT}'"
        wait_until(f"{self.name} serves", lambda: self._lab.exec(self.host, [here]).returncode == 0)

    def run(self, line: str, *, stdin: bytes = b"") -> str:
        """A shell line inside that must succeed; what it printed."""
        return self._lab.succeed(self.host, f"{self.inside}bash -c {shlex.quote(line)}", stdin=stdin)

    def remove(self) -> None:
        """With all that runs in it."""
        self._lab.succeed(self.host, f"ip netns pids {self.name} | xargs -r kill; ip netns del {self.name}")


def probe(lab: LabUnderTest, host: str, inside: str, targets: Mapping[str, str]) -> dict[str, str | None]:
    """What is heard from each target; None: nothing."""
    words = shlex.join(f"{name}={target}" for name, target in targets.items())
    answers: dict[str, str | None] = json.loads(
        lab.succeed(host, f"{inside}python3 - {words}", stdin=PROBE.encode())
    )
    assert set(answers) == set(targets)
    return answers
