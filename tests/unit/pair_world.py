"""Two proxies' deciders in a small world of AWS and VRRP, in simulated time: for rules, not for speed.

keepalived is modelled with what the pair relies on: nopreempt, one priority, the higher address wins among masters,
three lost adverts make a master, `aside` makes a fault, and a master that goes says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from pair_decide import ACTIVE, STANDBY, Decider, HaVip, Memory

STEP_S, RESYNC_S = 0.05, 2.0
LINKS_EVERY_S = 3.0  # looked at
RESTART_TAKES_S = 1.5  # of keepalived, vrrp_startup_delay included
ADVERT_S, DOWN_S = 0.1, 0.3
HAVIPS = tuple(
    HaVip(
        name=name,
        namespace=namespace,
        device=f"eth{i}",
        mac=f"02:00:00:00:00:0{i}",
        eni_id=f"eni-{i}",
        address=f"10.0.{i}.100",
    )
    for i, (name, namespace) in enumerate(
        [("platform", ""), ("alpha", "tenant-alpha"), ("beta", "tenant-beta")]
    )
)
TENANTS = tuple(havip.namespace for havip in HAVIPS if havip.namespace)
OWN = ("10.0.0.4", "10.0.0.5")


@dataclass
class Aws:
    """Who has which HaVip. Claims are answered after `claim_s`, and come true `effect_s` later."""

    owner: list[int | None] = field(default_factory=lambda: [None] * len(HAVIPS))
    claim_s: float = 0.0
    effect_s: float = 0.0
    down: bool = False
    refused: set[tuple[int, int]] = field(default_factory=set)  # (proxy, HaVip)


@dataclass
class Keepalived:
    """Of one proxy."""

    state: str = "none"
    deadline: float = 0.0
    advert_at: float = 0.0
    starts_at: float = 0.0
    hangs: bool = False
    has_unread: bool = False

    def goes_on(self) -> None:
        """As after a SIGCONT."""
        self.hangs = self.has_unread = False


class Proxy:
    """One that runs, or hangs, or is dead; the effects of its decider."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.is_alive = True
        self.hangs = False
        self.path = "ok"
        self.kernel = [False] * len(HAVIPS)
        self.keepalived = Keepalived()
        self.generation = 0
        self.starts(Memory())

    def starts(self, memory: Memory) -> None:
        """A machine after its boot; or, with a memory, the renewed watcher of one."""
        self.aside, self.deaf = memory.aside, memory.deaf
        self.asks_metadata_at, self.path_told, self.last = 0.0, "", self.world.now
        self.looks_at_links_at = self.world.now + LINKS_EVERY_S
        self.generation += 1
        self.decider = Decider(
            index=self.number,
            peer=OWN[1 - self.number],
            silence_s=2.5 * ADVERT_S,
            havips=HAVIPS,
            effects=self,
            now=self.world.now,
            memory=memory,
        )

    @property
    def runs(self) -> bool:
        """Whether it does anything."""
        return self.is_alive and not self.hangs

    def at(self) -> float:
        """The time, as the watcher reads it."""
        now = self.world.now
        if now - self.last > 2.0:
            self.decider.woke_up(now - self.last, now)
        self.last = now
        return now

    def renews(self) -> None:
        """As `is_renewed` does."""
        self.starts(Memory(**json.loads(json.dumps(asdict(self.decider.memory)))))

    def step(self) -> None:
        """What is due."""
        now = self.at()
        if self.path != self.path_told:
            self.path_told = self.path
            for i in range(len(HAVIPS)):
                self.decider.path_is(i, self.path if i == 1 else "ok", now)
        if not self.decider.has_credentials:
            self.decider.credentials_are(True, now)
        for i, here in enumerate(self.kernel):
            self.decider.kernel_has(i, here, now)
        if now >= self.asks_metadata_at:
            listed = [owner == self.number for owner in self.world.aws.owner]
            self.asks_metadata_at = now + (0.05 if self.decider.wants_to_look_often() else 1.0)
            self.later(0.0, lambda: self.decider.metadata_lists(listed, now, self.at()))
        if now >= self.looks_at_links_at:
            self.looks_at_links_at = now + LINKS_EVERY_S
            self.decider.services_are("active", dict.fromkeys(TENANTS, "active"), self.silent(TENANTS), now)
        self.decider.adverts_are_read(not self.keepalived.has_unread, now)
        self.decider.tick(now)
        if not self.keepalived.hangs and now >= self.keepalived.starts_at:
            self.vrrp(now)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Unless it is another one then; one that hangs does it when it goes on."""
        generation = self.generation

        def attempt() -> None:
            if self.generation == generation and self.is_alive:
                if self.hangs:
                    self.world.at(STEP_S, attempt)
                else:
                    do()

        self.world.at(seconds, attempt)

    # ── keepalived ────────────────────────────────────────────────────────────────────────────────────────────────

    def vrrp(self, now: float) -> None:
        """Its timers."""
        k = self.keepalived
        if self.aside:
            if k.state != "FAULT":
                if k.state == "MASTER":
                    self.world.advert(self.number, last=True)
                self.becomes("FAULT")
        elif k.state in ("FAULT", "none"):
            k.deadline = now + DOWN_S
            self.becomes("BACKUP")
        elif k.state == "BACKUP" and now >= k.deadline:
            self.becomes("MASTER")
        if k.state == "MASTER" and now >= k.advert_at:
            k.advert_at = now + ADVERT_S
            self.world.advert(self.number)

    def hears(self, last: bool) -> None:
        """An advert of the other."""
        if not self.runs or self.deaf:
            return
        self.decider.advert_is_heard(0 if last else 254, self.at(), self.world.now)
        k = self.keepalived
        if k.hangs:
            k.has_unread = True
        elif k.state == "MASTER" and not last and self.number == 0:
            k.deadline = self.world.now + DOWN_S
            self.becomes("BACKUP")
        elif k.state == "BACKUP":
            k.deadline = self.world.now + (0.0 if last else DOWN_S)

    def becomes(self, state: str) -> None:
        """And says so."""
        self.keepalived.state = state
        self.decider.keepalived_says(state, self.at())

    # ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, text: str) -> None:
        self.world.log.append(f"{self.world.now:7.2f} proxy-{self.number} {text}")

    def set_aside(self, aside: bool) -> None:
        self.aside = aside

    def set_deaf(self, deaf: bool) -> None:
        def is_done() -> None:
            self.deaf = deaf
            self.decider.deaf_is(deaf, self.at())

        self.later(STEP_S, is_done)

    def set_address(self, havip: int, here: bool) -> None:
        self.kernel[havip] = here

    def claim(self, havip: int) -> None:
        aws, epoch = self.world.aws, self.claims
        seconds = 4.0 if aws.down else max(aws.claim_s, STEP_S / 2)
        refused = "no answer" if aws.down else "HTTP 403 No" if (self.number, havip) in aws.refused else ""
        if not refused:
            self.world.at(aws.claim_s / 2 + aws.effect_s, lambda: self.world.owns(havip, self.number))

        def is_answered() -> None:
            if epoch == self.claims:
                self.decider.claim_is_answered(havip, refused, self.at())

        self.later(seconds, is_answered)

    claims = 0

    def drop_claims(self) -> None:
        self.claims += 1

    def look_at_metadata(self) -> None:
        self.asks_metadata_at = 0.0

    def renew_credentials(self) -> None: ...

    def ask(self, address: str) -> None:
        other = self.world.proxies[1 - self.number]
        is_peer = address == OWN[other.number]
        if other.runs and (is_peer or (self.world.aws.owner[0] == other.number and other.kernel[0])):
            self.later(STEP_S, lambda: self.decider.is_answered(address, self.at()))

    resyncs = 0

    def resync(self, active: bool, only: Sequence[str]) -> None:
        """The other one tells all, if it is there and knows it; emptying comes first, at once, where it is heard."""
        self.resyncs += 1
        epoch = self.resyncs
        silent = [] if active else self.silent(only or TENANTS)
        self.world.resynced.append((self.number, active, tuple(only)))
        if not active and len(silent) < len(only or TENANTS):
            self.world.emptied.append((self.number, self.decider.memory.phase, min(self.lingers())))

        def has_ended() -> None:
            if epoch == self.resyncs:
                self.decider.resync_has_ended("", silent, [], self.at())

        self.later(RESYNC_S, has_ended)

    def silent(self, namespaces: Sequence[str]) -> list[str]:
        """Those of them in which nothing is heard."""
        is_there = self.world.proxies[1 - self.number].runs
        return [name for name in namespaces if not is_there or name in self.world.broken_links]

    def drop_resync(self) -> None:
        self.resyncs += 1

    restarts = 0

    def restart_keepalived(self) -> None:
        self.restarts += 1
        self.keepalived = Keepalived(starts_at=self.world.now + RESTART_TAKES_S)

    def lingers(self) -> list[float]:
        """How long ago AWS took each HaVip away from here, as a proxy can know of it."""
        return [self.world.now - seen.gone_at for seen in self.decider.seen]

    def record(self, to: str, reason: str) -> int:
        self.world.log.append(f"{self.world.now:7.2f} proxy-{self.number} {to}: {reason}")
        return int(self.world.now)


class World:
    """Time, and what it brings."""

    def __init__(self) -> None:
        self.now, self.scheduled = 0.0, 0
        self.log: list[str] = []
        self.emptied: list[
            tuple[int, str, float]
        ] = []  # who forgot all connections, as what, and how long after
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.aws = Aws()
        self.is_split = False
        self.resynced: list[
            tuple[int, bool, tuple[str, ...]]
        ] = []  # who, whether as the active one, and where
        self.broken_links: set[str] = set()  # sync links, by namespace
        self.proxies: list[Proxy] = []
        for number in (0, 1):
            self.proxies.append(Proxy(self, number))

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """In so many seconds."""
        self.scheduled += 1
        self.due.append((self.now + seconds, self.scheduled, do))

    def owns(self, havip: int, number: int) -> None:
        """AWS moved it."""
        self.aws.owner[havip] = number

    def advert(self, number: int, last: bool = False) -> None:
        """To the other, if it comes through."""
        if not self.is_split and len(self.proxies) == 2:
            self.proxies[1 - number].hears(last)

    def passes(self, seconds: float) -> None:
        """Step by step."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            due = sorted(entry for entry in self.due if entry[0] <= self.now)
            self.due = [entry for entry in self.due if entry[0] > self.now]
            for _, _, do in due:
                do()
            for proxy in self.proxies:
                if proxy.runs:
                    proxy.step()

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it came true in that time."""
        end = self.now + seconds
        while self.now < end:
            if condition():
                return True
            self.passes(STEP_S)
        return condition()

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────

    def kill(self, number: int) -> None:
        """Its machine is off."""
        self.proxies[number].is_alive = False

    def boot(self, number: int) -> None:
        """It has forgotten everything."""
        proxy = self.proxies[number]
        if not proxy.is_alive:
            proxy.is_alive, proxy.hangs = True, False
            proxy.kernel, proxy.keepalived = [False] * len(HAVIPS), Keepalived()
            proxy.starts(Memory())

    def heal(self) -> None:
        """Everything is as it should be, but for what the proxies make of it."""
        self.is_split = False
        self.broken_links.clear()
        self.aws.claim_s = self.aws.effect_s = 0.0
        self.aws.down, self.aws.refused = False, set()
        for proxy in self.proxies:
            self.boot(proxy.number)
            proxy.hangs, proxy.path = False, "ok"
            proxy.keepalived.goes_on()

    # ── what is so ────────────────────────────────────────────────────────────────────────────────────────────────

    def owner(self) -> int | None:
        """The one proxy that has everything, by AWS, kernel, keepalived and its own word; the other stands by."""
        for one, other in (self.proxies, self.proxies[::-1]):
            if (
                one.runs
                and all(owner == one.number for owner in self.aws.owner)
                and all(one.kernel)
                and one.decider.memory.phase == ACTIVE
                and one.keepalived.state == "MASTER"
                and self.stands_by(other)
            ):
                return one.number
        return None

    def stands_by(self, proxy: Proxy) -> bool:
        """Ready to take over."""
        return not proxy.is_alive or (
            proxy.runs and proxy.decider.memory.phase == STANDBY and proxy.keepalived.state == "BACKUP"
        )

    def can_fail_again(self) -> bool:
        """There is an owner, and the other one knows every connection, and none of other times."""
        owner = self.owner()
        if owner is None:
            return False
        memory = self.proxies[1 - owner].decider.memory
        return memory.clean and memory.informed and not memory.untold

    def nothing_lingers(self) -> bool:
        """An address is in one kernel alone."""
        return not any(
            all(here) for here in zip(*(proxy.kernel for proxy in self.proxies if proxy.runs), strict=True)
        )

    def story(self, lines: int = 40) -> str:
        """What was said last."""
        return "\n".join(
            ["", *self.log[-lines:], *(json.dumps(proxy.decider.told()) for proxy in self.proxies)]
        )


def forwards(world: World, havips: Sequence[int] = range(len(HAVIPS))) -> bool:
    """Whether each HaVip is somewhere, and that kernel has it."""
    for havip in havips:
        owner = world.aws.owner[havip]
        if owner is None or not world.proxies[owner].runs or not world.proxies[owner].kernel[havip]:
            return False
    return True
