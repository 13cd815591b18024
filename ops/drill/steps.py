"""The verbs of scenarios."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import TypeAdapter

from ops.answer import Text, one_line, understood
from ops.drill.faults import Faults
from ops.drill.known import unknown_connections
from ops.drill.scenario import Scene, Step, Who
from ops.errors import OpsError
from ops.ssh import until
from ops.status.told import FEW
from ops.status.wait import wait_until_well
from ops.switch import switch_now

FAULT, MEND, SEEN, WAIT = "fault", "mend", "seen", "wait"
KEEPALIVED, WATCHER = "causeway-keepalived.service", "causeway-pair.service"
ALARM_DEADLINE_S = 15.0
RESTART_DEADLINE_S = 15.0
MOVE_DEADLINE_S = 30.0
# Not as part of all that a host can be asked: that takes an emulated one seconds, and bounds would be missed by them.
TOLD_ALARMS = "sudo -n jq -c .alarms /run/causeway/pair/state.json"
ALARMS = TypeAdapter(Annotated[list[Text], FEW])

# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────


def kill(who: Who) -> Step:
    """SIGKILL of the machine."""
    return Step(
        text=f"kill the machine of {who}",
        kind=FAULT,
        act=lambda scene: scene.faults.kill(scene.host(who)),
        heal=lambda scene: scene.faults.restart(scene.host(who)),
    )


def boot(who: Who) -> Step:
    """A killed one comes back."""
    return Step(
        text=f"boot {who} again",
        kind=MEND,
        act=lambda scene: scene.faults.restart(scene.host(who)),
        mends=kill(who).key,
    )


def hang(who: Who) -> Step:
    """SIGSTOP of the machine."""
    return Step(
        text=f"{who} hangs",
        kind=FAULT,
        act=lambda scene: scene.faults.hang(scene.host(who)),
        heal=lambda scene: scene.faults.resume(scene.host(who)),
    )


def resume(who: Who) -> Step:
    """SIGCONT."""
    return Step(
        text=f"{who} goes on",
        kind=MEND,
        act=lambda scene: scene.faults.resume(scene.host(who)),
        mends=hang(who).key,
    )


def reboot(who: Who) -> Step:
    """`systemctl reboot`."""
    return Step(text=f"reboot {who}", kind=FAULT, act=lambda scene: scene.faults.reboot(scene.host(who)))


# ── wires ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def unplug_platform(who: Who) -> Step:
    """The NIC that tunnels, adverts and the API are reached by."""
    return Step(
        text=f"unplug the platform NIC of {who}",
        kind=FAULT,
        act=lambda scene: scene.faults.unplug(scene.host(who), ""),
        heal=lambda scene: scene.faults.plug(scene.host(who), ""),
    )


def unplug_user(who: Who) -> Step:
    """The leg in one tenant's subnet."""
    return Step(
        text=f"unplug a user ENI of {who}",
        kind=FAULT,
        act=lambda scene: scene.faults.unplug(scene.host(who), scene.hurt),
        heal=lambda scene: scene.faults.plug(scene.host(who), scene.hurt),
    )


def block_vrrp() -> Step:
    """Both live, and neither hears the other."""
    return Step(
        text="adverts get lost between the proxies, both ways",
        kind=FAULT,
        act=lambda scene: scene.faults.block_vrrp(*scene.who.values()),
        heal=lambda scene: scene.faults.unblock(*scene.who.values()),
    )


def unblock_vrrp() -> Step:
    """The path heals."""
    return Step(
        text="adverts pass again",
        kind=MEND,
        act=lambda scene: scene.faults.unblock(*scene.who.values()),
        mends=block_vrrp().key,
    )


def block_sync() -> Step:
    """Of one tenant's link between the proxies, both ways; both conntrackd run."""
    return Step(
        text="what one tenant's conntrackd says gets lost between the proxies",
        kind=FAULT,
        act=lambda scene: scene.faults.block_sync(scene.who.values(), scene.hurt),
        heal=lambda scene: scene.faults.unblock_sync(scene.who.values(), scene.hurt),
    )


def unblock_sync() -> Step:
    """The link heals."""
    return Step(
        text="the sync link is well again",
        kind=MEND,
        act=lambda scene: scene.faults.unblock_sync(scene.who.values(), scene.hurt),
        mends=block_sync().key,
    )


# ── inside a host ─────────────────────────────────────────────────────────────────────────────────────────────────


def stop_keepalived(who: Who) -> Step:
    """As by a person, or by an upgrade."""
    return Step(
        text=f"stop keepalived on {who}",
        kind=FAULT,
        act=lambda scene: scene.faults.stop_service(scene.host(who), KEEPALIVED),
        heal=lambda scene: scene.faults.start_service(scene.host(who), KEEPALIVED),
    )


