#!/usr/bin/env python3
"""The resident half of a pair's proxy: what keepalived decides becomes true in AWS and in this kernel.

    keepalived ── MASTER, BACKUP, FAULT ──▶ events ┐              ┌──▶ netlink: a HaVip comes or goes (pair_path.py)
    /opt/causeway/pair ── switch, renew ──▶ (FIFO) │              ├──▶ EC2: every HaVip is claimed (pair_aws.py)
    the kernel ── a data path changed ─────────────┼─▶ Decider ───┼──▶ aside: 1 keeps keepalived in FAULT
    metadata ──── who has which HaVip ─────────────┘ (pair_decide)└──▶ state.json, for `status`

The rules stand in pair_decide.py. Nothing is started between keepalived's word and the claim.
Everything is in /run/causeway/pair: watch.conf is written by pair.sh, from a state that it has checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pair_aws import Credentials, Ec2, Metadata, MetadataError
from pair_decide import ACTIVE, STANDBY, Decider, HaVip, Memory
from pair_hang import adverts_wait
from pair_links import Links, packets_from_the_other
from pair_path import ROOT, DataPath

HERE = Path(__file__).resolve().parent
DIRECTORY = Path(f"{ROOT}/run/causeway/pair")
SYNC = Path(f"{ROOT}/run/causeway/sync")
USER_ENIS = Path(f"{ROOT}/etc/causeway/user_eni.json")
METADATA_HOST = os.environ.get("CAUSEWAY_METADATA_HOST", "169.254.169.254")
RAW_SOCKETS = Path(f"{ROOT}/proc/net/raw")
VRRP, SO_TIMESTAMPNS = 112, 35  # linux/in.h, asm-generic/socket.h
ADVERTS_MISSED = 2.5  # keepalived waits for three
TICK_S, ASLEEP_S = 0.25, 2.0
LOOK_S = 1.0  # at each data path, even if the kernel says nothing
BAD_AFTER_S, GOOD_AFTER_S = 0.15, 1.0  # in one go
# AWS drops packets to link-local addresses beyond 1024 a second and ENI; a look at one NIC is some six of them.
SELDOM_S, OFTEN_S, OFTEN_PER_NIC_S = 1.0, 0.05, 0.01
CREDENTIALS_EVERY_S = 30.0  # AWS has new ones five minutes before the old ones end
SYNC_EVERY_S = float(os.environ.get("CAUSEWAY_SYNC_EVERY_S", "15"))
SYNC_AGAIN_S = min(5.0, 2 * SYNC_EVERY_S)  # conntrackd says something every second
SYNC_ANSWERS_S = 2.0
API_EVERY_S = float(os.environ.get("CAUSEWAY_API_EVERY_S", "60"))
API_AGAIN_S = min(5.0, API_EVERY_S)  # while it is not reached
API_SOON_S = min(1.0, API_EVERY_S)  # after the first look that failed
KEEPALIVED = "causeway-keepalived.service"
SWITCHES = 5
ROOT_TABLES = ("inet causeway_tunnel", "inet causeway_pair")
TENANT_TABLES = ("inet causeway_forward", "ip causeway_nat")
COMMAND_TAKES_S, RESYNC_TAKES_S = 10.0, 60.0
NO_SUCH_TABLE = "Error: No such file or directory"  # nft's words
DEAFNESS_EVERY_S = 30.0  # should somebody have made the table anew
TELL_AFTER_S = 0.5
CLAIMS_FIRST_S = 0.2  # answered within that where the API is well


@dataclass(kw_only=True)
class Configuration:
    """watch.conf: lines of words. `tunnels`: device by namespace."""

    own: str = ""
    peer: str = ""
    index: int = 0
    advert_s: float = 0.0
    region: str = ""
    url: str = ""
    connect_to: str | None = None
    havips: list[HaVip] = field(default_factory=list)
    tunnels: dict[str, str] = field(default_factory=dict)


def configuration(text: str) -> Configuration:
    """Of watch.conf."""
    found = Configuration()
    for line in text.splitlines():
        what, *words = line.split()
        if what in ("own", "peer", "region", "url"):
            setattr(found, what, words[0])
        elif what == "index":
            found.index = int(words[0])
        elif what == "advert_ms":
            found.advert_s = int(words[0]) / 1000
        elif what == "connect_to":
            found.connect_to = None if words[0] == "-" else words[0]
        elif what == "havip":
            name, namespace, device, mac, eni_id, address = words
            namespace = "" if namespace == "-" else namespace
            found.havips.append(
                HaVip(name=name, namespace=namespace, device=device, mac=mac, eni_id=eni_id, address=address)
            )
        elif what == "tenant":
            found.tunnels[words[0]] = words[1]
    return found


def say(text: str) -> None:
    """To the journal."""
    print(f"causeway: pair: {text}", flush=True)


def write(name: str, text: str) -> None:
    """A file that is never seen half written."""
    new = DIRECTORY / f"{name}.new"
    new.write_text(text)
    new.rename(DIRECTORY / name)


class Adverts:
    """Those of the other one, as the firewall lets them in: none while this one is deaf."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.end = socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP)
        self.end.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.end.setblocking(False)

    def last(self) -> tuple[int, float] | None:
        """Priority of the last one since the last call, and how long ago, in seconds, the kernel got it."""
        found = None
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, extra, _, (sender, _) = self.end.recvmsg(1 << 12, 64)
                header = (packet[0] & 0xF) * 4 if packet else 0
                if sender == self.peer and len(packet) > header + 2:
                    found = packet[header + 2], max(time.time() - _received_at(extra), 0.0)
        return found


