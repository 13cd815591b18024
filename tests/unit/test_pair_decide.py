"""The rules of a pair, in simulated time: after any faults there is one owner, and the other can take over."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pair_decide
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pair_decide import ACTIVE, HANGS_S, LINGER_S, RESYNC_AGAIN_S, STANDBY, Memory

from tests.unit.pair_world import HAVIPS, LINKS_EVERY_S, RESTART_TAKES_S, RESYNC_S, Proxy, World, forwards

# Two that stood aside for each other, a claim that is given up, and what waits longer after it was in vain.
SETTLES_S = 12.0


def standing(active: int = 0) -> World:
    """A pair with an owner, that one."""
    world = World()
    assert world.until(lambda: world.owner() is not None, 30), world.story()
    if world.owner() != active:
        world.proxies[1 - active].decider.switch_is_wanted(world.now)
        assert world.until(lambda: world.owner() == active, 10), world.story()
    return world


@pytest.mark.parametrize("active", [0, 1])
def test_a_killed_one_is_followed_by_the_other(active: int) -> None:
    world = standing(active)
    world.kill(active)
    assert world.until(lambda: world.owner() == 1 - active, 1.0), world.story()
    world.boot(active)
    world.passes(30)
    assert world.owner() == 1 - active, world.story()


@pytest.mark.parametrize("active", [0, 1])
@pytest.mark.parametrize("hangs_s", [0.5, 3.0, 30.0])
def test_one_that_wakes_takes_nothing_back(active: int, hangs_s: float) -> None:
    world = standing(active)
    world.proxies[active].hangs = True
    world.passes(hangs_s)
    world.proxies[active].hangs = False
    assert world.until(lambda: world.owner() == 1 - active, 6.0), world.story()
    world.passes(30)
    assert world.owner() == 1 - active, world.story()


@pytest.mark.parametrize("active", [0, 1])
@pytest.mark.parametrize("effect_s", [0.0, 1.0])
def test_a_switch_leaves_no_moment_without_an_owner(active: int, effect_s: float) -> None:
    world = standing(active)
    world.aws.claim_s, world.aws.effect_s = 1.8 * effect_s, effect_s
    world.proxies[active].decider.switch_is_wanted(world.now)
    end = world.now + 15
    while world.now < end and world.owner() != 1 - active:
        world.passes(0.05)
        assert forwards(world), world.story()
    assert world.owner() == 1 - active, world.story()


@pytest.mark.parametrize("active", [0, 1])
def test_without_adverts_there_is_one_owner_soon_after_they_are_back(active: int) -> None:
    world = standing(active)
    world.is_split = True
    world.passes(20)
    world.is_split = False
    assert world.until(lambda: world.owner() is not None, 5), world.story()


@pytest.mark.parametrize("active", [0, 1])
def test_a_keepalived_that_did_not_read_its_adverts_moves_nothing(active: int) -> None:
    world = standing(active)
    world.passes(6)
    standby = world.proxies[1 - active]
    standby.becomes("MASTER")
    assert not any(standby.kernel)
    world.passes(0.1)
    assert world.aws.owner == [active] * len(HAVIPS)
    assert world.until(lambda: world.owner() == active, 1.5), world.story()


def test_what_still_comes_to_the_old_one_is_forwarded_where_the_metadata_is_ahead() -> None:
    world = standing(0)
    world.passes(1)
    world.proxies[0].decider.switch_is_wanted(world.now)
    assert world.until(lambda: world.aws.owner == [1, 1, 1], 2)
    world.passes(4)
    assert all(world.proxies[0].kernel)
    world.passes(3)
    assert not any(world.proxies[0].kernel)


def test_one_answer_of_the_metadata_moves_nothing() -> None:
    world = standing(0)
    world.passes(1)
    proxy = world.proxies[0]
    proxy.decider.metadata_lists([True, False, True], world.now, world.now)
    world.passes(10)
    assert world.owner() == 0, world.story()
    assert "stands aside" not in "".join(world.log[-3:])


def test_a_watcher_that_died_forgets_once_the_other_has_taken_over() -> None:
    world = standing(0)
    world.proxies[0].starts(Memory())
    world.proxies[0].keepalived.state = "none"
    assert world.until(lambda: world.owner() == 1, 10), world.story()
    assert world.until(world.can_fail_again, LINGER_S + RESYNC_S + 1), world.story()


def test_who_has_just_lost_its_addresses_keeps_its_connections_for_what_still_comes() -> None:
    """And then forgets them all, and says until it has been told anew that it does not know them."""
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    world.emptied.clear()
    world.proxies[0].decider.switch_is_wanted(world.now)
    assert world.until(lambda: world.owner() == 1, 2)
    world.passes(LINGER_S - 1)
    assert world.emptied == []
    assert world.proxies[0].decider.told()["alarms"] == []
    assert world.until(lambda: world.emptied != [], 2)
    assert world.proxies[0].decider.told()["alarms"] == ["does not know every connection yet"]
    assert world.until(world.can_fail_again, RESYNC_S + 1), world.story()
    assert world.proxies[0].decider.told()["alarms"] == []


def one_that_asks() -> tuple[World, Proxy]:
    """For every connection, as it has just started beside one that is active."""
    world = World()
    world.kill(1)
    assert world.until(lambda: world.owner() == 0, 30), world.story()
    world.boot(1)
    standby = world.proxies[1]
    assert world.until(lambda: standby.resyncs == 1, 30), world.story()
    return world, standby


def test_one_that_nobody_tells_asks_again() -> None:
    world, standby = one_that_asks()
    standby.drop_resync()  # it does not end by itself
    asked = standby.resyncs
    standby.decider.resync_has_ended("the other one does not answer", [], [], world.now)
    assert standby.decider.told()["alarms"] == ["does not know every connection yet"]
    assert world.until(world.can_fail_again, 10), world.story()
    assert standby.resyncs == asked + 1


def test_where_one_tenant_is_not_told_the_others_are_not_forgotten() -> None:
    world, standby = one_that_asks()
    standby.drop_resync()
    standby.decider.resync_has_ended("conntrackd does not run", [], ["tenant-beta"], world.now)
    assert standby.decider.told()["alarms"] == ["does not know every connection of tenant-beta yet"]
    world.resynced.clear()
    assert world.until(world.can_fail_again, 10), world.story()
    assert world.resynced == [(1, False, ("tenant-beta",))]
    assert standby.decider.told()["alarms"] == []


def test_a_standby_whose_link_is_broken_says_whose_connections_it_does_not_know() -> None:
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    standby = world.proxies[1].decider
    world.emptied.clear()
    world.resynced.clear()
    world.broken_links.add("tenant-alpha")
    world.passes(LINKS_EVERY_S)
    (alarm,) = standby.told()["alarms"]
    assert alarm.startswith("does not know the connections of tenant-alpha, which a failover may cut")
    assert standby.told()["silent_links"] == [alarm]
    assert not world.can_fail_again()
    world.passes(20)
    assert world.emptied == [], "what it knows of before is better than nothing"
    world.broken_links.clear()
    assert world.until(world.can_fail_again, LINKS_EVERY_S + RESYNC_S + 1), world.story()
    assert world.resynced == [(1, False, ("tenant-alpha",))], "the others are as they were"
    assert standby.told()["alarms"] == []


def test_one_that_starts_with_a_broken_link_never_calls_itself_informed() -> None:
    world = World()
    world.broken_links.add("tenant-beta")
    assert world.until(lambda: world.owner() is not None, 30), world.story()
    world.passes(1)
    standby = world.proxies[1 - (world.owner() or 0)].decider
    for _ in range(40):
        world.passes(0.5)
        assert standby.told()["alarms"] != [], world.story()
    assert [alarm[:43] for alarm in standby.told()["alarms"]] == [
        "does not know the connections of tenant-beta"[:43]
    ]
    assert standby.memory.informed, "of the other tenant's"
    world.broken_links.clear()
    assert world.until(world.can_fail_again, 15), world.story()


@pytest.mark.parametrize("active", [0, 1])
def test_a_broken_link_holds_up_no_failover(active: int) -> None:
    world = standing(active)
    world.broken_links.update(havip.namespace for havip in HAVIPS)
    world.passes(10)
    assert world.proxies[1 - active].decider.told()["silent_links"] != []
    world.kill(active)
    assert world.until(lambda: world.owner() == 1 - active, 1.0), world.story()
    assert world.proxies[1 - active].decider.told()["silent_links"] == [], "it is the one that knows now"


def test_who_becomes_active_empties_nothing_any_more() -> None:
    world = standing(0)
    assert world.until(lambda: world.proxies[1].decider.resyncs, 10)
    before = world.proxies[1].resyncs
    world.kill(0)
    assert world.until(lambda: world.proxies[1].decider.memory.phase == ACTIVE, 2), world.story()
    assert world.proxies[1].resyncs > before
    assert world.proxies[1].decider.memory.informed


def test_who_takes_over_tells_connections_once_it_is_whole() -> None:
    """Not ahead of its claims' answers, for which connections wait: however long it has stood by."""
    world = standing(0)
    world.passes(pair_decide.RESYNC_S + 5)
    world.resynced.clear()
    world.kill(0)
    assert world.until(lambda: world.resynced != [], 5), world.story()
    assert world.proxies[1].decider.memory.was_whole, world.story()


