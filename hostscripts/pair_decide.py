"""What one of two proxies does about what it sees. No input or output of its own: `pair_watch.py` has those.

Rules:
  1. MASTER: take the addresses, claim them all at once, look in the metadata until all are there, repeat what is
     refused. All there: it is whole, and deaf to adverts, so that one which wakes from a hang cannot demote it.
  2. The kernel follows AWS: an address is here while the metadata lists it here, or a claim for it is under way. So the
     old one forwards until the new one has taken over, and some seconds longer: packets still come to it.
  3. One that was whole and lost an address stands aside: the other took over. It listens again once it hears the
     other's adverts, or the HaVip is silent for a second (then the other is dead), or its patience ends.
  4. While both claim, the one with the higher index stands aside.
  5. A broken data path: it stands aside, unless nobody else is active. Then it serves what it can.
  6. A switch is no more than standing aside: if nobody takes over, nothing has happened.
  7. MASTER although there is an advert, which keepalived had no time to read: it stands aside for a moment.
  8. A keepalived that hangs (pair_hang.py) is restarted, unless this one is active: the other one takes over then.
Who stood aside in vain waits twice as long the next time, until it hears the other again.

Times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pair_hang import Hang

STARTING, STANDBY, ACTIVE, YIELDING, FAULT = "starting", "standby", "active", "yielding", "fault"
LONG_AGO = -1e6

LINGER_S = 5.0  # AWS moves an address within 4 s, measured elsewhere, and the metadata may be ahead of that
GRANT_TAKES_S = 10.0  # AWS moves an address some time after it said yes
BACK_OFF_S, BACK_OFF_MAX_S = 0.2, 2.0
GIVE_UP_S = 5.0  # claims that AWS refuses
SILENCE_S, PATIENCE_S, NOBODY_TOOK_S, NOBODY_ACTIVE_S = 1.0, 30.0, 2.0, 2.0
OFFER_S = 15.0  # how often one that serves with a broken path offers its place
START_S = 20.0
WELL_FOR_S = 2.0
HEALTH_TAKES_S, METADATA_SILENT_S = 15.0, 5.0
RESYNC_S, RESYNC_AGAIN_S = 60.0, 5.0
ASK_S = 0.3
CALM_S = 3.0  # a machine that stood still has much to catch up with, and would miss adverts
LOOK_OFTEN_S = 10.0
HANGS_S = 3.0  # or more, where adverts are far apart
MOST_DISTRUST = 6


@dataclass(frozen=True, kw_only=True)
class HaVip:
    """An address of the pair. `namespace`: "" is the root namespace; `mac`: of the ENI that would have it here."""

    name: str
    namespace: str
    device: str
    mac: str
    eni_id: str
    address: str


@dataclass(kw_only=True)
class Memory:
    """What a watcher that is renewed goes on with. `since`: seconds since 1970."""

    phase: str = STARTING
    reason: str = "just started"
    since: int = 0
    keepalived: str = "none"  # its last word: MASTER, BACKUP, FAULT, STOP
    aside: bool = True  # keepalived is kept in FAULT
    deaf: bool = False  # adverts of the other are dropped
    was_whole: bool = False
    last_resort: bool = False  # serves with a broken path
    clean: bool = False  # has nothing of other times to forget
    informed: bool = False  # knows the connections of now, but for those `untold`
    untold: list[str] = field(
        default_factory=list
    )  # namespaces whose sync link is silent, or was, or that could not ask
    distrust: int = 0


@dataclass(kw_only=True)
class Seen:
    """Of one HaVip. None: not known. `got`: seen here since the claim began."""

    listed: bool | None = None
    gone_at: float = LONG_AGO  # since when it is not listed
    in_kernel: bool | None = None
    got: bool = False
    claiming: bool = False
    attempt: int = 0
    claim_at: float = 0.0
    granted_at: float = LONG_AGO
    refused: str = ""
    health: str = ""  # "ok", or what is wrong
    asked_health_at: float = 0.0


class Effects(Protocol):
    """What a decision does. Each returns at once; what comes of it is told by a method of `Decider`."""

    def say(self, text: str) -> None: ...

    def set_aside(self, aside: bool) -> None: ...

    def set_deaf(self, deaf: bool) -> None:
        """→ deaf_is"""

    def set_address(self, havip: int, here: bool) -> None:
        """→ kernel_has"""

    def claim(self, havip: int) -> None:
        """→ claim_is_answered"""

    def drop_claims(self) -> None: ...

    def look_at_metadata(self) -> None:
        """Now → metadata_lists"""

    def renew_credentials(self) -> None:
        """→ credentials_are"""

    def ask(self, address: str) -> None:
        """→ is_answered"""

    def resync(self, active: bool, only: Sequence[str]) -> None:
        """Of these namespaces, or of all. → resync_has_ended"""

    def drop_resync(self) -> None: ...

    def restart_keepalived(self) -> None:
        """→ keepalived_says"""

    def record(self, to: str, reason: str) -> int:
        """A switch, now; when that is, in seconds since 1970."""


@dataclass
class Decider:
    """Facts come in by methods, each with the time; decisions go out by `effects`."""

    index: int
    peer: str
    silence_s: float  # less than what makes keepalived a master, and more than one advert's interval
    havips: Sequence[HaVip]
    effects: Effects
    now: float
    memory: Memory = field(default_factory=Memory)
    seen: list[Seen] = field(init=False)
    keepalived_is: str = "active"  # or what else systemd says
    sync: dict[str, str] = field(default_factory=dict)  # by namespace
    silent: list[str] = field(default_factory=list)  # where nothing comes from the other one's conntrackd
    leaving: frozenset[int] = frozenset()  # HaVips of tenants that this host has nothing of any more
    has_credentials: bool = False
    ahead_s: float = 0.0  # this clock is, of AWS's
    api_silent: str | None = (
        None  # why no connection to the API could be made; "": one could; None: not known yet
    )
    broken: str = ""  # the first data path that is
    unready: str = ""  # why it could not take over, its paths being whole
    alarms: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen = [Seen(asked_health_at=self.now) for _ in self.havips]
        self.platform = next(i for i, havip in enumerate(self.havips) if not havip.namespace)
        self.started_at = self.aside_at = self.metadata_at = self.master_at = self.well_at = self.now
        self.heard_at = self.pong_at = self.peer_pong_at = self.asked_at = self.resynced_at = LONG_AGO
        self.resyncs, self.resync_only = False, list[str]()
        self.unanswered: set[str] = set()  # namespaces that the last resync found silent
        self.resync_again_at = LONG_AGO
        self.advert_at = LONG_AGO
        self.hang = Hang(max(HANGS_S, 2 * self.silence_s), self.now)
        self.adverts_wait = False
        self.woke_at, self.claims_from = self.now, self.now + METADATA_SILENT_S
        self.calm_at = LONG_AGO
        self.is_back_at_once = self.has_lost = False
        if self.memory.aside:
            self.effects.set_aside(True)
        self.effects.set_deaf(self.memory.deaf)

    # ── what is seen ──────────────────────────────────────────────────────────────────────────────────────────────

    def keepalived_says(self, word: str, now: float) -> None:
        """MASTER, BACKUP, FAULT, STOP."""
        self.now = now
        if word not in ("MASTER", "BACKUP", "FAULT", "STOP"):
            return
        memory = self.memory
        memory.keepalived = word
        self.hang.has_spoken(now)
        if word == "MASTER" and not memory.aside and now - self.heard_at < self.silence_s:
            self._stand_aside(YIELDING, "adverts were not read in time")
            self.is_back_at_once = True
        elif word == "MASTER":
            self._becomes_active()
        elif word == "BACKUP":
            self.effects.set_deaf(False)
            if memory.phase == ACTIVE:
                memory.last_resort = False
            self._drop_claims()
            if not memory.aside:
                self._enter(STANDBY, "the other one is active")
        elif word == "STOP":
            self._enter(FAULT, "keepalived was stopped")
        elif not memory.aside:
            self._enter(FAULT, "keepalived finds a fault of its own, say of the NIC")
        self._decide()

    def metadata_lists(self, listed: Sequence[bool], asked_at: float, now: float) -> None:
        """By HaVip, whether AWS has it here, as read since `asked_at`."""
        self.now = now
        if asked_at < self.woke_at:
            return  # the world went on since
        self.metadata_at, self.claims_from = now, min(self.claims_from, now)
        contested = False
        for seen, is_listed in zip(self.seen, listed, strict=True):
            if seen.listed and not is_listed:
                seen.gone_at = now
            seen.listed = is_listed
            if not is_listed and seen.got:
                contested = True
                seen.granted_at = LONG_AGO
        self._kernel_follows()
        # What was read before this one became active says nothing about its claim.
        if self.memory.phase == ACTIVE and asked_at >= self.master_at:
            for seen in self.seen:
                seen.got = bool(seen.listed)
            if self.is_whole():
                self.has_lost = False
                if not self.memory.was_whole:
                    self._becomes_whole()
                if not self.memory.deaf:
                    self.effects.set_deaf(True)
            elif self.memory.was_whole and not self.has_lost:
                self.has_lost = True  # or one answer was wrong: it looks again
                self.effects.look_at_metadata()
            elif self.memory.was_whole:
                self.calm_at = now + CALM_S  # it was not heard, without knowing why
                self._stand_aside(YIELDING, "the other one took over")
            elif contested and self.index > 0:
                self._stand_aside(YIELDING, "the other one claims too")
        self._decide()

    def tenants_leave(self, havips: Sequence[int], now: float) -> None:
        """While it is not active: AWS may still have their HaVips here, and moves them to nobody."""
        self.now, self.leaving = now, frozenset(havips)

    def credentials_are(self, there: bool, now: float) -> None:
        """Of the instance's role."""
        self.now, self.has_credentials = now, there
        self._decide()

    def clock_is(self, ahead_s: float) -> None:
        """How far this machine's is ahead of AWS's, in seconds; 0: not so that it matters."""
        self.ahead_s = ahead_s

    def api_is(self, silent: str, now: float) -> None:
        """Whether the EC2 API can be reached: "", or why not."""
        self.now, self.api_silent = now, silent

    def claim_is_answered(self, havip: int, refused: str, now: float) -> None:
        """`refused`: "" is a yes; else "HTTP 403 UnauthorizedOperation", "no answer"…"""
        self.now = now
        seen = self.seen[havip]
        seen.claiming, seen.refused = False, refused
        if not refused:
            seen.granted_at, seen.attempt = now, 0
        else:
            seen.claim_at = now + min(BACK_OFF_S * 2**seen.attempt, BACK_OFF_MAX_S)
            seen.attempt += 1
            if refused.startswith(("HTTP 400", "HTTP 401", "HTTP 403")):
                self.effects.renew_credentials()
        self._decide()

    def path_is(self, havip: int, health: str, now: float) -> None:
        """The data path of the HaVip's namespace: "ok", what is wrong, or "" if that is not known (any more)."""
        self.now = now
        if not health:
            self.seen[havip].asked_health_at = now
        self.seen[havip].health = health
        self._decide()

    def kernel_has(self, havip: int, here: bool | None, now: float) -> None:
        """Whether the HaVip is an address of this kernel."""
        self.now = now
        self.seen[havip].in_kernel = here
        self._kernel_follows()

    def deaf_is(self, deaf: bool, now: float) -> None:
        """Whether adverts of the other are dropped."""
        self.now, self.memory.deaf = now, deaf
        self._decide()

    def advert_is_heard(self, priority: int, at: float, now: float) -> None:
        """Of the other one, when the kernel got it. Priority 0 says that there will be no more."""
        self.now, self.advert_at, self.heard_at = now, at, at if priority else LONG_AGO
        self._decide()

    def adverts_are_read(self, all_of_them: bool, now: float) -> None:
        """By keepalived: none waits for it."""
        self.now, self.adverts_wait = now, not all_of_them

    def is_answered(self, address: str, now: float) -> None:
        """A ping."""
        self.now = now
        if address == self.peer:
            self.peer_pong_at = now
        else:
            self.pong_at = now

    def services_are(self, keepalived: str, sync: dict[str, str], silent: Sequence[str], now: float) -> None:
        """As systemd has them; conntrackd by namespace. `silent`: those that hear nothing of the other one's."""
        self.now, self.keepalived_is, self.sync, self.silent = now, keepalived, sync, list(silent)
        if self.memory.phase != ACTIVE:
            self.memory.untold = sorted({*self.memory.untold, *silent} & sync.keys())

    def resync_has_ended(
        self, failed: str, silent: Sequence[str], failing: Sequence[str], now: float
    ) -> None:
        """What `Effects.resync` began; `failed`: "" or why. `silent`: who heard nothing, and has forgotten nothing;
        `failing`: who failed. Where it failed and none of them is named, it came to nothing."""
        self.now, self.resyncs = now, False
        if failed or silent:
            self.resync_again_at = now + RESYNC_AGAIN_S
        if (failing or not failed) and self.memory.phase == STANDBY and self.memory.clean:
            others = set(self.memory.untold).difference(self.resync_only) if self.resync_only else set()
            self.unanswered = set(silent)
            self.memory.informed, self.memory.untold = True, sorted(others.union(silent, failing))
        self._decide()

    def switch_is_wanted(self, now: float) -> None:
        """By somebody."""
        self.now = now
        if self.memory.phase == ACTIVE:
            self._stand_aside(YIELDING, "a switch was asked for")

    def woke_up(self, slept_s: float, now: float) -> None:
        """The machine was stopped for a while, and the world went on: nothing is claimed before it has looked."""
        self.now = self.metadata_at = now
        self.effects.say(f"did not run for {slept_s:.1f} s")
        self._drop_claims()
        self.memory.was_whole = True
        self.woke_at, self.claims_from = now, now + METADATA_SILENT_S
        self.hang.is_given_time(now)
        self.calm_at = now + CALM_S
        self.effects.look_at_metadata()

    def tick(self, now: float) -> None:
        """A few times a second."""
        self.now = now
        self._kernel_follows()
        self._decide()
        self._restart_one_that_hangs()

    # ── active ────────────────────────────────────────────────────────────────────────────────────────────────────

    def is_whole(self) -> bool:
        """AWS has every HaVip here."""
        return all(seen.listed for seen in self.seen)

    def has_none(self) -> bool:
        """AWS has every HaVip elsewhere, but for those of tenants that are leaving."""
        return all(seen.listed is False for i, seen in enumerate(self.seen) if i not in self.leaving)

    def _becomes_active(self) -> None:
        memory = self.memory
        if memory.aside:
            return  # keepalived has not read the file yet
        memory.phase, memory.was_whole, memory.clean = ACTIVE, False, False
        memory.informed, memory.untold, self.unanswered = True, [], set()
        self.master_at = self.now
        self.resynced_at = self.now  # the next one is due once it is whole, and not ahead of the claims
        self.resyncs = False
        self.effects.drop_resync()  # which may be about to empty the tables
        for i, seen in enumerate(self.seen):
            seen.got, seen.granted_at, seen.refused, seen.attempt, seen.claim_at = False, LONG_AGO, "", 0, 0.0
            self._set_address(i, True)
        self._claim_what_lacks(only_unlisted=False)
        memory.reason = (
            "nobody else is active" if memory.last_resort else "the other one went silent or stood aside"
        )
        memory.since = self.effects.record(ACTIVE, memory.reason)
        self.effects.look_at_metadata()

    def _claim_what_lacks(self, *, only_unlisted: bool = True) -> None:
        if not self.has_credentials or self.now < self.claims_from or self.memory.was_whole:
            return  # who was whole and lost does not take back, but stands aside
        for i, seen in enumerate(self.seen):
            is_lacking = not (only_unlisted and seen.listed) and self.now - seen.granted_at >= GRANT_TAKES_S
            if is_lacking and not seen.claiming and self.now >= seen.claim_at:
                seen.claiming = True
                self.effects.claim(i)

    def _drop_claims(self) -> None:
        for seen in self.seen:
            seen.claiming = False
        self.effects.drop_claims()

    def _becomes_whole(self) -> None:
        granted_s = max(seen.granted_at for seen in self.seen) - self.master_at
        answered = f", the API's last yes after {granted_s * 1000:.0f} ms" if granted_s >= 0 else ""
        self.effects.say(f"whole after {(self.now - self.master_at) * 1000:.0f} ms{answered}")
        self.memory.was_whole = True
        self._resync()

    def _give_up_what_is_refused(self) -> None:
        """AWS says no, and will go on saying so: perhaps it says yes to the other."""
        if self.is_whole() or self.now - self.master_at <= self._doubted(GIVE_UP_S):
            return
        refused = [
            f"{havip.name} ({seen.refused})"
            for havip, seen in zip(self.havips, self.seen, strict=True)
            if not seen.listed and seen.refused.startswith("HTTP 4")
        ]
        if not refused:
            return
        self._ask(self.peer)
        if self.now - self.peer_pong_at < 1:
            self._doubt()
            self._stand_aside(YIELDING, f"claims were refused: {', '.join(refused)}")

    # ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _kernel_follows(self) -> None:
        for i, seen in enumerate(self.seen):
            wanted = True if self.memory.phase == ACTIVE else seen.listed
            if wanted is False and self.now - seen.gone_at < LINGER_S:
                continue
            if wanted is not None and seen.in_kernel is not None and wanted != seen.in_kernel:
                self._set_address(i, wanted)

    def _set_address(self, havip: int, here: bool) -> None:
        self.seen[havip].in_kernel = here
        self.effects.set_address(havip, here)

    # ── standing aside, and coming back ───────────────────────────────────────────────────────────────────────────

    def _stand_aside(self, phase: str, reason: str) -> None:
        self.memory.aside = True
        self.effects.set_aside(True)
        self.is_back_at_once = self.has_lost = False
        self.aside_at = self.pong_at = self.now
        self.heard_at = self.asked_at = LONG_AGO
        self.effects.say(f"stands aside: {reason}")
        self._enter(phase, reason)
        self._drop_claims()  # they might come after the other's
        self.effects.set_deaf(False)
        self._kernel_follows()

    def _listen_again(self, reason: str) -> None:
        if self.memory.deaf:
            self.effects.set_deaf(False)
            return
        self.memory.aside = False
        self.effects.set_aside(False)
        self.effects.say(f"listens again: {reason}")
        self._enter(STANDBY, reason)

    def _look_for_the_other(self) -> None:
        platform = self.seen[self.platform]
        if platform.listed or platform.in_kernel:
            self.pong_at = self.now  # this kernel would answer: only the adverts tell
        else:
            self._ask(self.havips[self.platform].address)

    def _ask(self, address: str) -> None:
        if self.now - self.asked_at >= ASK_S:
            self.asked_at = self.now
            self.effects.ask(address)

    def _come_back(self) -> None:
        self._look_for_the_other()
        if self.memory.keepalived == "MASTER":
            return  # it has not read the file yet, and must not miss it
        if self.is_back_at_once:
            self._listen_again("to be sure")
            return
        aside_for, silent_for = self.now - self.aside_at, self.now - self.pong_at
        if self.heard_at > self.aside_at:
            self.memory.distrust = 0
            if self.now >= self.calm_at:
                self._listen_again("the other one is active")
            return
        if self.seen[self.platform].listed:
            why = "nobody took over" if aside_for >= self._doubted(NOBODY_TOOK_S) else ""
        elif silent_for > self._doubted(SILENCE_S):
            why = "the other one is silent"
        else:
            why = "the other one serves, but says nothing" if aside_for > self._doubted(PATIENCE_S) else ""
        if why:
            self._doubt()
            self._listen_again(why)

    def _serve_nevertheless(self) -> None:
        """With a broken path it serves only if nobody else does: no adverts, and not a word from the HaVip."""
        self._look_for_the_other()
        if self.memory.keepalived == "MASTER":
            return
        heard_at = max(self.heard_at, self.aside_at)
        if self.now - heard_at <= NOBODY_ACTIVE_S:
            return
        if self.seen[self.platform].listed or self.now - self.pong_at > NOBODY_ACTIVE_S:
            self.memory.last_resort = True
            self._listen_again(f"nobody else is active: serves although {self.broken or self.unready}")

    def _doubted(self, seconds: float) -> float:
        return seconds * float(2**self.memory.distrust)

    def _doubt(self) -> None:
        self.memory.distrust = min(self.memory.distrust + 1, MOST_DISTRUST)

    # ── what is due ───────────────────────────────────────────────────────────────────────────────────────────────

    def _decide(self) -> None:
        self._find_what_is_broken()
        memory = self.memory
        if memory.phase == ACTIVE:
            self._decide_when_active()
        elif memory.phase == STANDBY:
            if (self.broken or self.unready) and not memory.last_resort:
                self._stand_aside(FAULT, self.broken or self.unready)
            else:
                self._get_informed()
        elif memory.phase == STARTING:
            if not (self.broken or self.unready):
                self._listen_again("just started")
            elif self.now - self.started_at > START_S:
                self._stand_aside(FAULT, self.broken or self.unready)
        elif memory.phase == YIELDING:
            self._come_back()
        elif memory.aside:  # and not by a fault of keepalived's own, which ends with its next word
            self._decide_in_fault()

    def _decide_in_fault(self) -> None:
        memory = self.memory
        if not (self.broken or self.unready):
            if memory.keepalived != "MASTER" and self.now - max(self.aside_at, self.well_at) > WELL_FOR_S:
                memory.last_resort = False
                self._listen_again("well again")
        else:
            self.well_at = self.now
            self._serve_nevertheless()

    def _decide_when_active(self) -> None:
        self._claim_what_lacks()
        self._give_up_what_is_refused()
        if self.memory.phase != ACTIVE:
            return
        if not self.broken:
            self.memory.last_resort = False
        elif not self.memory.last_resort or self.now - self.master_at > OFFER_S:
            self.memory.last_resort = False
            self._stand_aside(FAULT, self.broken)
            return
        if self.now - self.resynced_at >= RESYNC_S:
            self._resync()

    def _get_informed(self) -> None:
        """A standby forgets what it knows, and is told all. Not while packets may still come to it: they need that.

        Where a link was silent and no longer is, it missed what began and ended meanwhile: there alone it asks again.
        """
        memory = self.memory
        knows = memory.clean and memory.informed
        heard_again = [namespace for namespace in memory.untold if namespace not in self.silent]
        if (knows and not heard_again) or self.resyncs or self.now < self.resync_again_at:
            return
        is_lingering = any(
            self.now - seen.gone_at < LINGER_S for i, seen in enumerate(self.seen) if i not in self.leaving
        )
        if self.has_none() and not is_lingering:
            memory.clean, memory.informed = True, knows
            self._resync(heard_again if knows else [])

    def _restart_one_that_hangs(self) -> None:
        memory = self.memory
        if memory.phase == ACTIVE or self.keepalived_is != "active":
            self.hang.has_spoken(self.now)
            return
        is_silent = self.now - self.advert_at > self.silence_s
        should_lead = memory.phase == STANDBY and memory.keepalived != "MASTER" and is_silent
        if self.hang.is_seen(adverts_wait=self.adverts_wait, should_lead=should_lead, now=self.now):
            self.effects.say(f"restarts keepalived: {self.hang.why}")
            self.effects.restart_keepalived()

    def _find_what_is_broken(self) -> None:
        self.broken = self.unready = ""
        for havip, seen in zip(self.havips, self.seen, strict=True):
            if not seen.health:
                if self.now - seen.asked_health_at > HEALTH_TAKES_S:
                    self.broken = f"{havip.name}: nobody says how it is"
                elif self.memory.phase == STARTING:
                    self.unready = f"{havip.name}: not known yet"
            elif seen.health != "ok":
                self.broken = f"{havip.name}: {seen.health}"
            if self.broken:
                return
        has_only_just_asked = self.memory.phase != STARTING and self.now - self.started_at < METADATA_SILENT_S
        if self.unready or has_only_just_asked:  # as one that was renewed has
            return
        if not self.has_credentials:
            self.unready = "the metadata has no credentials"
        elif self.seen[self.platform].listed is None or self.now - self.metadata_at > METADATA_SILENT_S:
            self.unready = "the metadata is silent"

    def _resync(self, only: Sequence[str] = ()) -> None:
        """Every conntrackd: the active one tells all it knows; a standby forgets all, and asks."""
        self.resynced_at, self.resyncs, self.resync_only = self.now, True, list(only)
        self.effects.resync(self.memory.phase == ACTIVE, only)

    def _enter(self, phase: str, reason: str) -> None:
        memory = self.memory
        if (memory.phase, memory.reason) == (phase, reason):
            return
        was, memory.phase, memory.reason = memory.phase, phase, reason
        if ACTIVE in (was, phase):
            memory.since = self.effects.record(phase, reason)

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def wants_to_look_often(self) -> bool:
        """At the metadata: something is on its way."""
        if self.memory.phase == ACTIVE:
            return not self.is_whole()
        return self.now - self.aside_at < LOOK_OFTEN_S or not self.has_none()

    def told(self) -> dict[str, Any]:
        """For `status`."""
        memory = self.memory
        self._find_alarms()
        return {
            "state": memory.phase,
            "since": memory.since,
            "reason": memory.reason,
            "keepalived": memory.keepalived,
            "index": self.index,
            "peer": self.peer,
            "whole": self.is_whole(),
            "deaf": int(memory.deaf),
            "havips": {
                havip.name: {
                    "imds": seen.listed,
                    "kernel": seen.in_kernel,
                    "health": seen.health,
                    "refused": seen.refused,
                }
                for havip, seen in zip(self.havips, self.seen, strict=True)
            },
            "api": self.api_silent,
            "alarms": self.alarms,
            "warnings": self.warnings,
            "silent_links": self._silent_links(),
        }

    def _find_alarms(self) -> None:
        memory, found = self.memory, []
        if memory.keepalived in ("STOP", "none") or self.keepalived_is != "active":
            found.append("keepalived does not run")
        if self.hang.why:
            found.append(f"keepalived hangs, and is restarted: {self.hang.why}")
        if memory.phase == ACTIVE and self.now - self.master_at > 1:
            found += [
                f"{havip.name} is not here yet" + (f": {seen.refused}" if seen.refused else "")
                for havip, seen in zip(self.havips, self.seen, strict=True)
                if not seen.listed
            ]
        if memory.phase == ACTIVE and memory.last_resort:
            found.append("serves with a broken path, as nobody else is active")
        if memory.phase == STANDBY:
            unknown = sorted(set(memory.untold).difference(self.unanswered, self.silent))
            if unknown or not memory.informed:
                of = f" of {', '.join(unknown)}" if memory.informed else ""
                found.append(f"does not know every connection{of} yet")
        if self.broken or self.unready:
            found.append(self.broken or self.unready)
        if self.api_silent and memory.phase != ACTIVE:
            found.append(self._api_is_silent())
        if memory.phase == YIELDING and self.now - self.aside_at > 5:
            found.append(f"stands aside: {memory.reason}")
        found += [
            f"connections of {namespace} are not synchronised: conntrackd is {state}"
            for namespace, state in sorted(self.sync.items())
            if state != "active"
        ]
        found += self._silent_links()
        for text in found:
            if text not in self.alarms:
                self.effects.say(f"ALARM: {text}")
        self.alarms = found
        self._find_warnings()

    def _find_warnings(self) -> None:
        """What keeps nobody from changing sides."""
        found = []
        if self.api_silent and self.memory.phase == ACTIVE:
            found.append(self._api_is_silent())
        if self.ahead_s:
            found.append(
                f"its clock is some {abs(self.ahead_s) / 60:.0f} min "
                f"{'ahead of' if self.ahead_s > 0 else 'behind'} AWS's: set it (date, or by NTP)"
            )
        for text in found:
            if text not in self.warnings:
                self.effects.say(f"WARNING: {text}")
        self.warnings = found

    def _api_is_silent(self) -> str:
        return f"could claim no HaVip, as the EC2 API is not reached from here: {self.api_silent}"

    def _silent_links(self) -> list[str]:
        """As alarms. Who is active needs to be told nothing, and the other one may be off."""
        return [
            f"does not know the connections of {namespace}, which a failover may cut: conntrackd and the other one's "
            f"do not hear each other (look at the sync link, and at causeway-sync@{namespace} on both proxies)"
            for namespace in sorted(self.unanswered.union(self.silent))
            if self.memory.phase != ACTIVE and self.sync.get(namespace, "active") == "active"
        ]