def _received_at(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("=qq", data)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


class Watcher:
    """The facts' way to the decider, and the way of its decisions out: it is the decider's `Effects`."""

    def __init__(self, conf: Configuration, memory: Memory) -> None:
        self.conf = conf
        self.loop = asyncio.get_running_loop()
        self.metadata = Metadata(METADATA_HOST)
        self.ec2 = Ec2(conf.url, conf.region, conf.connect_to)
        self.credentials: Credentials | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.claims: set[asyncio.Task[None]] = set()
        self.look_now, self.renew_now, self.resync_now = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.deaf_wanted, self.deaf_changes = memory.deaf, asyncio.Event()
        self.adverts = Adverts(conf.peer)
        self.paths: list[DataPath | None] = [None] * len(conf.havips)
        self.looks: list[asyncio.Event] = [asyncio.Event() for _ in conf.havips]
        self.switches = read_switches()
        self.said: dict[str, str] = {}
        self.resync_as: list[str] = []  # active or standby, and namespaces; or nothing is wanted
        self.links = Links()
        self.resyncing: asyncio.Task[tuple[str, str]] | None = None
        self.told, self.role, self.part = "", "", b""
        self.last = time.monotonic()
        self.decider = Decider(
            index=conf.index,
            peer=conf.peer,
            silence_s=conf.advert_s * ADVERTS_MISSED,
            havips=conf.havips,
            effects=self,
            now=self.last,
            memory=memory,
        )

    async def run(self, events: int, part: str) -> None:
        """For ever. `part`: the beginning of a line of events that had been read already."""
        self.part = part.encode()
        names = " ".join(havip.name for havip in self.conf.havips)
        self.say(f"{names} of {self.conf.own}, with {self.conf.peer}")
        self.events = events
        os.set_inheritable(events, False)
        self.loop.add_reader(events, self.events_are_read, events)
        for havip in range(len(self.conf.havips)):
            self.goes_on(self.path_is_watched(havip))
        self.goes_on(self.metadata_is_watched())
        self.goes_on(self.credentials_are_watched())
        self.goes_on(self.api_is_watched())
        self.goes_on(self.deafness_follows())
        self.goes_on(self.services_are_watched())
        self.goes_on(self.resyncs())
        gc.freeze()
        await self.ticks()

    def goes_on(self, work: Coroutine[None, None, None]) -> None:
        """Beside everything else. An error in it is one of this program: it ends, and systemd starts it anew."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.is_done)

    def is_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.loop.call_exception_handler({"message": "a part of the watcher ended", "exception": error})

    def say_if_new(self, about: str, text: str) -> None:
        """Once, until it changes."""
        if self.said.get(about, "") != text:
            self.said[about] = text
            if text:
                say(f"{about}: {text}")

    def now(self) -> float:
        """The time. Whoever asks is the first to notice that the machine stood still."""
        now = time.monotonic()
        slept_s, self.last = now - self.last, now
        if slept_s > ASLEEP_S:
            self.decider.woke_up(slept_s, now)
        return now

    # ── facts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def events_are_read(self, events: int) -> None:
        """Lines of keepalived's, and of /opt/causeway/pair's."""
        *lines, self.part = (self.part + os.read(events, 1 << 16)).split(b"\n")
        renew = False
        for line in lines:
            words = line.decode("utf-8", "replace").split()
            if len(words) >= 3 and words[0] == "INSTANCE":
                self.adverts_are_read()
                self.decider.keepalived_says(words[2], self.now())
            elif words == ["switch"]:
                self.decider.switch_is_wanted(self.now())
            elif words == ["renew"]:
                renew = True  # after all that was said with it
            elif words:
                say(f"not understood: {' '.join(words)[:100]}")
        self.tell()
        if renew:
            self.is_renewed()

    def adverts_are_read(self) -> None:
        """Now and then, because nothing hurries but to know of them when keepalived says that there were none."""
        last = self.adverts.last()
        if last:
            priority, seconds_ago = last
            now = self.now()
            self.decider.advert_is_heard(priority, now - seconds_ago, now)

    def is_renewed(self) -> None:
        """New scripts or another state are taken on by the same process, without a word to keepalived."""
        say("renewed")
        self.write_switches()
        os.set_inheritable(self.events, True)
        interpreter = sys.orig_argv[: -len(sys.argv)]
        memory = json.dumps(asdict(self.decider.memory))
        part = self.part.decode("utf-8", "replace")
        os.execv(sys.executable, [*interpreter, sys.argv[0], memory, str(self.events), part])

    async def ticks(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.adverts_are_read()
            waits = adverts_wait(RAW_SOCKETS.read_text(), self.conf.own, VRRP)
            self.decider.adverts_are_read(not waits, self.now())
            self.decider.tick(self.now())
            self.tell()
            notify("WATCHDOG=1")

    async def metadata_is_watched(self) -> None:
        """Who has which HaVip."""
        macs = {havip.mac for havip in self.conf.havips}
        often_s = max(OFTEN_S, OFTEN_PER_NIC_S * len(macs))
        while True:
            await self.claims_come_first()
            asked_at = time.monotonic()
            self.look_now.clear()
            try:
                found = await self.metadata.local_ipv4s(macs)
            except MetadataError as error:
                self.say_if_new("metadata", str(error))
            else:
                self.say_if_new("metadata", "")
                listed = [havip.address in (found[havip.mac] or ()) for havip in self.conf.havips]
                if doubtful := self.contradicts(found):
                    self.say_if_new("metadata", f"knows no {doubtful}, which is here")
                else:
                    is_active = self.decider.memory.phase == ACTIVE
                    leaving = [
                        i
                        for i, is_here in enumerate(listed)
                        if is_here and not is_active and self.is_leaving(i)
                    ]
                    self.decider.tenants_leave(leaving, self.now())
                    self.decider.metadata_lists(listed, asked_at, self.now())
                self.tell()
            await self.waits(self.look_now, often_s if self.decider.wants_to_look_often() else SELDOM_S)

    def contradicts(self, found: Mapping[str, set[str] | None]) -> str:
        """A NIC that is here, and whole, but not in the metadata; one of a tenant that goes may be in neither."""
        for number, (havip, seen) in enumerate(zip(self.conf.havips, self.decider.seen, strict=True)):
            if found[havip.mac] is None and seen.health == "ok" and not self.is_leaving(number):
                return havip.mac
        return ""

    async def credentials_are_watched(self) -> None:
        """So that a claim has them at hand."""
        while True:
            self.renew_now.clear()
            try:
                self.credentials = await self.metadata.credentials()
            except MetadataError as error:
                self.say_if_new("credentials", str(error))
            else:
                self.say_if_new("credentials", "")
            self.ec2.ahead_s = self.metadata.ahead_s
            self.decider.clock_is(self.metadata.ahead_s)
            self.decider.credentials_are(self.credentials is not None, self.now())
            await self.waits(self.renew_now, CREDENTIALS_EVERY_S if self.credentials else SELDOM_S)

    async def api_is_watched(self) -> None:
        """Whether a claim could be made. One look that fails is not told, but repeated."""
        before = ""
        while True:
            await self.claims_come_first()
            silent = await self.ec2.is_reached()
            if before or not silent:
                self.decider.api_is(silent, self.now())
                self.tell()
            again_s = API_AGAIN_S if before else API_SOON_S
            before = silent
            await asyncio.sleep(again_s if silent else API_EVERY_S)

    async def path_is_watched(self, number: int) -> None:
        """A word of the kernel, or a second's time, and it is looked at. What is wrong for a moment is not told."""
        look = self.looks[number]
        told, seen, since = "", "", time.monotonic()
        while True:
            await self.claims_come_first()
            look.clear()
            now = self.now()
            found = self.path_looks(number)
            if found != "ok" and self.is_leaving(number):
                found = "ok"
            if not seen or (found == "ok") != (seen == "ok"):
                since = now
            seen = found
            due = since + (GOOD_AFTER_S if seen == "ok" else BAD_AFTER_S)
            if seen != told and now >= due:
                told = seen
                self.decider.path_is(number, told, now)
                self.tell()
            await self.waits(look, LOOK_S if seen == told else max(due - time.monotonic(), 0.01))

    def path_looks(self, number: int) -> str:
        """What is wrong, or "ok"; the decider is told of the HaVip's address."""
        path = self.paths[number]
        try:
            if path and not path.is_current():
                self.path_is_closed(number)
                path = None
            if not path:
                path = self.path_is_opened(number)
            found, has_havip = path.look()
        except FileNotFoundError:
            self.path_is_closed(number)
            return "its namespace is not there"
        except OSError as error:
            self.path_is_closed(number)
            return f"cannot be looked at: {error.strerror or error}"
        self.decider.kernel_has(number, has_havip, self.now())
        return found

    def is_leaving(self, number: int) -> bool:
        """This host has been told that the tenant goes; the pair is told last, and has it until then."""
        namespace = self.conf.havips[number].namespace
        try:
            told = json.loads(USER_ENIS.read_text())["tenants"]
            return bool(namespace) and namespace not in [tenant["namespace"] for tenant in told]
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def path_is_opened(self, number: int) -> DataPath:
        havip = self.conf.havips[number]
        tenant = havip.namespace
        path = DataPath(
            namespace=tenant,
            nic=havip.device,
            mac=havip.mac,
            havip=havip.address,
            address="" if tenant else self.conf.own,
            tunnel=self.conf.tunnels.get(tenant, ""),
            tables=TENANT_TABLES if tenant else ROOT_TABLES,
        )
        for changes in path.changes:
            self.loop.add_reader(changes, self.path_has_changed, number)
        self.paths[number] = path
        return path

    def path_is_closed(self, number: int) -> None:
        path = self.paths[number]
        if path:
            for changes in path.changes:
                self.loop.remove_reader(changes)
            path.close()
        self.paths[number] = None
        self.decider.kernel_has(number, None, self.now())

    def path_has_changed(self, number: int) -> None:
        path = self.paths[number]
        if path:
            path.drain()
        self.looks[number].set()

    async def services_are_watched(self) -> None:
        """Whether keepalived runs, and each conntrackd, and hears the other one's."""
        namespaces = sorted(self.conf.tunnels)
        units = [KEEPALIVED, *(f"causeway-sync@{namespace}.service" for namespace in namespaces)]
        while True:
            await self.claims_come_first()
            text = await output_of("systemctl", "is-active", *units)
            keepalived, *states = [*text.split(), *["unknown"] * len(units)][: len(units)]
            sync = dict(zip(namespaces, states, strict=True))
            self.links.are_seen({namespace: await self.came_in(namespace) for namespace in self.synced(sync)})
            self.decider.services_are(keepalived, sync, self.links.silent, self.now())
            await asyncio.sleep(SYNC_AGAIN_S if self.links.are_doubtful else SYNC_EVERY_S)

    def synced(self, sync: Mapping[str, str]) -> list[str]:
        """Namespaces whose conntrackd can be asked."""
        return [name for name, state in sync.items() if state == "active" and configuration_of(name).exists()]

    async def came_in(self, namespace: str) -> str:
        """How many packets its conntrackd has had from the other one's. With many tenants, these are many processes."""
        await self.claims_come_first()
        asked = ("conntrackd", "-C", str(configuration_of(namespace)), "-s", "link")
        return packets_from_the_other((await ran(*asked, deadline_s=SYNC_ANSWERS_S))[1])

    async def claims_come_first(self) -> None:
        """For a moment: connections wait for them, and for nothing that is looked at or written down here."""
        if self.claims:
            await asyncio.wait(self.claims, timeout=CLAIMS_FIRST_S)

    async def waits(self, event: asyncio.Event, seconds: float) -> None:
        """For the event, or so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    # ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, text: str) -> None:
        say(text)

    def set_aside(self, aside: bool) -> None:
        """Written in place: keepalived watches this very file."""
        (DIRECTORY / "aside").write_text(f"{int(aside)}\n")

    def set_deaf(self, deaf: bool) -> None:
        self.deaf_wanted = deaf
        self.deaf_changes.set()

    async def deafness_follows(self) -> None:
        """Adverts of the other are dropped, or not."""
        while True:
            deaf = self.deaf_wanted
            words = f"add element inet causeway_pair unheard {{ {self.conf.peer} }}"
            failed = await failure_of("nft", words if deaf else "flush set inet causeway_pair unheard")
            if not deaf and failed.startswith(NO_SUCH_TABLE):
                failed = ""  # somebody has flushed the ruleset: nothing drops adverts
            self.say_if_new("adverts", failed)
            if not failed:
                self.decider.deaf_is(deaf, self.now())
            if failed or self.deaf_wanted == deaf:
                await self.waits(self.deaf_changes, SELDOM_S if failed else DEAFNESS_EVERY_S)
                self.deaf_changes.clear()

    def set_address(self, havip: int, here: bool) -> None:
        path = self.paths[havip]
        if not path:
            return  # kernel_has(None): it is set when there is a path
        try:
            path.set_havip(here)
        except OSError as error:
            say(
                f"{self.conf.havips[havip].name}: {'taking' if here else 'leaving'} its address failed: {error}"
            )

    def claim(self, havip: int) -> None:
        task = self.loop.create_task(self.claims_one(havip))
        self.claims.add(task)
        task.add_done_callback(self.claims.discard)
        task.add_done_callback(self.is_done)

    async def claims_one(self, number: int) -> None:
        havip = self.conf.havips[number]
        refused = "no credentials"
        if self.credentials:
            refused = await self.ec2.claim(havip.eni_id, havip.address, self.credentials)
        self.decider.claim_is_answered(number, refused, self.now())

    def drop_claims(self) -> None:
        for task in self.claims:
            task.cancel()

    def look_at_metadata(self) -> None:
        self.look_now.set()

    def renew_credentials(self) -> None:
        self.renew_now.set()

    def ask(self, address: str) -> None:
        self.goes_on(self.asks(address))

    async def asks(self, address: str) -> None:
        if not await failure_of("ping", "-n", "-q", "-c", "1", "-W", "1", "-I", self.conf.own, address):
            self.decider.is_answered(address, self.now())

    def resync(self, active: bool, only: Sequence[str]) -> None:
        self.resync_as = [ACTIVE if active else STANDBY, *only]
        self.resync_now.set()

    def drop_resync(self) -> None:
        self.resync_as = []
        if self.resyncing:
            self.resyncing.cancel()

    async def resyncs(self) -> None:
        """One at a time, and then the last one that was wanted. It is told as what: `role` may be of a moment ago."""
        while True:
            await self.resync_now.wait()
            self.resync_now.clear()
            if not self.resync_as:
                continue
            words, self.resync_as = ["resync-as", *self.resync_as], []
            self.resyncing = self.loop.create_task(
                failure_and_output_of(str(HERE / "pair"), *words, deadline_s=RESYNC_TAKES_S)
            )
            await asyncio.wait([self.resyncing])
            if self.resyncing.cancelled():
                continue
            failed, output = self.resyncing.result()
            untold = [line.split() for line in output.splitlines()]
            silent = [namespace for why, namespace in untold if why == "silent"]
            nobody = f"nobody answers in {', '.join(silent)}" if silent else ""
            self.say_if_new("resync", failed or nobody)
            if not self.resync_as:
                failing = [namespace for why, namespace in untold if why == "failed"]
                self.decider.resync_has_ended(failed, silent, failing, self.now())
                self.tell()

    def restart_keepalived(self) -> None:
        self.goes_on(self.keepalived_is_killed())

    async def keepalived_is_killed(self) -> None:
        """And started anew by systemd. One that hangs heeds nothing else."""
        self.say_if_new("keepalived", await failure_of("systemctl", "kill", "--signal=KILL", KEEPALIVED))

    def record(self, to: str, reason: str) -> int:
        at = int(time.time())
        self.switches = [*self.switches, f"{at} {to} {reason}"][-SWITCHES:]
        self.goes_on(self.switches_are_written())
        return at

    async def switches_are_written(self) -> None:
        await self.claims_come_first()
        self.write_switches()

    def write_switches(self) -> None:
        """Whoever comes after this process goes on with them."""
        write("switches", "".join(f"{line}\n" for line in self.switches))

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self) -> None:
        """state.json, and `role` for scripts, when they have changed."""
        phase = self.decider.memory.phase
        if self.claims and phase == ACTIVE and time.monotonic() - self.decider.master_at < TELL_AFTER_S:
            return  # not on the way of a claim
        if phase != self.role:
            self.role = phase
            write("role", f"{phase}\n")
        told = self.decider.told()
        told["own"] = self.conf.own
        told["switches"] = [
            {"at": int(at), "to": to, "reason": reason}
            for at, to, reason in (line.split(" ", 2) for line in self.switches)
        ]
        text = json.dumps(told)
        if text != self.told:
            self.told = text
            write("state.json", f"{text}\n")


def read_switches() -> list[str]:
    """The last ones; a watcher that was killed left them."""
    file = DIRECTORY / "switches"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in lines if len(line.split(" ", 2)) == 3 and line.split()[0].isdigit()]


def notify(state: str) -> None:
    """systemd, if it is there: WatchdogSec ends one that is stuck, and with it keepalived."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.connect("\0" + path[1:] if path.startswith("@") else path)
            end.send(state.encode())


def configuration_of(namespace: str) -> Path:
    """Of its conntrackd."""
    return SYNC / f"{namespace}.conf"


async def output_of(*command: str) -> str:
    """What it prints."""
    return (await ran(*command))[1]


async def failure_of(*command: str, deadline_s: float = COMMAND_TAKES_S) -> str:
    """ "" if it succeeded, else why not."""
    return (await failure_and_output_of(*command, deadline_s=deadline_s))[0]


async def failure_and_output_of(*command: str, deadline_s: float) -> tuple[str, str]:
    """ "" if it succeeded, else why not; and what it printed."""
    status, output, errors = await ran(*command, deadline_s=deadline_s)
    return "" if status == 0 else errors.strip() or f"exit status {status}", output


async def ran(*command: str, deadline_s: float = COMMAND_TAKES_S) -> tuple[int, str, str]:
    """Exit status, output, errors. One that takes too long is killed."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=pipe, stderr=pipe)
    except OSError as error:
        return 127, "", str(error)
    try:
        output, errors = await asyncio.wait_for(process.communicate(), deadline_s)
    except TimeoutError:
        await is_killed(process)
        return 124, "", f"{command[0]} did not end within {deadline_s:.0f} s"
    except asyncio.CancelledError:
        await is_killed(process)
        raise
    return process.returncode or 0, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


async def is_killed(process: asyncio.subprocess.Process) -> None:
    """It may have ended by itself just now."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def ends_on_an_error(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """One that has lost a part of itself must not go on."""
    loop.default_exception_handler(context)
    sys.stderr.flush()
    os._exit(1)


async def watch(memory: Memory, events: int, part: str) -> None:
    """Until it is ended."""
    asyncio.get_running_loop().set_exception_handler(ends_on_an_error)
    os.umask(0o077)
    os.environ["PATH"] = os.environ.get("CAUSEWAY_PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    watcher = Watcher(configuration((DIRECTORY / "watch.conf").read_text()), memory)
    notify("READY=1")
    if events < 0:
        events = os.open(DIRECTORY / "events", os.O_RDWR | os.O_NONBLOCK)
    await watcher.run(events, part)


def main(arguments: Sequence[str]) -> None:
    """`arguments`: none, or what a renewed one goes on with: memory, FIFO of events, half a line from it."""
    if arguments:
        memory, events, part = arguments
        asyncio.run(watch(Memory(**json.loads(memory)), int(events), part))
    else:
        asyncio.run(watch(Memory(since=int(time.time())), -1, ""))


if __name__ == "__main__":
    main(sys.argv[1:])
