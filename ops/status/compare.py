"""What disagrees. Pure: from the outputs and what was seen to a report.

The API says where AWS sends packets, the metadata what a proxy can know of that, the kernel what it answers for. They
must say the same of every address; of a pair's HaVips, that one proxy has all and the other none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ops.outputs import HaVip, Outputs, Pair
from ops.status.seen import BUSY, HostSeen, PairSeen, Seen, Sync

API, STACK = "API", "stack"
WORKING_ROLES = ("func", "proxy")  # a user instance may lack what it takes to tell
BEHIND_IS_MUCH = 0.1  # of the active one's connections
NEARLY_FULL = 0.9
ROOT = ""  # the namespace
MANY_OFF = 3  # changes that are named


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a host, a pair, a tenant, `API` or `stack`."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class HaVipSeen:
    """Who holds a HaVip, by each witness: names of proxies. None: the witness did not say."""

    havip: HaVip
    api: tuple[str, ...] | None
    imds: tuple[str, ...]
    kernel: tuple[str, ...]

    @property
    def holder(self) -> str | None:
        """The one proxy that has it by every witness."""
        said = {self.imds, self.kernel, self.imds if self.api is None else self.api}
        (one,) = said if len(said) == 1 else ((),)
        return one[0] if len(one) == 1 else None

    @property
    def shown(self) -> str:
        """For a person."""
        api = "not known" if self.api is None else _names(self.api)
        return f"by API {api}, by metadata {_names(self.imds)}, by kernel {_names(self.kernel)}"


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """A tenant's connections on both proxies. `behind`: how many fewer the standby knows."""

    namespace: str
    active: Sync
    standby: Sync
    behind: int


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """One pair. With a single proxy nobody is active and nobody stands by."""

    pair: Pair
    problems: tuple[Problem, ...]
    havips: tuple[HaVipSeen, ...]
    active: str | None
    standby: str | None
    sync: tuple[SyncReport, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything about a stack. Problems are what is wrong; notes are worth knowing."""

    outputs: Outputs
    seen: Seen
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    pairs: tuple[PairReport, ...]

    @property
    def of_proxies(self) -> tuple[Problem, ...]:
        """Problems that a failover would meet: all but those of func hosts and user instances."""
        subjects = {*self.outputs.proxies, *(pair.label for pair in self.outputs.pairs), API}
        return tuple(problem for problem in self.problems if problem.subject in subjects)

    @property
    def active(self) -> str | None:
        """Of the only pair, as in a report about one (`Outputs.of_pair`)."""
        (only,) = self.pairs
        return only.active

    @property
    def standby(self) -> str | None:
        """Likewise."""
        (only,) = self.pairs
        return only.standby

    @property
    def havips(self) -> tuple[HaVipSeen, ...]:
        """Of all pairs."""
        return tuple(one for pair in self.pairs for one in pair.havips)


def compare(outputs: Outputs, seen: Seen) -> Report:
    """What there is, with what disagrees first."""
    pretenders = [n for n, host in seen.hosts.items() if host.pair is not None and n not in outputs.proxies]
    seen = replace(
        seen, hosts={n: replace(h, pair=None) if n in pretenders else h for n, h in seen.hosts.items()}
    )
    pairs = tuple(_pair_report(outputs.of_pair(pair.number), seen, pair) for pair in outputs.pairs)
    problems = [
        *(problem for pair in pairs for problem in pair.problems),
        *(Problem(name, "says that it is one of the pair, which it is not") for name in pretenders),
        *_told_problems(outputs, seen),
        *_host_problems(outputs, seen),
    ]
    return Report(
        outputs=outputs,
        seen=seen,
        problems=tuple(problems),
        notes=(
            *_notes(seen),
            *_mute(outputs, seen, works=False),
            *(note for pair in pairs for note in _sync_notes(pair)),
        ),
        pairs=pairs,
    )


def _pair_report(outputs: Outputs, seen: Seen, pair: Pair) -> PairReport:
    havips = tuple(_havip_seen(outputs, seen, havip) for havip in outputs.havips)
    told = {name: seen.hosts[name].pair for name in pair.proxies if name in seen.hosts}
    proxies = {name: one for name, one in told.items() if one is not None}
    active = _the_one(name for name, one in proxies.items() if one.state == "active")
    standby = _the_one(name for name in pair.proxies if name != active) if active else None
    return PairReport(
        pair=pair,
        problems=tuple(_pair_problems(pair, havips, proxies, active)),
        havips=havips,
        active=active,
        standby=standby,
        sync=tuple(_sync(seen, proxies, active, standby)) if active and standby else (),
    )


def _the_one(names: Iterator[str]) -> str | None:
    found = tuple(names)
    return found[0] if len(found) == 1 else None


def _names(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "nobody"


# ── HaVips and the pair ───────────────────────────────────────────────────────────────────────────────────────────


def _havip_seen(outputs: Outputs, seen: Seen, havip: HaVip) -> HaVipSeen:
    instances = {outputs.hosts[name].instance_id: name for name in outputs.proxies}
    user_macs = outputs.user_macs
    api = tuple(
        sorted(
            instances[eni.instance_id]
            for eni in seen.enis
            if eni.instance_id in instances
            and havip.address in eni.addresses
            and havip.may_be_on(eni.mac, user_macs)
        )
    )
    proxies = {name: seen.hosts[name] for name in outputs.proxies if name in seen.hosts}
    return HaVipSeen(
        havip=havip,
        api=None if seen.api_error else api,
        imds=tuple(
            name
            for name, host in proxies.items()
            if any(
                havip.address in found and havip.may_be_on(mac, user_macs)
                for mac, found in (host.imds or {}).items()
            )
        ),
        kernel=tuple(n for n, host in proxies.items() if host.has_address(havip.address, havip.namespace)),
    )


def _pair_problems(
    pair: Pair, havips: tuple[HaVipSeen, ...], proxies: Mapping[str, PairSeen], active: str | None
) -> Iterator[Problem]:
    if pair.havip is None:
        return
    for one in havips:
        if one.holder is None:
            yield Problem(pair.label, f"HaVip {one.havip.name} {one.havip.address} is with {one.shown}")
    holders = {one.havip.name: one.holder for one in havips if one.holder}
    if len(set(holders.values())) > 1:
        where = ", ".join(f"{name} with {holder}" for name, holder in holders.items())
        yield Problem(pair.label, f"HaVips are moved by half: {where}")
    actives = [name for name, one in proxies.items() if one.state == "active"]
    if not actives:
        yield Problem(pair.label, "nobody is active")
    elif len(actives) > 1:
        yield Problem(pair.label, f"{' and '.join(sorted(actives))} are both active")
    for holder in sorted(set(holders.values())):
        if active is not None and holder != active:
            yield Problem(pair.label, f"{active} is active, but {holder} holds HaVips")
    for name, proxy in proxies.items():
        yield from _proxy_problems(name, proxy)
    if len(pair.proxies) < 2:
        yield Problem(pair.label, "has one proxy")


def _proxy_problems(name: str, pair: PairSeen) -> Iterator[Problem]:
    if pair.state not in ("active", "standby"):
        yield Problem(name, f"cannot take over: it is in state {pair.state}: {pair.reason}")
    if pair.state == "standby" and not pair.hears_peer:
        yield Problem(name, "hears no adverts of the other one")
    for alarm in pair.alarms:
        yield Problem(name, alarm)
    for warning in pair.warnings:
        yield Problem(f"{name} warns", warning)
    for namespace, sync in pair.sync.items():
        if not sync.running:
            yield Problem(name, f"connections of {namespace} are not synchronised: conntrackd does not run")


def _sync(seen: Seen, pairs: Mapping[str, PairSeen], active: str, standby: str) -> Iterator[SyncReport]:
    if standby not in pairs:
        return
    for namespace, sync in pairs[active].sync.items():
        other = pairs[standby].sync.get(namespace)
        if other is not None:
            known = seen.hosts[active].known_connections(namespace)
            behind = known - seen.hosts[standby].known_connections(namespace)
            yield SyncReport(namespace=namespace, active=sync, standby=other, behind=max(0, behind))


# ── hosts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _host_problems(outputs: Outputs, seen: Seen) -> Iterator[Problem]:
    if seen.api_error:
        yield Problem(API, seen.api_error)
    for name, reason in seen.silent.items():
        yield Problem(name, reason)
    yield from _mute(outputs, seen, works=True)
    for name, host in seen.hosts.items():
        yield from _concern_problems(name, host)
        yield from _off_problems(name, host)
        yield from _connection_problems(outputs, name, host)
    for name in outputs.proxies:
        if name in seen.hosts:
            yield from _address_problems(outputs, seen, name, seen.hosts[name])
            if outputs.is_pair and seen.hosts[name].pair is None:
                yield Problem(name, "says nothing of the pair: causeway-pair.service does not run")


def _mute(outputs: Outputs, seen: Seen, *, works: bool) -> Iterator[Problem]:
    """Who lets us in and cannot say what it is; `works`: those that have to be something, or the others."""
    for name, host in seen.hosts.items():
        if not host.tells_status and (outputs.hosts[name].role in WORKING_ROLES) == works:
            yield Problem(
                name, "cannot tell its status: /opt/causeway/status fails there, or there is no jq on it"
            )


def _concern_problems(name: str, host: HostSeen) -> Iterator[Problem]:
    for concern, told in host.concerns.items():
        if told.result is None:
            yield Problem(name, f"{concern} was not applied since it booted")
        elif told.result not in ("changed", "unchanged"):
            yield Problem(name, f"{concern} {told.result}")
        elif not told.in_sync:
            yield Problem(name, f"{concern} was applied from another state or script than is there now")


def _told_problems(outputs: Outputs, seen: Seen) -> Iterator[Problem]:
    """Of the stack: whatever a proxy was told, it may be able to take over."""
    for name, host in sorted(seen.hosts.items()):
        has = {concern: told.state_sha256 for concern, told in host.concerns.items()}
        meant = outputs.told.get(name, {}) if host.tells_status else {}
        others = [concern for concern, digest in meant.items() if not has.get(concern, "").startswith(digest)]
        if others:
            yield Problem(
                STACK,
                f"{name} has another state than the last update says: {', '.join(others)} (run `up`; where that "
                f"changes nothing: `up --replace 'urn:pulumi:**::{name}-{others[0].replace('_', '-')}'`, so for each)",
            )


def _off_problems(name: str, host: HostSeen) -> Iterator[Problem]:
    """What somebody else has changed in the kernel, by concern."""
    by_concern: dict[str, list[str]] = {}
    for line in host.off:
        concern, _, what = line.removeprefix("causeway: ").partition(": ")
        by_concern.setdefault(concern, []).append(what)
    if host.not_compared not in ("", BUSY):
        yield Problem(
            name,
            f"its kernel could not be compared with what was applied: {host.not_compared} (see: apply --check)",
        )
    for concern, found in by_concern.items():
        more = f", and {len(found) - MANY_OFF} more" if len(found) > MANY_OFF else ""
        yield Problem(
            name,
            f"{concern} is not as it was applied, lacking: {'; '.join(found[:MANY_OFF])}{more} "
            f"(mend it: python -m ops apply {name})",
        )


def _connection_problems(outputs: Outputs, name: str, host: HostSeen) -> Iterator[Problem]:
    """Of the tenant: they keep no proxy from taking over. A func host has one table for all of them."""
    tenants = {tenant.namespace: tenant_name for tenant_name, tenant in outputs.tenants.items()}
    for namespace, found in host.connections.items():
        if not found.limit or found.count < NEARLY_FULL * found.limit:
            continue
        if namespace == ROOT:
            yield Problem(
                name,
                f"has {found.count:,} connections in its table, of {found.limit:,}: when it is full, new ones of all "
                "its tenants' containers are refused, whoever has filled it",
            )
        else:
            yield Problem(
                f"tenant {tenants.get(namespace, namespace)}",
                f"has {found.count:,} connections on {name}, of {found.limit:,} that it may have there: "
                "new ones are refused when it is full; a proxy with more memory has room for more",
            )


def _address_problems(outputs: Outputs, seen: Seen, name: str, host: HostSeen) -> Iterator[Problem]:
    """Of the addresses that are no HaVips: those may be on their way."""
    if host.imds is None:
        yield Problem(name, "its metadata says nothing")
        return
    havips = {havip.address for havip in outputs.havips}
    for eni in seen.enis:
        if eni.instance_id != outputs.hosts[name].instance_id:
            continue
        by_api = [a for a in eni.addresses if a not in havips]
        by_imds = [a for a in host.imds.get(eni.mac, ()) if a not in havips]
        if sorted(by_api) != sorted(by_imds):
            said = f"{', '.join(by_api)} by API, {', '.join(by_imds) or 'nothing'} by metadata"
            yield Problem(name, f"{eni.id} has {said}")
        kernel = {a for namespace in host.kernel.values() for a in namespace.get(eni.mac, ())}
        for address in by_api:
            if host.tells_status and address not in kernel:
                yield Problem(name, f"{address} of {eni.id} is on none of its devices")


def _notes(seen: Seen) -> Iterator[Problem]:
    for name, host in seen.hosts.items():
        if host.not_compared == BUSY:
            yield Problem(name, f"its kernel was not compared with what was applied: {BUSY}")


def _sync_notes(pair: PairReport) -> Iterator[Problem]:
    for one in pair.sync:
        if one.behind > max(5, BEHIND_IS_MUCH * one.active.cached):
            yield Problem(
                pair.standby or pair.pair.label, f"lacks {one.behind} connections of {one.namespace}"
            )
        for side in (one.active, one.standby):
            if side.lost or side.errors:
                yield Problem(
                    pair.pair.label,
                    f"sync of {one.namespace}: {side.lost} messages lost, {side.errors} errors",
                )
