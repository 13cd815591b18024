"""What a proxy prints when ops asks is what ops takes: the strict shape of it, by the real scripts on a real kernel."""

from __future__ import annotations

import pytest

from ops.ssh import REMOTE
from ops.status.told import host_seen
from tests.hostscripts.pair_host import HAVIP, PRIMARY_MAC, USER_HAVIP, PairHost
from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import MAC

pytestmark = pytest.mark.slow

LOOK = (REMOTE / "look.sh").read_text().replace("/opt/causeway/", "/run/root/opt/causeway/")


def test_what_a_proxy_says_makes_sense(sandbox: Sandbox) -> None:
    proxy = PairHost(sandbox)
    proxy.watch()
    proxy.becomes_active()
    proxy.wait_for(alarms=[])
    macs = f"{PRIMARY_MAC}/\n{MAC}/"
    proxy.metadata({"network/interfaces/macs/": macs})
    sandbox.run("mkdir -p /run/root/run/causeway/sync; touch /run/root/run/causeway/sync/tenant-alpha.conf")
    seen = host_seen(sandbox.run("bash -s 2>/dev/null", stdin=LOOK))
    assert seen.pair is not None
    assert (seen.pair.state, seen.pair.alarms) == ("active", ())
    assert [switch.to for switch in seen.pair.switches] == ["active"]
    assert seen.pair.sync["tenant-alpha"].running
    assert seen.has_address(HAVIP, "")
    assert seen.has_address(USER_HAVIP, "tenant-alpha")
    assert {"user_eni", "nat", "forward", "pair"} <= set(seen.concerns)
    assert seen.imds is not None
    assert HAVIP in seen.imds[PRIMARY_MAC]
    assert seen.connections.keys() == {"tenant-alpha"}
    assert seen.connections["tenant-alpha"].limit >= 2048
    assert any("tenant-alpha" in name for name in seen.dropped)


def test_a_host_that_tracks_connections_itself_says_how_many(sandbox: Sandbox) -> None:
    """As a func host does, which has no namespace."""
    chain = "add chain ip own in { type filter hook input priority 0; }"
    sandbox.run(
        f"nft 'add table ip own; {chain}; add rule ip own in ct state new'; exec 3<>/dev/tcp/169.254.169.254/80"
    )
    seen = host_seen(sandbox.run("bash -s 2>/dev/null", stdin=LOOK))
    assert seen.connections.keys() == {""}
    assert 0 < seen.connections[""].count < seen.connections[""].limit


def test_a_name_without_a_namespace_takes_nothing_else_along(sandbox: Sandbox) -> None:
    """Where somebody has unmounted it, or it is just going."""
    proxy = PairHost(sandbox)
    proxy.watch()
    sandbox.run("touch /run/netns/tenant-aaa")
    seen = host_seen(sandbox.run("bash -s 2>/dev/null", stdin=LOOK))
    assert seen.pair is not None
    assert seen.connections.keys() == {"tenant-alpha"}


def test_a_silent_metadata_takes_nothing_else_along(sandbox: Sandbox) -> None:
    """Its alarms are wanted most then."""
    proxy = PairHost(sandbox)
    proxy.watch()
    look = LOOK.replace("http://169.254.169.254/latest", "http://127.0.0.1:9/latest")
    seen = host_seen(sandbox.run("bash -s 2>/dev/null", stdin=look))
    assert seen.imds is None
    assert seen.pair is not None
    assert seen.pair.state == "standby"
    assert seen.connections.keys() == {"tenant-alpha"}


@pytest.mark.parametrize(
    ("check", "lines", "why"),
    [
        pytest.param("exit 0", (), "", id="as it was applied"),
        pytest.param(
            "echo causeway: nat: off; exit 1", ("causeway: nat: off",), "", id="as it should not be"
        ),
        pytest.param("sleep 60", (), "it did not end in time", id="never ending"),
        pytest.param("exit 3", (), "it ended with 3, and said nothing", id="silent"),
        pytest.param(
            "echo causeway: apply: another apply is at work; exit 75",
            (),
            "another apply is at work",
            id="busy",
        ),
    ],
)
def test_a_check_that_says_nothing_is_no_good_news(
    sandbox: Sandbox, check: str, lines: tuple[str, ...], why: str
) -> None:
    PairHost(sandbox)
    sandbox.run("cat >/run/check; chmod +x /run/check", stdin=f"#!/bin/bash\n{check}\n")
    look = LOOK.replace("/run/root/opt/causeway/apply", "/run/check")
    seen = host_seen(sandbox.run("CAUSEWAY_CHECK_S=1 bash -s -- closely 2>/dev/null", stdin=look))
    assert (seen.off, seen.not_compared) == (lines, why)


def test_an_apply_at_work_is_said_by_its_exit_status(sandbox: Sandbox) -> None:
    PairHost(sandbox)
    status = sandbox.run(
        "flock /run/root/run/causeway/lock sleep 30 & sleep 0.2; "
        "/run/root/opt/causeway/apply --check >/run/said; echo $?; kill %1"
    )
    assert status == "75\n"
    assert sandbox.run("cat /run/said") == "causeway: apply: another apply is at work\n"


def test_a_host_that_cannot_tell_its_status_tells_the_rest(sandbox: Sandbox) -> None:
    PairHost(sandbox)
    seen = host_seen(
        sandbox.run("bash -s 2>/dev/null", stdin=LOOK.replace("causeway/status", "causeway/none"))
    )
    assert not seen.tells_status
    assert seen.connections.keys() == {"tenant-alpha"}
