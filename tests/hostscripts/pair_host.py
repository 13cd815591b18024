"""A pair's proxy in the sandbox: metadata, an EC2 API, and the watcher; the test is keepalived and the other proxy.

root namespace: eth0 192.168.4.4 ── namespace other, 192.168.4.5        tenant-alpha: mgre1, user1, as in tenant_network
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.hostscripts.sandbox import HOSTSCRIPTS, Sandbox
from tests.hostscripts.tenant_network import (
    FORWARD,
    MAC,
    NAT,
    TUNNEL,
    USER_ENI,
    metadata,
    nic_is_plugged,
    tenants,
)
from tests.hostscripts.waiting import wait_until

Json = Any
PRIMARY_MAC = "02:00:00:00:00:01"
HAVIP, USER_HAVIP = "192.168.4.100", "172.16.101.100"
HAVIPS = (HAVIP, USER_HAVIP)
PAIR: dict[str, Any] = {
    "own": "192.168.4.4",
    "peer": "192.168.4.5",
    "index": 0,
    "advert_ms": 100,
    "virtual_router_id": 51,
    "region": "us-east-1",
    "api": {"url": "http://ec2.us-east-1.amazonaws.com:8773", "connect_to": "127.0.0.1"},
    "havips": [
        {
            "name": "platform",
            "namespace": None,
            "device": None,
            "eni_id": "eni-0a",
            "mac": None,
            "address": HAVIP,
        },
        {
            "name": "tenant-alpha",
            "namespace": "tenant-alpha",
            "device": "user1",
            "eni_id": "eni-0b",
            "mac": MAC,
            "address": USER_HAVIP,
        },
    ],
    "tenants": [{"namespace": "tenant-alpha", "tunnel": "mgre1", "user": "user1", "sync": "sync1"}],
}
UNDERLAY = f"""
ip netns add other
ip link add eth0 address {PRIMARY_MAC} type veth peer name eth0 netns other
ip addr add 192.168.4.4/24 dev eth0; ip link set dev eth0 up
ip -n other addr add 192.168.4.5/24 dev eth0; ip -n other link set dev eth0 up
ip -n other addr add 192.168.4.9/24 dev eth0
nft 'add table inet causeway_tunnel'
"""
ADVERTS = """
import socket, sys, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
raw.bind((sys.argv[1], 0))
for _ in range(int(sys.argv[2])):
    raw.sendto(b"advert", ("192.168.4.4", 0))
    time.sleep(float(sys.argv[3]))