def test_a_dead_keepalived_is_said_by_a_standby_too() -> None:
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    world.proxies[1].decider.services_are("failed", {}, [], world.now)
    assert world.proxies[1].decider.told()["alarms"] == ["keepalived does not run"]


@pytest.mark.parametrize("number", [0, 1])
def test_an_api_that_is_not_reached_is_said_before_it_is_needed_and_changes_nothing(number: int) -> None:
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    decider = world.proxies[number].decider
    decider.api_is("no answer", world.now)
    world.passes(5)
    said = "could claim no HaVip, as the EC2 API is not reached from here: no answer"
    told = decider.told()
    assert (told["alarms"], told["warnings"]) == (([], [said]) if number == 0 else ([said], [])), (
        "the active one can be left"
    )
    assert world.owner() == 0, world.story()
    decider.api_is("", world.now)
    told = decider.told()
    assert (told["api"], told["alarms"], told["warnings"]) == ("", [], [])


@pytest.mark.parametrize(("ahead_s", "said"), [(420.0, "some 7 min ahead of"), (-90.0, "some 2 min behind")])
def test_a_clock_that_is_wrong_is_said(ahead_s: float, said: str) -> None:
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    decider = world.proxies[1].decider
    decider.clock_is(ahead_s)
    assert decider.told()["warnings"] == [f"its clock is {said} AWS's: set it (date, or by NTP)"]
    assert decider.told()["alarms"] == [], "it can take over all the same"
    decider.clock_is(0.0)
    assert decider.told()["warnings"] == []


