"""A pair of proxies: one dies or steps aside, and no connection is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.paths import PROJECT
from tests.lab.conftest import PAIR, SINGLE, LabUnderTest, wait_until
from tests.lab.test_lifecycle import changed
from tests.lab.test_path import FUNC, HTTP, USER_ADDRESS

pytestmark = pytest.mark.lab

Json = Any
PROXIES = ("proxy-0", "proxy-1")
HAVIPS = {"platform": "192.168.4.100", "alpha": "172.16.101.100"}
CONNECTIONS = 100
ECHO_PORT = 7007
SCRIPT = (Path(__file__).parent / "connections.py").read_text()


ASK = r"""
set -euo pipefail
base=http://169.254.169.254/latest
token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token")
get() { curl -sf -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/iam/security-credentials/$1"; }
keys=$(get "")
keys=$(get "$keys")
key() { jq -r ".$1" <<<"$keys"; }
printf 'user = "%s:%s"\nheader = "X-Amz-Security-Token: %s"\n' \
  "$(key AccessKeyId)" "$(key SecretAccessKey)" "$(key Token)" |
  curl -s -K - --aws-sigv4 aws:amz:us-east-1:ec2 --connect-to ::192.168.4.200: -d "$1" \
    http://ec2.us-east-1.amazonaws.com/
"""


@pytest.fixture(scope="module")
def pair() -> Iterator[LabUnderTest]:
    """The reference network with two proxies."""
    lab = LabUnderTest("pair-under-test")
    try:
        lab.up(*PAIR)
        wait_until("the pair is whole", lambda: active(lab) is not None and standby_is_ready(lab), 120)
        yield lab
    finally:
        lab.command("down")


def told(lab: LabUnderTest, proxy: str) -> Json:
    """What a proxy says of its pair; nothing if it does not answer."""
    done = lab.command("exec", proxy, "--", "/opt/causeway/pair", "status", check=False, timeout_s=60)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def holders(lab: LabUnderTest) -> dict[str, set[str]]:
    """Which proxies have each HaVip, by the API."""
    hosts = [host for host in lab.status()["hosts"] if host["name"] in PROXIES]
    return {name: {h["name"] for h in hosts if address in h["addresses"]} for name, address in HAVIPS.items()}


def active(lab: LabUnderTest) -> str | None:
    """The one proxy that has every HaVip by API, metadata and kernel; None where that is not so."""
    by_api = set.union(*holders(lab).values())
    if len(by_api) != 1 or not all(holders(lab).values()):
        return None
    (proxy,) = by_api
    says = told(lab, proxy)
    whole = says.get("state") == "active" and says["whole"]
    return proxy if whole and all(h["imds"] and h["kernel"] for h in says["havips"].values()) else None


def other(proxy: str) -> str:
    """Of two."""
    return PROXIES[1 - PROXIES.index(proxy)]


def standby_is_ready(lab: LabUnderTest) -> bool:
    """It could take over, and has nothing of what belongs to the active one."""
    holder = active(lab)
    if holder is None:
        return False
    says = told(lab, other(holder))
    return says.get("state") == "standby" and not any(
        h["imds"] or h["kernel"] for h in says["havips"].values()
    )


@contextmanager
def open_connections(lab: LabUnderTest) -> Iterator[None]:
    """TCP connections of a function that are used all the time, and all of which must still echo in the end."""
    argv = [
        sys.executable,
        "-m",
        "lab",
        "exec",
        "--name",
        lab.name,
        FUNC,
        "--",
        "python3",
        "-u",
        "-c",
        SCRIPT,
    ]
    with subprocess.Popen(
        [*argv, USER_ADDRESS, str(ECHO_PORT), str(CONNECTIONS)],
        cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        out, _ = process.communicate("end\n", timeout=120)
        result = json.loads(out)
        assert (result["alive"], result["lost"]) == (CONNECTIONS, []), result


def test_one_proxy_has_every_havip_and_the_user_sees_it(pair: LabUnderTest) -> None:
    assert HAVIPS["alpha"] in pair.succeed(FUNC, HTTP)


def test_a_killed_proxy_is_replaced_by_the_other_and_takes_nothing_back(pair: LabUnderTest) -> None:
    first = active(pair)
    assert first is not None
    with open_connections(pair):
        pair.command("fault", "kill", first)
        pair.forget(first)
        wait_until("the other one has every HaVip", lambda: active(pair) == other(first), 60)
    pair.command("fault", "restart", first)
    wait_until(
        "the pair can fail again, and the first one has taken nothing back",
        lambda: active(pair) == other(first) and standby_is_ready(pair),
        180,
    )
    pair.succeed(FUNC, HTTP)


def test_a_planned_switch_loses_nothing(pair: LabUnderTest) -> None:
    first = active(pair)
    assert first is not None
    with open_connections(pair):
        pair.succeed(first, "/opt/causeway/pair switch")
        wait_until("the other one has every HaVip", lambda: active(pair) == other(first), 60)
    wait_until("the pair can fail again", lambda: standby_is_ready(pair), 60)


def test_after_a_failover_up_and_refresh_move_and_change_nothing(pair: LabUnderTest) -> None:
    before = active(pair)
    assert before == PROXIES[1] or pair.succeed(str(before), "/opt/causeway/pair switch")
    wait_until("proxy-1 is active", lambda: active(pair) == PROXIES[1], 60)
    assert changed(pair.up(*PAIR)) == set()
    assert changed(pair.up("--refresh", *PAIR)) == set()
    assert active(pair) == PROXIES[1]


def test_a_proxys_role_may_claim_for_its_own_interfaces_only(pair: LabUnderTest) -> None:
    enis = {h["name"]: h["enis"][0]["id"] for h in pair.status()["hosts"] if h["name"] in PROXIES}

    def answer(body: str) -> str:
        return pair.succeed(PROXIES[0], f"bash -s -- '{body}'", stdin=ASK.encode())

    claim = "Action=AssignPrivateIpAddresses&Version=2016-11-15&NetworkInterfaceId={}&PrivateIpAddress.1=192.168.4.77"
    assert "UnauthorizedOperation" in answer(claim.format(enis[PROXIES[1]]))
    assert "UnauthorizedOperation" in answer("Action=DescribeInstances&Version=2016-11-15")
    assert "<return>true</return>" in answer(claim.format(enis[PROXIES[0]]))


def test_a_pair_becomes_a_single_proxy_and_a_pair_again_and_loses_nothing(pair: LabUnderTest) -> None:
    """From the worse side: proxy-1, which goes, is active. The last test, because it leaves another pair behind."""
    if active(pair) == PROXIES[0]:
        pair.succeed(PROXIES[0], "/opt/causeway/pair switch")
    wait_until("proxy-1 is active", lambda: active(pair) == PROXIES[1] and standby_is_ready(pair), 60)
    with open_connections(pair):
        pair.up(*SINGLE)
    assert PROXIES[1] not in {host["name"] for host in pair.status()["hosts"]}
    pair.succeed(FUNC, HTTP)
    with open_connections(pair):
        pair.up(*PAIR)
    wait_until("the pair is whole", lambda: active(pair) == PROXIES[0] and standby_is_ready(pair), 120)