"""
DIRECTORY = "/run/root/run/causeway/pair"
WATCHER = ["/usr/bin/python3", "-sE", "/run/root/opt/causeway/pair_watch.py"]
ROLE = "iam/security-credentials/"


class PairHost:
    """One proxy. `says` is keepalived's word; `told` what keepalived was told."""

    def __init__(self, sandbox: Sandbox, **changes: Json) -> None:
        self.sandbox = sandbox
        self.state = PAIR | changes
        self.control_file = sandbox.directory / "control.json"
        self.log_file = sandbox.directory / "calls"
        sandbox.services_are_stubs()
        sandbox.environment["CAUSEWAY_SYNC_EVERY_S"] = "1"
        sandbox.run("mkdir /run/services; echo 1 >'/run/services/causeway-sync@tenant-alpha.service'")
        units = map(str, HOSTSCRIPTS.glob("*.service"))
        sandbox.run(["install", "-m", "0644", "-D", "-t", "/run/root/etc/systemd/system", *units])
        nic_is_plugged(sandbox)
        sandbox.run(UNDERLAY)
        paths = {"mac": PRIMARY_MAC, f"network/interfaces/macs/{PRIMARY_MAC}/local-ipv4s": "192.168.4.4"}
        self.metadata({**metadata(), **paths})
        self.credentials("KEY1")
        self.control(keys=["KEY1", "KEY2"])
        sandbox.apply("user_eni", tenants(USER_ENI))
        sandbox.run(TUNNEL)
        sandbox.apply("nat", tenants(NAT | {"snat_to": USER_HAVIP}))
        sandbox.apply("forward", tenants(FORWARD))
        api = Path(__file__).with_name("api.py")
        files = map(str, (self.control_file, sandbox.metadata_file, self.log_file))
        sandbox.start([sys.executable, str(api), *files])
        wait_until("the API answers", lambda: sandbox.run("exec 3<>/dev/tcp/127.0.0.1/8773", ok=None))
        self.apply()

    # ── AWS ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def metadata(self, changes: Mapping[str, str | int]) -> None:
        """What IMDS says, from now on, besides what it said before."""
        self.sandbox.metadata(json.loads(self.sandbox.metadata_file.read_text()) | changes)

    def credentials(self, key: str) -> None:
        """Those of the instance's role."""
        text = json.dumps(
            {"AccessKeyId": key, "SecretAccessKey": "very/secret+", "Token": f"token-of-{key}="}
        )
        self.metadata({ROLE: "proxy-0", f"{ROLE}proxy-0": text})

    def control(self, **changes: Json) -> None:
        """How the API behaves."""
        control = {"macs": {"eni-0a": PRIMARY_MAC, "eni-0b": MAC}, "keys": ["KEY1"], **changes}
        written = self.control_file.with_suffix(".new")
        written.write_text(json.dumps(control))
        written.rename(self.control_file)

    def calls(self) -> list[list[str]]:
        """Of the API, in order: key, ENI, address, token, status."""
        return (
            [line.split() for line in self.log_file.read_text().splitlines()]
            if self.log_file.exists()
            else []
        )

    def loses(self, *addresses: str) -> None:
        """Somebody else has claimed them."""
        known = json.loads(self.sandbox.metadata_file.read_text())
        for path in known:
            if path.endswith("/local-ipv4s"):
                known[path] = "\n".join(a for a in known[path].split() if a not in addresses)
        self.sandbox.metadata(known)

    # ── the host ──────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, **changes: Json) -> list[str]:
        """The concern; what it said."""
        self.state |= changes
        return self.sandbox.apply("pair", self.state)

    def watch(self) -> None:
        """The watcher starts, as systemd would start it, and is content."""
        self.watcher = self.sandbox.start(WATCHER)
        self.wait_for(state="standby")

    def says(self, *words: str) -> None:
        """Keepalived changes its state, once for each word."""
        for word in words:
            self.sandbox.run(f"echo 'INSTANCE \"causeway\" {word} 254' 1<>{DIRECTORY}/events")

    @property
    def aside(self) -> bool:
        """Whether keepalived is kept in FAULT."""
        return self.sandbox.run(f"cat {DIRECTORY}/aside") == "1\n"

    def told(self) -> Json:
        """What the watcher says of itself."""
        return json.loads(self.sandbox.run(f"cat {DIRECTORY}/state.json 2>/dev/null || echo {{}}"))

    def wait_for(self, deadline_s: float = 30, **facts: Json) -> Json:
        """Until it says so."""
        last: list[Json] = []

        def is_so() -> bool:
            last[:] = [self.told()]
            return all(last[0].get(name) == fact for name, fact in facts.items())

        try:
            wait_until(f"it says {facts}", is_so, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
        return last[0]

    def becomes_active(self) -> None:
        """As after a failover."""
        self.says("BACKUP", "MASTER")
        self.wait_for(state="active", whole=True, deaf=1)

    def stands_aside(self, **facts: Json) -> None:
        """Until it says so; keepalived is in FAULT then, and says that it is."""
        self.wait_for(**facts)
        assert self.aside
        self.says("FAULT")

    def in_kernel(self) -> list[str]:
        """HaVips that are addresses here."""
        here = self.sandbox.run("ip -br -4 addr; ip -n tenant-alpha -br -4 addr")
        return [address for address in HAVIPS if f" {address}/32" in here]

    def other_is_active(self, interval_s: float = 0.05) -> None:
        """It sends adverts from now on."""
        self.sandbox.start([sys.executable, "-c", ADVERTS, "192.168.4.5", "100000", str(interval_s)], "other")

    def other_is_silent(self) -> None:
        """From now on, and for so long already that who says to be MASTER has not just left an advert unread."""
        self.sandbox.run("kill $(pgrep -f '[r]aw.sendto')")
        time.sleep(0.5)

    def adverts(self, source: str = "192.168.4.5", count: int = 10) -> None:
        """From that address."""
        self.sandbox.run([sys.executable, "-c", ADVERTS, source, str(count), "0.05"], "other")

    def counter(self, name: str) -> int:
        """Packets that the pair's table counted."""
        found = self.sandbox.json(f"nft -j list counter inet causeway_pair {name}")
        packets: int = found["nftables"][1]["counter"]["packets"]
        return packets
