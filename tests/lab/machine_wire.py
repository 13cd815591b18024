"""What a machine is plugged into in its own tests: taps, a router, a small IMDSv2 and a login. No fabric, no cloud.

guest eth0 ── tap0 ┐                              169.254.169.254:80  metadata
guest eth1 ── tap1 ┴── this network namespace ──┤ 10.9.N.1             router of NIC N's subnet 10.9.N.0/24
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import paramiko

from lab.fabric.tap import open_tap
from lab.machine import Nic

INSTANCE = "i-0123456789abcdef0"
TOKEN = "a token"
BUSY_S = 120.0  # deadline where an emulated guest on a busy machine has to do something


def wait_until(what: str, predicate: Callable[[], bool], deadline_s: float = BUSY_S) -> None:
    """Poll until it holds; a failure says what was waited for."""
    end = time.monotonic() + deadline_s
    while not predicate():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.05)


class Wire:
    """Made in a network namespace of the test's own."""

    def __init__(self, instance_id: str = INSTANCE, user_data: str = "") -> None:
        self.key = paramiko.RSAKey.generate(2048)
        self.documents = {
            "meta-data/instance-id": instance_id,
            "meta-data/local-hostname": "ip-10-9-0-5.ec2.internal",
            "meta-data/public-keys/0/openssh-key": f"ssh-rsa {self.key.get_base64()} test",
        }
        if user_data:
            self.documents["user-data"] = user_data
        ip("link", "set", "lo", "up")
        ip("addr", "add", "169.254.169.254/32", "dev", "lo")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def nic(self, number: int) -> Nic:
        """Device number `number`, with the address 10.9.NUMBER.5; opens its tap anew each time."""
        tap, mac = f"tap{number}", f"02:00:00:00:00:{number:02x}"
        fd = open_tap(tap)
        for file, value in (("conf/{}/proxy_arp", "1"), ("neigh/{}/proxy_delay", "0")):
            Path("/proc/sys/net/ipv4", file.format(tap)).write_text(value)
        ip("link", "set", tap, "mtu", "9001", "up")
        ip("addr", "replace", f"10.9.{number}.1/32", "dev", "lo")
        ip("route", "replace", f"10.9.{number}.5", "dev", tap)
        ip("route", "replace", "169.254.0.0/17", "dev", tap, "metric", str(100 + number))
        serve_metadata(tap, self.documents)
        about = f"meta-data/network/interfaces/macs/{mac}"
        self.documents[f"{about}/device-number"] = str(number)
        self.documents[f"{about}/local-ipv4s"] = f"10.9.{number}.5\n10.9.{number}.100"
        self.documents[f"{about}/subnet-ipv4-cidr-block"] = f"10.9.{number}.0/24"
        return Nic(mac=mac, tap_fd=fd)

    def log_in(self, deadline_s: float = BUSY_S) -> Login:
        """A session with the machine that has NIC 0; tries again until the deadline."""
        found: list[paramiko.SSHClient] = []

        def logged_in() -> bool:
            client = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - a new key by design
            with suppress(OSError, EOFError, paramiko.SSHException):
                client.connect(
                    "10.9.0.5",
                    username="admin",
                    pkey=self.key,
                    timeout=1,
                    banner_timeout=BUSY_S,
                    auth_timeout=BUSY_S,
                    allow_agent=False,
                    look_for_keys=False,
                )
                found.append(client)
            return bool(found)

        wait_until("SSH lets us in", logged_in, deadline_s)
        return Login(found[0])


class Login:
    """A session on a guest."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self.client = client

    def succeed(self, line: str) -> str:
        """Run a shell line that must succeed; returns what it printed."""
        _, stdout, stderr = self.client.exec_command(line, timeout=BUSY_S)
        said = stdout.read().decode()
        assert stdout.channel.recv_exit_status() == 0, f"{line}\n{said}{stderr.read().decode()}"
        return said

    def host_key(self) -> str:
        """The server's."""
        transport = self.client.get_transport()
        assert transport is not None
        return transport.get_remote_server_key().get_base64()


def serve_metadata(device: str, documents: dict[str, str]) -> None:
    """A listener per NIC, which answers through the NIC that it was asked through."""
    server = ThreadingHTTPServer(("169.254.169.254", 80), handler(documents), bind_and_activate=False)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    server.server_bind()
    server.server_activate()
    threading.Thread(target=server.serve_forever, daemon=True).start()


def handler(documents: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    """Plain IMDSv2: nothing without a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.answer(200, TOKEN)

        def do_GET(self) -> None:
            found = documents.get(self.path.removeprefix("/latest/"))
            if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
                self.answer(401, "")
            else:
                self.answer(404 if found is None else 200, found or "")

        def answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


def ip(*words: str) -> None:
    """One `ip` command."""
    subprocess.run(["ip", *words], check=True)


def close_taps(nics: list[Nic]) -> None:
    """What the lab does when QEMU has its copies: a tap that nobody holds is gone."""
    for nic in nics:
        os.close(nic.tap_fd)