def hang_keepalived(who: Who) -> Step:
    """SIGSTOP of all of it: systemd goes on to call it active."""
    return Step(
        text=f"keepalived of {who} hangs",
        kind=FAULT,
        act=lambda scene: scene.faults.signal_service(scene.host(who), KEEPALIVED, "STOP", "all"),
        heal=lambda scene: scene.faults.signal_service(scene.host(who), KEEPALIVED, "CONT", "all"),
    )


def hang_watcher(who: Who) -> Step:
    """SIGSTOP: the service that makes true what keepalived decides stands still."""
    return Step(
        text=f"the watcher of {who} hangs",
        kind=FAULT,
        act=lambda scene: scene.faults.signal_service(scene.host(who), WATCHER, "STOP"),
        heal=lambda scene: scene.faults.signal_service(scene.host(who), WATCHER, "CONT"),
    )


def stop_sync(who: Who) -> Step:
    """One tenant's conntrackd."""
    return Step(
        text=f"stop conntrackd on {who}",
        kind=FAULT,
        act=lambda scene: scene.faults.stop_service(scene.host(who), sync_unit(scene)),
        heal=lambda scene: scene.faults.start_service(scene.host(who), sync_unit(scene)),
    )


def sync_unit(scene: Scene) -> str:
    """The service of the hurt tenant's namespace."""
    return f"causeway-sync@{scene.hurt}.service"


def forwarding_off(who: Who) -> Step:
    """ip_forward=0 in one tenant's namespace, behind Causeway's back."""
    return Step(
        text=f"switch forwarding off on {who}",
        kind=FAULT,
        act=lambda scene: scene.faults.forwarding_off(scene.host(who), scene.hurt),
        heal=lambda scene: scene.faults.apply(scene.host(who)),
    )


# ── the API ───────────────────────────────────────────────────────────────────────────────────────────────────────


def fair(faults: Faults) -> None:
    """No trouble with claims."""
    faults.claims_are_fair()


def claims_down() -> Step:
    """503."""
    return Step(
        text="the API answers no claim",
        kind=FAULT,
        act=lambda scene: scene.faults.claims(down=True),
        heal=lambda scene: fair(scene.faults),
    )


def claims_slow(claim_s: float, effect_s: float) -> Step:
    """As on AWS."""
    return Step(
        text=f"claims take {claim_s:g} s, and their effect {effect_s:g} s more",
        kind=FAULT,
        act=lambda scene: scene.faults.claims(delay_s=claim_s, effect_s=effect_s),
        heal=lambda scene: fair(scene.faults),
    )


def claim_refused() -> Step:
    """To the standby, of the last tenant's HaVip; the others, be they the same address, are let through."""
    return Step(
        text="the API refuses the claim of one HaVip",
        kind=FAULT,
        act=lambda scene: scene.faults.claims(
            refused=scene.tenants[-1].user_enis[scene.host(Who.STANDBY)].id
        ),
        heal=lambda scene: fair(scene.faults),
    )


def claims_fair(mended: Step) -> Step:
    """The API is as it should be."""
    return Step(
        text="the API is well again", kind=MEND, act=lambda scene: fair(scene.faults), mends=mended.key
    )


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────────────


def switch() -> Step:
    """`python -m ops switch`."""
    return Step(
        text=f"planned switch away from {Who.ACTIVE}",
        kind=FAULT,
        act=lambda scene: void(switch_now(scene.stack, scene.host(Who.ACTIVE))),
    )


def up_has_nothing_to_do() -> Step:
    """Or what a later `up` changes would not be told from what was to be changed anyway."""

    def act(scene: Scene) -> None:
        steps = scene.faults.preview()
        if steps:
            raise OpsError(
                f"`up` would {', '.join(steps)}",
                hint="was the lab brought up with other settings? give a drill the same: --config KEY=VALUE",
            )

    return Step(text="`up` has nothing to do", kind=SEEN, act=act)


def roll() -> Step:
    """A setting of which every proxy is told, and that changes nothing else there: all packages are installed."""
    changed = ("install_packages=true",)
    return Step(
        text="`up` changes what every proxy is told",
        kind=FAULT,
        act=lambda scene: rolled(scene, changed),
        heal=lambda scene: void(scene.faults.up()),
    )


def roll_back() -> Step:
    """As it was."""
    return Step(
        text="`up` changes it back",
        kind=MEND,
        act=lambda scene: rolled(scene, ()),
        mends=roll().key,
    )


def rolled(scene: Scene, changed: tuple[str, ...]) -> None:
    """OpsError where not every proxy had its turn."""
    steps = scene.faults.up(changed=changed)
    untouched = [name for name in scene.stack.outputs.proxies if f"update {name}-ready" not in steps]
    if untouched:
        raise OpsError(
            f"`up` left out {', '.join(untouched)}; it did: {', '.join(steps) or 'nothing'}",
            hint="does the stack file say install_packages: true?",
        )


