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


def test_a_host_that_cannot_tell_its_status_tells_the_rest(sandbox: Sandbox) -> None:
    PairHost(sandbox)
    seen = host_seen(
        sandbox.run("bash -s 2>/dev/null", stdin=LOOK.replace("causeway/status", "causeway/none"))
    )
    assert not seen.tells_status
    assert seen.connections.keys() == {"tenant-alpha"}
