"""What a pair's proxy does, on a real kernel: with keepalived, AWS and the other proxy played by the test."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import pytest

from tests.hostscripts.pair_host import DIRECTORY, HAVIP, HAVIPS, PRIMARY_MAC, USER_HAVIP, WATCHER, PairHost
from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import MAC, tenants
from tests.hostscripts.waiting import wait_until

pytestmark = pytest.mark.slow

PAIR = "/run/root/opt/causeway/pair"
SYNC = "/run/root/run/causeway/sync"
FORGETS_AND_ASKS = ["conntrackd -f internal", "conntrack -F", "conntrackd -n"]


@pytest.fixture(scope="module")
def lasting(shared_sandbox: Sandbox) -> PairHost:
    """One for tests that leave it standing by, or as it is configured."""
    host = PairHost(shared_sandbox)
    host.watch()
    return host


@pytest.fixture
def proxy(sandbox: Sandbox) -> PairHost:
    """Standing by."""
    host = PairHost(sandbox)
    host.watch()
    return host


def all_here(proxy: PairHost) -> Callable[[], bool]:
    """Every HaVip is in the kernel."""
    return lambda: proxy.in_kernel() == list(HAVIPS)


def test_master_claims_all_at_once_and_takes_the_addresses(proxy: PairHost) -> None:
    assert proxy.in_kernel() == []
    assert not proxy.aside
    proxy.becomes_active()
    assert sorted(call[1:] for call in proxy.calls()) == [
        ["eni-0a", HAVIP, "token-of-KEY1=", "200"],
        ["eni-0b", USER_HAVIP, "token-of-KEY1=", "200"],
    ]
    wait_until("the addresses are here", all_here(proxy))
    assert [switch["to"] for switch in proxy.told()["switches"]] == ["active"]
    assert proxy.wait_for(alarms=[])["havips"]["tenant-alpha"] == {
        "imds": True,
        "kernel": True,
        "health": "ok",
        "refused": "",
    }


def test_what_is_refused_is_claimed_again_until_all_is_here(proxy: PairHost) -> None:
    proxy.control(refused=[USER_HAVIP])
    proxy.says("MASTER")
    refused = "tenant-alpha is not here yet: HTTP 403 UnauthorizedOperation"
    proxy.wait_for(state="active", whole=False, alarms=[refused])
    proxy.control()
    proxy.wait_for(whole=True, alarms=[])
    assert [call[2] for call in proxy.calls()].count(HAVIP) == 1


def test_an_api_that_is_down_is_asked_again_until_it_is_back(proxy: PairHost) -> None:
    proxy.control(down=True)
    proxy.says("MASTER")
    proxy.wait_for(
        state="active",
        alarms=[f"{n} is not here yet: HTTP 503 Unavailable" for n in ("platform", "tenant-alpha")],
    )
    proxy.control()
    proxy.wait_for(whole=True)


BLOCKED = "nft 'add table inet away; add chain inet away out { type filter hook output priority 0; }'"


def test_an_api_that_is_not_reached_is_an_alarm_before_it_is_needed(sandbox: Sandbox) -> None:
    sandbox.environment["CAUSEWAY_API_EVERY_S"] = "0.2"
    proxy = PairHost(sandbox)
    proxy.watch()
    sandbox.run(f"{BLOCKED}; nft 'add rule inet away out tcp dport 8773 reject with tcp reset'")
    wait_until("it alarms", lambda: "the EC2 API is not reached" in "".join(proxy.told()["alarms"]))
    assert proxy.told()["state"] == "standby"
    assert "the EC2 API is not reached" in sandbox.run([PAIR, "ready"], ok=False)
    proxy.sandbox.run(f"echo renew 1<>{DIRECTORY}/events")
    for _ in range(3):
        said = sandbox.run([PAIR, "ready"], ok=False)
        assert "the EC2 API is not reached" in said or "it has not looked yet" in said, (
            "nor is one that is renewed"
        )
    sandbox.run("nft delete table inet away")
    wait_until("it alarms no more", lambda: "EC2" not in "".join(proxy.told()["alarms"]))
    assert proxy.calls() == [], "nothing was asked for"


def test_credentials_are_renewed_when_they_are_refused(proxy: PairHost) -> None:
    proxy.credentials("KEY2")
    proxy.control(keys=["KEY2"])
    proxy.becomes_active()
    assert {call[0] for call in proxy.calls() if call[-1] == "200"} == {"KEY2"}


def test_without_credentials_it_does_not_stand_by(sandbox: Sandbox) -> None:
    proxy = PairHost(sandbox)
    proxy.metadata({"iam/security-credentials/proxy-0": '{"AccessKeyId": "A\\"\\nurl = evil"}'})
    proxy.watcher = sandbox.start(WATCHER)
    told = proxy.wait_for(
        state="starting", alarms=["keepalived does not run", "the metadata has no credentials"]
    )
    assert told["state"] == "starting"
    assert proxy.aside
    proxy.credentials("KEY1")
    proxy.wait_for(state="standby")
    assert not proxy.aside


def test_credentials_are_in_no_argument_and_for_root_only(proxy: PairHost) -> None:
    seen = proxy.sandbox.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '")
    assert "pair_watch.py" in seen
    assert "very/secret+" not in seen
    modes = proxy.sandbox.run(f"stat -c '%a %n' {DIRECTORY} {DIRECTORY}/*").splitlines()
    assert modes[0] == f"700 {DIRECTORY}"
    assert {line.split()[0] for line in modes[1:]} == {"600"}
    assert "very/secret+" not in proxy.sandbox.run(f"cat {DIRECTORY}/state.json {DIRECTORY}/watch.conf")


def test_one_whose_addresses_were_taken_stands_aside_and_comes_back(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.other_is_active()  # later: a MASTER with adverts at hand is not believed
    proxy.loses(HAVIP, USER_HAVIP)
    proxy.wait_for(state="yielding", reason="the other one took over", deaf=0)
    assert proxy.aside, "keepalived has not said yet that it knows"
    wait_until("the addresses are gone", lambda: proxy.in_kernel() == [])
    proxy.says("FAULT")
    proxy.wait_for(state="standby", reason="the other one is active")
    assert not proxy.aside


def test_a_keepalived_that_did_not_read_its_adverts_is_not_believed(proxy: PairHost) -> None:
    proxy.other_is_active()
    wait_until("it is heard", lambda: proxy.counter("heard"))
    proxy.says("MASTER")
    proxy.stands_aside(state="yielding", reason="adverts were not read in time")
    proxy.wait_for(state="standby", reason="to be sure")
    assert proxy.calls() == []
    assert proxy.in_kernel() == []


def test_it_comes_back_when_the_other_one_is_silent(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.loses(HAVIP, USER_HAVIP)
    proxy.stands_aside(state="yielding")
    proxy.wait_for(state="standby", reason="the other one is silent")
    assert not proxy.aside


def test_a_switch_that_nobody_answers_changes_nothing(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.run(f"echo switch 1<>{DIRECTORY}/events")
    proxy.stands_aside(state="yielding")
    assert proxy.in_kernel() == list(HAVIPS), "it forwards until the other one has taken over"
    proxy.wait_for(state="standby", reason="nobody took over")
    assert proxy.in_kernel() == list(HAVIPS)
    proxy.says("MASTER")
    proxy.wait_for(state="active", whole=True)


@pytest.mark.parametrize(("index", "ends"), [(0, "active"), (1, "yielding")])
def test_while_both_claim_the_one_with_the_higher_index_stands_aside(
    sandbox: Sandbox, index: int, ends: str
) -> None:
    proxy = PairHost(sandbox, index=index)
    proxy.watch()
    proxy.control(refused=[USER_HAVIP])
    proxy.says("MASTER")
    wait_until("half is here", lambda: proxy.told()["havips"]["platform"]["imds"])
    proxy.loses(HAVIP)
    if ends == "yielding":
        proxy.wait_for(state="yielding", reason="the other one claims too")
    else:
        calls = len(proxy.calls())
        wait_until("it claims again", lambda: [c[2] for c in proxy.calls()[calls:]].count(HAVIP))
        assert proxy.told()["state"] == "active"


@pytest.mark.parametrize(
    ("damage", "mending", "broken"),
    [
        ("ip netns exec tenant-alpha sysctl -qw net.ipv4.ip_forward=0",
         "/run/root/opt/causeway/apply forward", "tenant-alpha: ip_forward is off"),
        ("ip -n tenant-alpha link set dev mgre1 down",
         "ip -n tenant-alpha link set dev mgre1 up", "tenant-alpha: mgre1 is down, or not there"),
        ("ip -n user link set dev wire down",
         "ip -n user link set dev wire up", "tenant-alpha: user1 has no carrier"),
        ("ip netns exec tenant-alpha nft delete table ip causeway_nat",
         "/run/root/opt/causeway/apply nat", "tenant-alpha: nft table causeway_nat is not there"),
        ("ip -n other link set dev eth0 down",
         "ip -n other link set dev eth0 up", "platform: eth0 has no carrier"),
    ],
)  # fmt: skip
def test_a_broken_path_makes_it_stand_aside(
    lasting: PairHost, damage: str, mending: str, broken: str
) -> None:
    lasting.becomes_active()
    lasting.sandbox.run(damage)
    lasting.stands_aside(state="fault", reason=broken)
    lasting.sandbox.run(mending)
    lasting.wait_for(state="standby")
    assert not lasting.aside


def test_a_namespace_that_is_deleted_by_hand_makes_it_stand_aside(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.run("ip netns delete tenant-alpha")
    proxy.stands_aside(state="fault", reason="tenant-alpha: its namespace is not there")


def test_a_tenant_that_goes_is_no_fault_until_the_pair_is_told(proxy: PairHost) -> None:
    """The pair is told last, and serves its other tenants meanwhile."""
    proxy.becomes_active()
    proxy.sandbox.apply("user_eni", tenants())
    wait_until("it has looked", lambda: proxy.told()["havips"]["tenant-alpha"]["kernel"] is None)
    for _ in range(20):  # it would be a fault after 0.15 s
        time.sleep(0.05)
        assert (proxy.told()["state"], proxy.aside) == ("active", False)
    proxy.apply(havips=proxy.state["havips"][:1], tenants=[])
    proxy.wait_for(state="active", whole=True)


def test_metadata_without_the_eni_of_a_tenant_that_goes_are_believed(proxy: PairHost) -> None:
    """Another tenant may get its place in the same update: then it is detached before the pair is told."""
    proxy.sandbox.apply("user_eni", tenants())
    known = json.loads(proxy.sandbox.metadata_file.read_text())
    without = {path: text for path, text in known.items() if MAC not in path}
    primary = f"network/interfaces/macs/{PRIMARY_MAC}/local-ipv4s"
    proxy.sandbox.metadata({**without, primary: f"192.168.4.4\n{HAVIP}"})
    wait_until("they are believed", lambda: proxy.told()["havips"]["platform"]["imds"] is True)
    assert proxy.told()["state"] == "standby"


def test_with_a_broken_path_it_serves_if_nobody_else_does(proxy: PairHost) -> None:
    proxy.sandbox.run("ip -n tenant-alpha link set dev mgre1 down")
    proxy.wait_for(state="fault")
    proxy.adverts(count=60)
    assert proxy.aside, "the other one is active"
    proxy.wait_for(state="standby")
    proxy.says("MASTER")
    proxy.wait_for(state="active", whole=True)
    alarms = proxy.told()["alarms"]
    assert "serves with a broken path, as nobody else is active" in alarms


def test_after_somebody_has_flushed_the_ruleset_it_serves_if_nobody_else_does(proxy: PairHost) -> None:
    """Who is active and whole drops the other one's adverts, by a table that is no more."""
    proxy.becomes_active()
    wait_until("it is deaf", lambda: "192.168.4.5" in proxy.sandbox.run("nft list table inet causeway_pair"))
    proxy.sandbox.run("nft flush ruleset")
    proxy.stands_aside(state="fault")
    proxy.wait_for(state="standby")
    proxy.says("MASTER")
    proxy.wait_for(state="active", whole=True)
    assert "serves with a broken path, as nobody else is active" in proxy.told()["alarms"]


