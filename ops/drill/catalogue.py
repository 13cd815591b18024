"""The scenarios, each a runbook: what is done, what is waited for, what is promised."""

from __future__ import annotations

from dataclasses import replace

from ops.drill import steps as do
from ops.drill.result import Bounds
from ops.drill.scenario import Scenario, Who

ACTIVE, STANDBY = Who.ACTIVE, Who.STANDBY
# How long the path is away is what datagrams notice, TCP's own waiting apart: on a quiet machine 0.31 to 0.49 s of a
# kill, hang or unplug, 0.12 s of a switch, 0.18 s of a split.
FAILOVER_GAP_S, PLANNED_GAP_S = 1.0, 0.3
FAILOVER = Bounds(stall_p99_s=1.0, datagram_gap_s=FAILOVER_GAP_S)
PLANNED = Bounds(stall_s=0.2, datagram_gap_s=PLANNED_GAP_S)
KEPT = Bounds(datagram_gap_s=FAILOVER_GAP_S)
ANYTHING = Bounds(
    moves=None, lost=None, resets=None, silent_lost=None, half_moved_s=None, datagram_gap_s=None
)
# The API is down, the drill hears of the alarm, and the standby has everything.
DOWN_S, ALARM_SEEN_S, WHOLE_S = 3.0, 2.0, 3.0
AWS_CLAIM_S, AWS_EFFECT_S = 1.8, 1.0
BOOT_S = 120.0
SILENCE_SEEN_S = 60.0  # it is alarmed of within 40 s (docs/high-availability.md)