def up_changes_nothing(*, refresh: bool) -> Step:
    """Whoever holds HaVips, the program has nothing to do."""

    def act(scene: Scene) -> None:
        changed = scene.faults.up(refresh=refresh)
        if changed:
            scene.broken.append(f"`up` changed {', '.join(changed)}")

    return Step(text=f"`up{' --refresh' if refresh else ''}` changes nothing", kind=SEEN, act=act)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────


def moved(to: Who, deadline_s: float = MOVE_DEADLINE_S) -> Step:
    """All HaVips are with it by API."""
    text = f"every HaVip is with {to}"
    return Step(
        text=text,
        kind=SEEN,
        act=lambda scene: void(
            scene.watch.wait(scene.named(text), lambda s: s.whole_on == scene.host(to), deadline_s)
        ),
    )


def well(seconds: float) -> Step:
    """Nothing is wrong with any proxy: the pair can fail again."""
    return Step(
        text="the pair can fail again",
        kind=SEEN,
        act=lambda scene: void(wait_until_well(scene.stack, seconds)),
    )


def knows_all(who: Who) -> Step:
    """Of those of every tenant that the other one has, with their translations.

    A flow that is not known is believed, and mostly gets the same port: that it lives shows nothing of the sync.
    """
    text = f"{who} knows every connection"

    def act(scene: Scene) -> None:
        (other,) = (name for one, name in scene.who.items() if one is not who)
        for tenant in scene.tenants:
            count, unknown = unknown_connections(scene.stack, tenant.namespace, scene.host(who), other)
            if unknown:
                raise OpsError(
                    f"{scene.host(who)} does not know {len(unknown)} of {count} in {tenant.namespace}, "
                    f"among them {one_line(unknown[0])}",
                    hint="`python -m ops status` shows whether conntrackd runs on both",
                )
            if not count and tenant.user_instance is not None:  # then it has a load
                raise OpsError(
                    f"{other} has no connections in {tenant.namespace}",
                    hint="is that the one that forwards?",
                )

    return Step(text=text, kind=SEEN, act=act)


def one_owner(deadline_s: float) -> Step:
    """All HaVips are with one proxy, whichever."""
    text = "one proxy holds every HaVip"
    return Step(
        text=text,
        kind=SEEN,
        act=lambda scene: void(scene.watch.wait(text, lambda s: s.whole_on is not None, deadline_s)),
    )


def stays(with_: Who, seconds: float) -> Step:
    """Nothing is taken back."""

    def act(scene: Scene) -> None:
        since = time.monotonic()
        time.sleep(seconds)
        seen = [s for s in scene.watch.samples if s.at >= since]
        if not seen or any(s.whole_on != scene.host(with_) for s in seen):
            raise OpsError(
                f"HaVips did not stay with {scene.host(with_)}", hint="`python -m ops status` says more"
            )

    return Step(text=f"for {seconds:g} s nothing leaves {with_}", kind=SEEN, act=act)


def wait(seconds: float) -> Step:
    """The fault lasts."""
    return Step(text=f"{seconds:g} s pass", kind=WAIT, act=lambda _scene: time.sleep(seconds))


def alarm(on: Who, about: str, deadline_s: float = ALARM_DEADLINE_S) -> Step:
    """It says that something is wrong, and what."""
    text = f"{on} raises an alarm about {about}"
    return Step(
        text=text,
        kind=SEEN,
        act=lambda scene: until(
            scene.named(text), lambda: any(about in one for one in alarms(scene, on)), deadline_s, poll_s=0.5
        ),
    )


def alarms(scene: Scene, of: Who) -> list[str]:
    """What it says is wrong; nothing where it does not answer: it may be busy, or not be there yet."""
    try:
        return understood(ALARMS, scene.stack.hosts.succeed(scene.host(of), TOLD_ALARMS))
    except OpsError:
        return []


def started_anew(who: Who) -> Step:
    """One that was stopped by a signal would be seen as that."""
    text = f"keepalived of {who} was started anew"
    state = f"ps -o state= --pid $(systemctl show --value --property=MainPID {KEEPALIVED})"

    def runs(scene: Scene) -> bool:
        done = scene.stack.hosts.run(scene.host(who), state)
        return done.status == 0 and not done.out.startswith("T")

    return Step(
        text=text,
        kind=SEEN,
        act=lambda scene: until(scene.named(text), lambda: runs(scene), RESTART_DEADLINE_S, poll_s=0.5),
    )


def void(_value: object) -> None:
    """For an expression whose value nobody wants."""