def test_the_kernel_follows_the_metadata(proxy: PairHost) -> None:
    proxy.metadata({f"network/interfaces/macs/{MAC}/local-ipv4s": f"172.16.101.10\n{USER_HAVIP}"})
    wait_until("it is here", lambda: proxy.in_kernel() == [USER_HAVIP])
    proxy.loses(USER_HAVIP)
    wait_until("it is gone", lambda: proxy.in_kernel() == [])


def test_addresses_that_were_deleted_by_hand_come_back(proxy: PairHost) -> None:
    proxy.becomes_active()
    wait_until("the addresses are here", all_here(proxy))
    proxy.sandbox.run(
        "ip -n tenant-alpha addr del 172.16.101.100/32 dev user1; ip addr del 192.168.4.100/32 dev eth0"
    )
    wait_until("the addresses are back", all_here(proxy))


def test_one_that_is_stuck_for_a_while_finds_out_that_it_was_overtaken(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.run("kill -STOP $(pgrep -o -f [p]air_watch.py)")
    proxy.loses(HAVIP, USER_HAVIP)
    proxy.sandbox.run("sleep 3; kill -CONT $(pgrep -o -f [p]air_watch.py)")
    proxy.wait_for(state="yielding", reason="the other one took over")
    assert all(call[-1] == "200" for call in proxy.calls())
    assert len(proxy.calls()) == 2, "it takes nothing back"


def test_adverts_of_others_are_dropped(proxy: PairHost) -> None:
    proxy.adverts("192.168.4.9", 3)
    assert (proxy.counter("dropped"), proxy.counter("heard")) == (3, 0)
    proxy.adverts(count=2)
    assert (proxy.counter("dropped"), proxy.counter("heard")) == (3, 2)


@pytest.mark.parametrize("advert_ms", [100, 1000])
def test_whether_adverts_are_heard_is_known_for_each_interval(proxy: PairHost, advert_ms: int) -> None:
    proxy.apply(advert_ms=advert_ms)
    assert proxy.sandbox.json(f"{PAIR} status")["peer_heard"] is None
    proxy.other_is_active(advert_ms / 1000)
    wait_until("the first is heard", lambda: proxy.counter("heard"))
    assert [proxy.sandbox.json(f"{PAIR} status")["peer_heard"] for _ in range(3)] == [0, 0, 0]


def test_switch_is_for_the_active_one_and_refused_if_the_other_does_not_answer(proxy: PairHost) -> None:
    assert "this one is not active" in proxy.sandbox.run([PAIR, "switch"], ok=False)
    assert "nothing to do" in proxy.sandbox.run([PAIR, "step-aside"])
    proxy.becomes_active()
    proxy.sandbox.run("ip -n other addr flush dev eth0")
    assert "192.168.4.5 does not answer" in proxy.sandbox.run([PAIR, "switch"], ok=False)
    assert proxy.told()["state"] == "active"


def test_ready_says_why_not(proxy: PairHost) -> None:
    assert "keepalived does not run" in proxy.sandbox.run([PAIR, "ready"], ok=False)
    proxy.other_is_active()
    proxy.says("BACKUP")
    proxy.sandbox.run("rm /run/services/causeway-sync@tenant-alpha.service")
    proxy.wait_for(
        alarms=["connections of tenant-alpha are not synchronised: conntrackd is inactive"], deadline_s=40
    )
    proxy.sandbox.run("echo 1 >/run/services/causeway-sync@tenant-alpha.service")
    proxy.wait_for(alarms=[])
    assert "standby" in proxy.sandbox.run([PAIR, "ready"])


RESTART = "kill --signal=KILL causeway-keepalived.service"
# As keepalived's own, and nobody reads.
UNREAD_SOCKET = """
import socket, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
raw.bind(("192.168.4.4", 0))
time.sleep(1000)
"""


def restarts(proxy: PairHost) -> int:
    """Of keepalived, asked of systemd."""
    return proxy.sandbox.run("cat /run/systemctl 2>/dev/null || true").splitlines().count(RESTART)


def test_a_keepalived_that_reads_no_adverts_is_restarted(proxy: PairHost) -> None:
    proxy.other_is_active()
    proxy.says("BACKUP")
    time.sleep(5)
    assert restarts(proxy) == 0
    hung = proxy.sandbox.start([sys.executable, "-c", UNREAD_SOCKET])
    alarm = "keepalived hangs, and is restarted: it does not read the other one's adverts"
    wait_for_alarm(proxy, alarm)
    wait_until("it is restarted", lambda: restarts(proxy) == 1)
    proxy.sandbox.run("kill $(pgrep -f '[r]aw.bind.*192.168.4.4')")
    hung.wait()
    proxy.says("BACKUP")
    proxy.wait_for(alarms=[])
    assert restarts(proxy) == 1


def test_a_keepalived_that_does_not_take_over_is_restarted(proxy: PairHost) -> None:
    proxy.other_is_active()
    proxy.says("BACKUP")
    time.sleep(1)
    proxy.other_is_silent()
    wait_for_alarm(proxy, "keepalived hangs, and is restarted: nobody is active, and it does not take over")
    wait_until("it is restarted", lambda: restarts(proxy) == 1)
    proxy.says("BACKUP", "MASTER")
    proxy.wait_for(state="active", whole=True, alarms=[])


def test_an_active_ones_keepalived_is_left_alone(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.start([sys.executable, "-c", UNREAD_SOCKET])
    time.sleep(5)
    assert restarts(proxy) == 0


@pytest.mark.parametrize("gone", [f"rm {DIRECTORY}/state.json", "rm /run/services/causeway-pair.service"])
def test_without_a_watcher_nobody_is_ready_and_nobody_steps_aside(proxy: PairHost, gone: str) -> None:
    """As just after a boot, or when it has died: what there is of it then is old."""
    proxy.sandbox.run("kill -KILL $(pgrep -o -f [p]air_watch.py)")
    proxy.sandbox.run(gone)
    for word in ("ready", "switch", "status"):
        assert "causeway-pair.service does not run" in proxy.sandbox.run([PAIR, word], ok=False)
    assert proxy.sandbox.json("/run/root/opt/causeway/status")["pair"] is None


def test_one_without_a_watcher_is_out_of_the_way_once_aws_has_nothing_here(proxy: PairHost) -> None:
    """keepalived is bound to the watcher, so the other one takes over: a proxy that is broken can be replaced."""
    proxy.becomes_active()
    proxy.sandbox.run("kill -KILL $(pgrep -o -f [p]air_watch.py); rm /run/services/causeway-pair.service")
    assert "has not taken over" in proxy.sandbox.run(
        ["env", "CAUSEWAY_SWITCH_TAKES_S=2", PAIR, "step-aside"], ok=False
    )
    proxy.loses(HAVIP)
    assert "not active" in proxy.sandbox.run([PAIR, "step-aside", "--staying"]), "tenant-alpha goes"
    proxy.loses(USER_HAVIP)
    assert "not active" in proxy.sandbox.run([PAIR, "step-aside"])


@pytest.mark.parametrize("status", [429, 503])
def test_one_without_a_watcher_is_not_out_of_the_way_where_the_metadata_do_not_say(
    proxy: PairHost, status: int
) -> None:
    proxy.sandbox.run("kill -KILL $(pgrep -o -f [p]air_watch.py); rm /run/services/causeway-pair.service")
    proxy.metadata({f"network/interfaces/macs/{MAC}/local-ipv4s": status})
    said = proxy.sandbox.run(["env", "CAUSEWAY_SWITCH_TAKES_S=2", PAIR, "step-aside"], ok=False)
    assert "or the metadata does not say" in said
    proxy.metadata({f"network/interfaces/macs/{MAC}/local-ipv4s": 404})  # its ENI is not attached any more
    assert "not active" in proxy.sandbox.run([PAIR, "step-aside"])


def test_the_active_one_tells_every_connection_and_a_standby_forgets_them_and_asks(proxy: PairHost) -> None:
    conf = "/run/root/run/causeway/sync/tenant-alpha.conf"
    proxy.sandbox.run(f"mkdir -p {conf.rpartition('/')[0]}; touch {conf}; rm -f /run/conntrackd")
    proxy.becomes_active()
    wait_until("it tells", lambda: "conntrackd -R" in proxy.sandbox.run("cat /run/conntrackd || true"))
    proxy.sandbox.run("rm /run/conntrackd")
    proxy.other_is_active()
    proxy.loses(HAVIP, USER_HAVIP)
    proxy.stands_aside(state="yielding")
    proxy.wait_for(state="standby")
    wait_until(
        "it asks", lambda: proxy.sandbox.run("cat /run/conntrackd || true").splitlines() == FORGETS_AND_ASKS
    )


@pytest.fixture
def synced(proxy: PairHost) -> PairHost:
    """Standing by, with a conntrackd that hears the other one's, and is heard."""
    address = "IPv4_Destination_Address 169.254.254.2"
    proxy.sandbox.run(f"mkdir -p {SYNC}; echo '{address}' >{SYNC}/tenant-alpha.conf; touch /run/came")
    proxy.other_is_active()
    proxy.says("BACKUP")
    proxy.wait_for(alarms=[])
    return proxy


def test_a_standby_that_does_not_hear_the_others_conntrackd_says_so_until_it_knows_all_again(
    synced: PairHost,
) -> None:
    run = synced.sandbox.run
    run("rm -f /run/conntrackd; touch /run/silent")
    alarm = wait_for_alarm(synced, "does not know the connections of tenant-alpha, which a failover may cut")
    assert synced.told()["state"] == "standby"
    assert f"{alarm}\n" in run([PAIR, "ready"]), "what is to mend it may be just under way"
    run("test ! -e /run/conntrackd")
    run("rm /run/silent")
    synced.wait_for(alarms=[])
    assert run("cat /run/conntrackd").splitlines() == FORGETS_AND_ASKS


@pytest.mark.parametrize("fault", ["silent", "unheard"])
def test_nothing_is_forgotten_where_the_other_one_would_not_tell(synced: PairHost, fault: str) -> None:
    run = synced.sandbox.run
    run(f"kill -KILL $(pgrep -o -f [p]air_watch.py); rm -f /run/conntrackd; touch /run/{fault}")
    assert run([PAIR, "resync-as", "standby"]) == "silent tenant-alpha\n"
    run("test ! -e /run/conntrackd")
    run(f"rm /run/{fault}")
    assert run([PAIR, "resync-as", "standby"]) == ""
    assert run("cat /run/conntrackd").splitlines() == FORGETS_AND_ASKS


def test_who_cannot_ask_is_named_and_the_others_are_told(synced: PairHost) -> None:
    address = "IPv4_Destination_Address 169.254.254.6"
    run = synced.sandbox.run
    run("kill -KILL $(pgrep -o -f [p]air_watch.py); rm -f /run/conntrackd")
    run(f"echo '{address}' >{SYNC}/tenant-gone.conf")  # there is no such namespace
    said = run(f"{PAIR} resync-as standby 2>/dev/null", ok=False)
    assert said == "failed tenant-gone\n"
    assert sorted(set(FORGETS_AND_ASKS)) == sorted(set(run("cat /run/conntrackd").splitlines()))


GROWS = """
import itertools, socket, time
talker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in itertools.cycle(range(1, 65536)):
    talker.sendto(b"", ("127.0.0.1", port))
    time.sleep(0.01)
"""


def test_a_table_that_always_grows_is_taken_for_told_after_some_time(synced: PairHost) -> None:
    """As any container can have its tenant's."""
    sandbox = synced.sandbox
    sandbox.run("kill -KILL $(pgrep -o -f [p]air_watch.py); rm -f /run/conntrackd")
    sandbox.run(
        "ip link set lo up; nft 'add table ip watch; add chain ip watch out { type filter hook output priority 0; };"
        " add rule ip watch out ct state new counter'",
        "tenant-alpha",
    )
    sandbox.start([sys.executable, "-c", GROWS], "tenant-alpha")
    said = sandbox.run(f"CAUSEWAY_TOLD_WITHIN_S=3 {PAIR} resync-as standby 2>&1")
    assert "tenant-alpha: taken for told, by one that has always new ones" in said
    assert sandbox.run("cat /run/conntrackd").splitlines() == FORGETS_AND_ASKS


def test_one_that_is_busy_acknowledges_late_and_is_asked_all_the_same(synced: PairHost) -> None:
    """It has always something to tell, and says that it has heard after every fifty messages."""
    synced.sandbox.run("kill -KILL $(pgrep -o -f [p]air_watch.py); rm -f /run/conntrackd; touch /run/busy")
    assert synced.sandbox.run([PAIR, "resync-as", "standby"]) == ""
    assert synced.sandbox.run("cat /run/conntrackd").splitlines() == FORGETS_AND_ASKS


@pytest.mark.parametrize("fault", ["silent", "unheard"])
def test_the_active_one_hands_nothing_over_while_connections_would_be_cut(
    synced: PairHost, fault: str
) -> None:
    synced.other_is_silent()
    synced.becomes_active()
    synced.sandbox.run(f"touch /run/{fault}")
    synced.sandbox.run("mkdir /run/stubs; ln -s /bin/true /run/stubs/ping")  # not every machine has it
    path = f"CAUSEWAY_PATH=/run/stubs:{synced.sandbox.environment['CAUSEWAY_PATH']}"
    asked = ["env", path, "CAUSEWAY_SWITCH_TAKES_S=1", PAIR]
    why = "no switch: the other one does not know the connections of tenant-alpha, which would be cut"
    for word in ("switch", "step-aside"):
        assert why in synced.sandbox.run([*asked, word], ok=False)
    assert synced.told()["state"] == "active"
    synced.sandbox.run(f"rm /run/{fault}")
    assert "nobody took over" in synced.sandbox.run([*asked, "switch"], ok=False)


def test_a_tenant_on_its_way_out_keeps_no_proxy_from_stepping_aside(synced: PairHost) -> None:
    """The other one, whose turn was before, has nothing of it any more."""
    synced.other_is_silent()
    synced.becomes_active()
    synced.sandbox.run("touch /run/silent; mkdir /run/stubs; ln -s /bin/true /run/stubs/ping")
    path = f"CAUSEWAY_PATH=/run/stubs:{synced.sandbox.environment['CAUSEWAY_PATH']}"
    asked = ["env", path, "CAUSEWAY_SWITCH_TAKES_S=1", PAIR, "step-aside"]
    for staying in ([], ["--staying", "tenant-alpha"]):
        assert "which would be cut" in synced.sandbox.run([*asked, *staying], ok=False)
    assert "nobody took over" in synced.sandbox.run([*asked, "--staying", "tenant-beta"], ok=False)
    synced.loses(HAVIP)
    synced.wait_for(whole=False)
    wait_until("it is not active", lambda: synced.told()["state"] != "active")
    assert "AWS still has tenant-alpha here" in synced.sandbox.run(asked, ok=False)
    assert "nothing to do" in synced.sandbox.run([*asked, "--staying"])


def test_a_standby_takes_over_whatever_its_link_is_like(synced: PairHost) -> None:
    synced.sandbox.run("touch /run/silent")
    wait_for_alarm(synced, "does not know the connections of tenant-alpha")
    synced.other_is_silent()
    synced.says("MASTER")
    synced.wait_for(state="active", whole=True, alarms=[])


def wait_for_alarm(proxy: PairHost, about: str) -> str:
    """The whole of it."""
    found: list[str] = []

    def is_there() -> bool:
        found[:] = [alarm for alarm in proxy.told()["alarms"] if about in alarm]
        return bool(found)

    wait_until(f"it alarms: {about}", is_there, 30)
    return found[0]


def test_who_has_just_started_forgets_what_a_former_watcher_may_have_left(proxy: PairHost) -> None:
    proxy.sandbox.run(
        "mkdir -p /run/root/run/causeway/sync; touch /run/root/run/causeway/sync/tenant-alpha.conf"
    )
    proxy.sandbox.run("kill -KILL $(pgrep -o -f [p]air_watch.py); rm -f /run/conntrackd")
    proxy.watch()
    wait_until(
        "it asks", lambda: proxy.sandbox.run("cat /run/conntrackd || true").splitlines() == FORGETS_AND_ASKS
    )


def test_with_as_many_destinations_as_there_may_be_it_sees_every_route_and_address(proxy: PairHost) -> None:
    for number in range(60):
        proxy.sandbox.run(f"ip -n tenant-alpha route add 10.77.{number}.0/24 dev user1")
        proxy.sandbox.run(f"ip -n tenant-alpha addr add 10.200.{number}.1/32 dev user1")
    proxy.becomes_active()
    wait_until("the addresses are here", all_here(proxy))
    told = proxy.wait_for(alarms=[])["havips"]["tenant-alpha"]
    assert (told["health"], told["kernel"]) == ("ok", True)
    proxy.loses(HAVIP, USER_HAVIP)
    wait_until("the addresses are gone", lambda: proxy.in_kernel() == [])


def test_who_is_not_active_makes_no_way_while_aws_still_has_a_havip_here(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.run(f"echo switch 1<>{DIRECTORY}/events")
    proxy.stands_aside(state="yielding")
    said = proxy.sandbox.run([PAIR, "step-aside"], ok=False)
    assert "AWS still has platform, tenant-alpha here" in said
    proxy.loses(HAVIP, USER_HAVIP)
    wait_until("it makes way", lambda: proxy.sandbox.run([PAIR, "step-aside"], ok=None))


def test_what_keepalived_says_while_the_watcher_is_renewed_is_not_lost(proxy: PairHost) -> None:
    line = 'INSTANCE "causeway" %s 254\\n'
    proxy.sandbox.run(f"printf 'renew\\n{line % 'BACKUP'}{line % 'MASTER'}' 1<>{DIRECTORY}/events")
    proxy.wait_for(state="active", whole=True)


def test_half_a_line_is_read_on_by_the_renewed_watcher(proxy: PairHost) -> None:
    proxy.says("BACKUP")
    proxy.sandbox.run(f"printf 'renew\\nINSTANCE \"cause' 1<>{DIRECTORY}/events")
    wait_until(
        "it is renewed",
        lambda: "phase" in proxy.sandbox.run("cat /proc/$(pgrep -o -f [p]air_watch.py)/cmdline"),
    )
    proxy.sandbox.run(f"printf 'way\" MASTER 254\\n' 1<>{DIRECTORY}/events")
    proxy.wait_for(state="active", whole=True)


def test_without_its_table_it_does_not_stay_active(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.run("nft delete table inet causeway_pair")
    proxy.wait_for(state="fault", reason="platform: nft table causeway_pair is not there")


def test_applying_again_changes_nothing(proxy: PairHost) -> None:
    assert proxy.apply() == ["unchanged"]


def test_a_changed_state_is_taken_on_by_an_active_one_that_stays_active(proxy: PairHost) -> None:
    proxy.becomes_active()
    proxy.sandbox.run("rm -f /run/systemctl")
    assert "the watcher is renewed" in proxy.apply(region="us-west-2")
    wait_until("it is", lambda: "renewed" in proxy.sandbox.run(f"cat {DIRECTORY}/watch.conf; echo renewed"))
    proxy.wait_for(state="active", whole=True)
    assert not proxy.aside
    assert proxy.sandbox.run("cat /run/systemctl 2>/dev/null || echo nothing") == "nothing\n"
    assert proxy.apply() == ["unchanged"]


@pytest.mark.parametrize(
    "damage",
    [
        "nft delete table inet causeway_pair",
        f"rm {DIRECTORY}/keepalived.conf",
        f"echo junk >>{DIRECTORY}/watch.conf",
        "rm /run/services/causeway-keepalived.service",
    ],
)
def test_what_is_damaged_by_hand_is_mended(lasting: PairHost, damage: str) -> None:
    lasting.sandbox.run(damage)
    assert lasting.apply()[-1] == "changed"
    assert lasting.apply() == ["unchanged"]


def test_a_change_that_was_not_finished_is_finished_by_the_next_apply(proxy: PairHost) -> None:
    """Its files are as they should be, and nobody has read them."""
    state = proxy.state | {"region": "us-east-2"}
    proxy.sandbox.run("rm /run/services/causeway-keepalived.service; touch /run/services/refuses")
    assert "watch.conf written" in "".join(proxy.sandbox.apply("pair", state, ok=False))
    proxy.sandbox.run("rm /run/services/refuses")
    assert "the watcher is renewed" in proxy.sandbox.apply("pair", state)
    assert proxy.sandbox.apply("pair", state) == ["unchanged"]


def test_no_pair_any_more(proxy: PairHost) -> None:
    proxy.becomes_active()
    assert proxy.sandbox.apply("pair", {"peer": None})[-1] == "changed"
    assert "stop causeway-keepalived.service causeway-pair.service" in proxy.sandbox.run("cat /run/systemctl")
    assert "causeway_pair" not in proxy.sandbox.run("nft list tables")
    proxy.sandbox.run(f"ls {DIRECTORY}", ok=False)
    assert proxy.sandbox.apply("pair", {"peer": None}) == ["unchanged"]
    assert "no pair" in proxy.sandbox.run([PAIR, "step-aside"]) + proxy.sandbox.run([PAIR, "ready"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"peer": "1.2.3.4; reboot"}, "not valid"),
        ({"index": 2}, "not a whole number from 0 to 1"),
        ({"advert_ms": 1}, "not a whole number from 20 to 10000"),
        ({"api": {"url": 'http://x"\nurl = "y', "connect_to": None}}, "not valid"),
        ({"region": "us-east-1:ec2"}, "not valid"),
        ({"havips": []}, "not one HaVip in the root namespace"),
        ({"tenants": []}, "its namespace is no tenant of this pair"),
    ],
)
def test_a_state_that_is_refused_starts_nothing(
    lasting: PairHost, change: dict[str, object], says: str
) -> None:
    lasting.sandbox.run("rm -f /run/systemctl")
    said = lasting.sandbox.apply("pair", lasting.state | change, ok=False)
    assert says in "\n".join(said)
    asked = lasting.sandbox.run("cat /run/systemctl 2>/dev/null || true").splitlines()
    assert [line for line in asked if line != RESTART] == []  # which the watcher asks for, as no adverts come
    lasting.sandbox.state("pair", lasting.state)


def test_its_mac_is_that_of_the_nic_with_the_own_address(proxy: PairHost) -> None:
    text = proxy.sandbox.run(f"cat {DIRECTORY}/watch.conf")
    assert f"havip platform - eth0 {PRIMARY_MAC} eni-0a {HAVIP}\n" in text