SCENARIOS = (
    Scenario(
        name="steady",
        what="nothing happens: what the load alone looks like here",
        steps=(do.wait(5),),
        bounds=Bounds(moves=0, datagram_gap_s=PLANNED_GAP_S),
        needs_pair=False,
    ),
    Scenario(
        name="pause",
        what="the active proxy stands still for less time than the other needs to notice: nothing moves",
        steps=(do.hang(ACTIVE), do.wait(0.2), do.resume(ACTIVE)),
        bounds=Bounds(moves=0, stall_p99_s=1.0, datagram_gap_s=FAILOVER_GAP_S),
        needs_pair=False,
    ),
    Scenario(
        name="kill",
        what="SIGKILL of the active proxy's machine",
        steps=(do.kill(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
    ),
    Scenario(
        name="hang",
        what="SIGSTOP of the active proxy's machine; later it goes on, and must not take anything back",
        steps=(
            do.hang(ACTIVE),
            do.moved(STANDBY),
            do.wait(3),
            do.resume(ACTIVE),
            do.stays(STANDBY, 5),
        ),
        bounds=FAILOVER,
    ),
    Scenario(
        name="unplug-platform",
        what="the cable of the active proxy's platform NIC is out",
        steps=(do.unplug_platform(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
    ),
    Scenario(
        name="unplug-user",
        what="the cable of one user ENI of the active proxy is out",
        steps=(do.unplug_user(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
    ),
    Scenario(
        name="again",
        what="the active proxy dies, and comes back, and knows every connection; then the other one dies",
        steps=(
            do.kill(ACTIVE),
            do.moved(STANDBY),
            do.boot(ACTIVE),
            do.well(BOOT_S),
            do.knows_all(ACTIVE),
            do.kill(STANDBY),
            do.moved(ACTIVE),
        ),
        bounds=replace(FAILOVER, moves=2),
    ),
    Scenario(
        name="watcher",
        what="the watcher of the active proxy hangs: systemd ends it, and so keepalived, after 15 s without a word",
        steps=(do.hang_watcher(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
    ),
    Scenario(
        name="keepalived",
        what="keepalived is stopped on the active proxy",
        steps=(do.stop_keepalived(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
    ),
    Scenario(
        name="conntrackd",
        what="conntrackd is stopped on the standby, which alarms; then connections begin, and the active one dies",
        before=(do.stop_sync(STANDBY), do.alarm(STANDBY, "not synchronised")),
        steps=(do.kill(ACTIVE), do.moved(STANDBY)),
        # What such a failover costs connections is the figure; datagrams need none to be known.
        bounds=replace(ANYTHING, datagram_gap_s=FAILOVER_GAP_S),
    ),
    Scenario(
        name="sync-link",
        what="what conntrackd says is lost: the standby alarms; the link is well again, and the active proxy dies",
        steps=(
            do.block_sync(),
            do.alarm(STANDBY, "do not hear each other", SILENCE_SEEN_S),
            do.unblock_sync(),
            do.well(SILENCE_SEEN_S),
            do.knows_all(STANDBY),
            do.kill(ACTIVE),
            do.moved(STANDBY),
        ),
        bounds=FAILOVER,
    ),
    Scenario(
        name="keepalived-hangs",
        what="keepalived of the standby hangs, and is started anew; then the active proxy dies",
        steps=(
            do.hang_keepalived(STANDBY),
            do.started_anew(STANDBY),
            do.well(BOOT_S),
            do.kill(ACTIVE),
            do.moved(STANDBY),
        ),
        bounds=FAILOVER,
    ),
    Scenario(
        name="forwarding",
        what="forwarding is switched off in a tenant's namespace of the active proxy, behind Causeway's back",
        steps=(do.forwarding_off(ACTIVE), do.moved(STANDBY)),
        # The kernel says nothing of this: it is looked for, once a second.
        bounds=replace(KEPT, datagram_gap_s=3.0),
    ),
    Scenario(
        name="switch",
        what="planned switch",
        steps=(do.switch(), do.moved(STANDBY)),
        bounds=PLANNED,
    ),
    Scenario(
        name="switch-busy",
        what="planned switch under 1,000 open connections and full transfer",
        steps=(do.switch(), do.moved(STANDBY)),
        # Full transfer keeps an emulated proxy's vCPU from its timers for 0.3 s now and then, which is a dead proxy's
        # silence: another move is no broken promise here, a lost connection is.
        bounds=replace(KEPT, moves=None),
        connections=1000,
        bulk=4,
    ),
    Scenario(
        name="api-down",
        what="the API answers no claim while the active proxy dies, and is back when the standby alarms",
        steps=(
            do.claims_down(),
            do.kill(ACTIVE),
            do.wait(DOWN_S),
            do.alarm(STANDBY, "is not here yet"),
            do.claims_fair(do.claims_down()),
            do.moved(STANDBY),
        ),
        # Whole is counted from when the API is back.
        bounds=Bounds(whole_s=WHOLE_S, datagram_gap_s=DOWN_S + ALARM_SEEN_S + WHOLE_S),
        settle_s=8.0,
    ),
    Scenario(
        name="api-slow",
        what="the active proxy dies while the API is as slow as AWS's",
        before=(do.claims_slow(AWS_CLAIM_S, AWS_EFFECT_S),),
        steps=(do.kill(ACTIVE), do.moved(STANDBY)),
        bounds=Bounds(stall_s=5.0, datagram_gap_s=5.0),
        settle_s=8.0,
    ),
    Scenario(
        name="refused",
        what="the API refuses one HaVip of all to the standby while the active proxy dies; it alarms",
        before=(do.claim_refused(),),
        steps=(
            do.kill(ACTIVE),
            do.alarm(STANDBY, "is not here yet"),
            do.claims_fair(do.claim_refused()),
            do.moved(STANDBY),
        ),
        # For as long as AWS refuses, it is half moved. Where there is one tenant, the path waits for the refused HaVip.
        bounds=Bounds(half_moved_s=None, datagram_gap_s=10.0, whole_s=5.0),
        settle_s=10.0,
    ),
    Scenario(
        name="split",
        what="adverts are lost both ways between living proxies, and pass again after 5 s",
        steps=(do.block_vrrp(), do.wait(5), do.unblock_vrrp(), do.one_owner(5), do.wait(5)),
        # While neither hears the other, the last claim counts.
        bounds=Bounds(moves=None, whole_s=5.0, datagram_gap_s=FAILOVER_GAP_S),
    ),
    Scenario(
        name="reboot",
        what="the active proxy is rebooted",
        steps=(do.reboot(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
    ),
    Scenario(
        name="both",
        what="both proxies die, and both come back",
        # Until one lives, the API tells of the dead one: who has HaVips then says nothing of who takes them back.
        steps=(
            do.kill(STANDBY),
            do.kill(ACTIVE),
            do.wait(1),
            do.boot(ACTIVE),
            do.boot(STANDBY),
            do.well(BOOT_S),
        ),
        bounds=ANYTHING,
        settle_s=1.0,
    ),
    Scenario(
        name="kill-up",
        what="the active proxy dies; then `up` and `up --refresh` move nothing and change nothing",
        before=(do.up_has_nothing_to_do(),),
        steps=(
            do.kill(ACTIVE),
            do.moved(STANDBY),
            do.up_changes_nothing(refresh=False),
            do.up_changes_nothing(refresh=True),
            do.stays(STANDBY, 1),
        ),
        bounds=KEPT,
        needs_lab=True,
    ),
    Scenario(
        name="rolling",
        what="`up` changes one proxy after the other, and back again; who forwards steps aside before its turn",
        before=(do.up_has_nothing_to_do(),),
        steps=(do.roll(), do.one_owner(5), do.roll_back(), do.one_owner(5)),
        # HaVips move as often as the one that is active has its turn.
        bounds=Bounds(moves=None, datagram_gap_s=PLANNED_GAP_S),
        needs_lab=True,
    ),
    Scenario(
        name="idle",
        what="the active proxy dies when connections have said nothing for 200 s, longer than any timer of the sync",
        steps=(do.knows_all(STANDBY), do.kill(ACTIVE), do.moved(STANDBY)),
        bounds=FAILOVER,
        idle_s=200.0,
    ),
)