def test_a_standby_asks_for_the_connections_although_a_tenant_that_goes_has_its_havip_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one does not claim it any more, and nothing takes it away until the pair is told."""
    monkeypatch.setattr(pair_decide, "GIVE_UP_S", 1000.0)
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    world.aws.refused = {(1, 1)}
    was_active = world.proxies[0]
    was_active.decider.switch_is_wanted(world.now)
    assert world.until(lambda: was_active.decider.memory.phase == STANDBY, 5), world.story()
    world.passes(LINGER_S + 5)
    assert (was_active.decider.memory.clean, world.aws.owner[1]) == (False, 0), "packets may still come to it"
    was_active.decider.tenants_leave([1], world.now)
    world.passes(5)
    assert was_active.decider.memory.clean
    assert was_active.decider.memory.informed
    assert world.aws.owner[1] == 0


UNREAD = "keepalived hangs, and is restarted: it does not read the other one's adverts"


@pytest.mark.parametrize("active", [0, 1])
def test_a_standbys_hung_keepalived_is_restarted_long_before_it_is_needed(active: int) -> None:
    world = standing(active)
    assert world.until(world.can_fail_again, 10), world.story()
    standby = world.proxies[1 - active]
    standby.keepalived.hangs = True
    world.passes(HANGS_S - 0.5)
    assert standby.restarts == 0
    assert world.until(lambda: standby.restarts == 1, 1)
    assert standby.decider.told()["alarms"] == [UNREAD]
    world.passes(HANGS_S)
    assert standby.decider.told()["alarms"] == []
    assert world.owner() == active, world.story()
    world.kill(active)
    assert world.until(lambda: world.owner() == 1 - active, 1.0), world.story()


def test_one_that_hangs_at_the_very_moment_when_the_active_one_dies_is_restarted_and_takes_over() -> None:
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    world.proxies[1].keepalived.hangs = True
    world.kill(0)
    assert not world.proxies[1].keepalived.has_unread
    assert world.until(lambda: world.owner() == 1, HANGS_S + RESTART_TAKES_S + 1.5), world.story()
    assert world.proxies[1].restarts == 1


def test_one_that_hangs_again_and_again_is_restarted_less_and_less_often() -> None:
    world = standing(0)
    standby = world.proxies[1]
    at = []
    for number in range(1, 8):
        standby.keepalived.hangs = True
        assert world.until(lambda n=number: standby.restarts == n, 400), world.story()  # type: ignore[misc]
        at.append(world.now)
    gaps = [after - before for before, after in pairwise(at)]
    assert gaps == pytest.approx([15, 30, 60, 120, 240, 300], abs=0.3)
    assert standby.decider.told()["alarms"] == [UNREAD]
    world.passes(700)
    assert standby.decider.told()["alarms"] == []
    standby.keepalived.hangs = True
    world.passes(HANGS_S + 1)
    assert standby.restarts == 8, "what was long ago is forgiven"


def test_an_active_ones_hung_keepalived_is_restarted_when_the_other_has_taken_over() -> None:
    world = standing(0)
    assert world.until(world.can_fail_again, 10), world.story()
    world.proxies[0].keepalived.hangs = True
    assert world.until(lambda: world.proxies[1].decider.memory.phase == ACTIVE, 1), world.story()
    assert world.proxies[0].restarts == 0, "while it is active nobody touches it"
    assert world.until(lambda: world.owner() == 1, 10), world.story()
    assert world.proxies[0].restarts == 1
    assert world.until(world.can_fail_again, 15), world.story()


def test_an_active_one_whose_partner_is_dead_goes_on_with_a_hung_keepalived() -> None:
    world = standing(0)
    world.kill(1)
    world.proxies[0].keepalived.hangs = True
    world.passes(120)
    assert world.proxies[0].restarts == 0
    assert forwards(world)


@pytest.mark.parametrize("sleeps_s", [1.0, 2.5, 60.0])
def test_machines_that_stood_still_restart_nothing(sleeps_s: float) -> None:
    world = standing(0)
    for proxy in world.proxies:
        proxy.hangs = True
    world.passes(sleeps_s)
    for proxy in world.proxies:
        proxy.hangs = False
    world.passes(30)
    assert [proxy.restarts for proxy in world.proxies] == [0, 0], world.story()


def test_one_that_does_not_run_is_for_systemd_to_start() -> None:
    world = standing(0)
    standby = world.proxies[1]
    standby.keepalived.hangs = True
    for _ in range(30):
        standby.decider.services_are("failed", {}, [], world.now)
        world.passes(1)
    assert standby.restarts == 0, world.story()


def test_a_renewed_watcher_goes_on_as_what_it_is() -> None:
    world = standing(0)
    world.passes(1)
    before = len(world.log)
    for proxy in world.proxies:
        proxy.renews()
    world.passes(10)
    assert world.owner() == 0, world.story()
    assert world.log[before:] == [], "nothing happened"


def test_a_claim_that_is_refused_for_good_goes_to_the_other_one() -> None:
    world = standing(0)
    world.aws.refused = {(1, 1)}
    world.proxies[0].decider.switch_is_wanted(world.now)
    assert world.until(lambda: world.owner() == 0, 30), world.story()


def test_two_that_stand_aside_for_each_other_with_half_of_the_addresses_are_one_again() -> None:
    world = standing(0)
    world.aws.down = True
    world.proxies[0].hangs = True
    world.passes(0.1)
    world.aws.refused = {(1, 2)}
    world.passes(4.5)
    world.heal()
    assert world.until(lambda: world.owner() is not None, 6), world.story()


def test_what_was_asked_before_a_sleep_says_nothing_after_it() -> None:
    world = World()
    assert world.until(lambda: world.aws.owner == [0, 0, 0], 5), "but it does not know it yet"
    world.proxies[0].hangs = True
    world.passes(3)
    world.proxies[0].hangs = False
    world.passes(30)
    assert world.owner() == 1, world.story()


FAULTS: dict[str, Callable[[World], None]] = {
    "split": lambda world: setattr(world, "is_split", True),
    "joined": lambda world: setattr(world, "is_split", False),
    "link broken": lambda world: world.broken_links.add("tenant-alpha"),
    "link mended": lambda world: world.broken_links.clear(),
    "api down": lambda world: setattr(world.aws, "down", True),
    "api up": lambda world: setattr(world.aws, "down", False),
    "api slow": lambda world: setattr(world.aws, "claim_s", 1.8),
    "effect late": lambda world: setattr(world.aws, "effect_s", 1.0),
    "refused 0": lambda world: world.aws.refused.add((0, 1)),
    "refused 1": lambda world: world.aws.refused.add((1, len(HAVIPS) - 1)),
}
for _number in (0, 1):
    FAULTS |= {
        f"hang {_number}": lambda world, n=_number: setattr(world.proxies[n], "hangs", True),  # type: ignore[misc]
        f"keepalived hangs {_number}": lambda world, n=_number: setattr(
            world.proxies[n].keepalived, "hangs", True
        ),  # type: ignore[misc]
        f"keepalived goes on {_number}": lambda world, n=_number: world.proxies[n].keepalived.goes_on(),  # type: ignore[misc]
        f"resume {_number}": lambda world, n=_number: setattr(world.proxies[n], "hangs", False),  # type: ignore[misc]
        f"kill {_number}": lambda world, n=_number: world.kill(n),  # type: ignore[misc]
        f"boot {_number}": lambda world, n=_number: world.boot(n),  # type: ignore[misc]
        f"break {_number}": lambda world, n=_number: setattr(world.proxies[n], "path", "torn"),  # type: ignore[misc]
        f"mend {_number}": lambda world, n=_number: setattr(world.proxies[n], "path", "ok"),  # type: ignore[misc]
        f"switch {_number}": lambda world, n=_number: world.proxies[n].decider.switch_is_wanted(world.now),  # type: ignore[misc]
        f"renew {_number}": lambda world, n=_number: world.proxies[n].runs and world.proxies[n].renews(),  # type: ignore[misc]
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    story=st.lists(
        st.tuples(st.sampled_from(sorted(FAULTS)), st.sampled_from([0.05, 0.1, 0.3, 0.6, 1.5, 4.0])),
        max_size=14,
    ),
    active=st.sampled_from([0, 1]),
)
def test_after_any_faults_there_is_one_owner_and_the_pair_can_fail_again(
    story: list[tuple[str, float]], active: int
) -> None:
    world = standing(active)
    for fault, seconds in story:
        world.log.append(f"{world.now:7.2f} == {fault}")
        FAULTS[fault](world)
        world.passes(seconds)
    world.log.append(f"{world.now:7.2f} == healed")
    world.heal()
    assert world.until(lambda: world.owner() is not None, SETTLES_S), world.story()
    world.passes(10)
    assert world.until(world.can_fail_again, LINGER_S + RESYNC_S + RESYNC_AGAIN_S), world.story()
    owner = world.owner()
    assert owner is not None, world.story()
    assert world.nothing_lingers(), world.story()
    assert all(phase == STANDBY and lost_s >= LINGER_S for _, phase, lost_s in world.emptied), world.story()
    world.kill(owner)
    assert world.until(lambda: world.owner() == 1 - owner, 1.5), world.story()
