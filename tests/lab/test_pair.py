"""What a pair of proxies is beside its failovers, which tests/lab/test_drill.py has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from components.open_connections import HEAD
from components.tunnel_change import PAUSE_S, UNNOTICED_S
from ops.drill.known import unknown_connections
from ops.stack import LabStack
from tests.lab.conftest import PAIR, SINGLE, LabUnderTest, client_options, wait_until
from tests.lab.kept_connections import CONNECTIONS, kept_connections
from tests.lab.pair_lab import PROXIES, ops, well
from tests.lab.test_lifecycle import changed
from tests.lab.test_path import FUNC, HTTP, IN_TENANT

pytestmark = pytest.mark.lab

USER_HAVIP = "172.16.101.100"
FREE = "192.168.4.77"
SYNC = "causeway-sync@tenant-alpha"
KNOWN = f"{IN_TENANT} conntrack -L -p tcp --dport 7007 2>/dev/null | grep -c ESTABLISHED || true"
OWN_PORT = "ss -Hun dst 172.16.101.4:7007 | awk '{print $3}' | cut -d: -f2"
SEEN_BY_USER = (
    f"{IN_TENANT} conntrack -L -p udp --orig-port-src %d 2>/dev/null | grep -o 'src=172.16.*dport=[0-9]*'"
)
OWN_ENDPOINT = "192.168.4.201"
FORGET = f"{IN_TENANT} conntrack -F 2>/dev/null"
ALARMS = "jq -r '.alarms[]' /run/causeway/pair/state.json"

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


def assert_all_are_known(pair: LabUnderTest, knower: str, other: str) -> None:
    """With their translations. That connections go on would not show it: unknown ones are believed."""
    stack = LabStack(pair.name)
    try:
        count, unknown = unknown_connections(stack, "tenant-alpha", knower, other)
    finally:
        stack.close()
    assert count >= CONNECTIONS
    assert unknown == []


def test_the_user_sees_the_pairs_own_address(pair: LabUnderTest) -> None:
    assert USER_HAVIP in pair.succeed(FUNC, HTTP)


def test_a_second_up_changes_nothing(pair: LabUnderTest) -> None:
    assert changed(pair.up(*PAIR)) == set()
    assert changed(pair.up("--refresh", *PAIR)) == set()


def test_applying_again_changes_nothing(pair: LabUnderTest) -> None:
    well(pair)
    for proxy in PROXIES:
        said = pair.succeed(proxy, "/opt/causeway/apply").splitlines()
        assert [line for line in said if not line.endswith(": unchanged")] == []


def test_a_proxys_role_may_claim_for_its_own_interfaces_only(pair: LabUnderTest) -> None:
    enis = {h["name"]: h["enis"][0]["id"] for h in pair.status()["hosts"] if h["name"] in PROXIES}

    def answer(body: str) -> str:
        return pair.succeed(PROXIES[0], f"bash -s -- '{body}'", stdin=ASK.encode())

    call = "Action=AssignPrivateIpAddresses&Version=2016-11-15"
    claim = f"{call}&NetworkInterfaceId={{}}&PrivateIpAddress.1={FREE}"
    release = claim.replace("Assign", "Unassign").format(enis[PROXIES[0]])
    assert "UnauthorizedOperation" in answer(claim.format(enis[PROXIES[1]]))
    assert "UnauthorizedOperation" in answer("Action=DescribeInstances&Version=2016-11-15")
    assert "UnauthorizedOperation" in answer(release)
    assert f"<privateIpAddress>{FREE}</privateIpAddress>" in answer(claim.format(enis[PROXIES[0]]))
    ec2: Any = boto3.client("ec2", **client_options(pair.status()))  # type: ignore[call-overload]
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=enis[PROXIES[0]], PrivateIpAddresses=[FREE])


def test_a_switch_is_one_command(pair: LabUnderTest) -> None:
    active, standby = well(pair)
    with kept_connections(pair):
        done = ops(pair, "switch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{standby} is active instead of {active}, after ")
    assert well(pair) == (standby, active)


def test_a_standby_without_conntrackd_alarms_and_gets_the_whole_table_when_it_is_back(
    pair: LabUnderTest,
) -> None:
    _, standby = well(pair)

    def knows_all() -> bool:
        return int(pair.succeed(standby, KNOWN)) >= CONNECTIONS

    with kept_connections(pair):
        wait_until("all are known", knows_all)
        pair.succeed(standby, f"systemctl stop {SYNC}; {FORGET}")
        wait_until("it alarms", lambda: "are not synchronised" in pair.succeed(standby, ALARMS))
        assert "not synchronised" in pair.fail(standby, "/opt/causeway/pair ready")
        pair.succeed(standby, "/opt/causeway/apply sync")
        wait_until("all are known again", knows_all)
        pair.succeed(standby, f"systemctl kill -s KILL {SYNC}; {FORGET}")
        wait_until("all are known once more", knows_all)
        wait_until("nothing alarms", lambda: pair.succeed(standby, ALARMS) == "")


def test_a_killed_watcher_costs_no_connection(pair: LabUnderTest) -> None:
    active, _ = well(pair)
    with kept_connections(pair):
        pair.succeed(active, "kill -KILL $(systemctl show --value --property MainPID causeway-pair)")
        well(pair)


def test_a_datagrams_sender_looks_the_same_after_a_switch(pair: LabUnderTest) -> None:
    """To the tenant: a UDP flow is the port that it comes from, and nobody would tell it of another one."""
    active, standby = well(pair)
    with kept_connections(pair):
        flow = SEEN_BY_USER % int(pair.succeed(FUNC, OWN_PORT))
        before = pair.succeed(active, flow)
        assert f"dst={USER_HAVIP}" in before
        assert pair.succeed(standby, flow) == before
        assert ops(pair, "switch").returncode == 0
        well(pair)
        assert pair.succeed(standby, flow) == before


def test_another_instance_type_stops_one_proxy_at_a_time_and_costs_no_connection(pair: LabUnderTest) -> None:
    """Each steps aside before its turn, and is back with every connection before the other one's."""
    well(pair)
    with kept_connections(pair):
        done = pair.up(*PAIR, "--config", "proxy.instance_type=c6in.xlarge")
        assert {("update", f"{proxy}-instance") for proxy in PROXIES} <= changed(done)
        for proxy in PROXIES:
            pair.forget(proxy)
        active, standby = well(pair)
        assert_all_are_known(pair, standby, active)
    with kept_connections(pair):
        pair.up(*PAIR)
    for proxy in PROXIES:
        pair.forget(proxy)


def test_a_proxy_that_is_made_anew_costs_no_connection(pair: LabUnderTest) -> None:
    """The active one: its turn begins with a switch, and it ends with the whole table of the other one."""
    active, standby = well(pair)
    with kept_connections(pair):
        done = pair.up(*PAIR, "--replace", active)
        assert f"{active}-instance" in {name for _, name in changed(done)}
        pair.forget(active)
        assert well(pair) == (standby, active)
        assert_all_are_known(pair, active, standby)
        assert ops(pair, "switch").returncode == 0


@pytest.fixture
def own_way(pair: LabUnderTest) -> Iterator[None]:
    """An endpoint that no stack has made, and names for it on the proxies, where an operator would have DNS."""
    ec2: Any = boto3.client("ec2", **client_options(pair.status()))  # type: ignore[call-overload]
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["192.168.4.0/24"]}])[
        "Subnets"
    ]
    (other,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    group = ec2.create_security_group(
        GroupName="operators-endpoint", Description="not of the stack", VpcId=subnet["VpcId"]
    )["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp=subnet["CidrBlock"]
    )
    made = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=subnet["VpcId"],
        ServiceName=other["ServiceName"],
        SubnetIds=[subnet["SubnetId"]],
        SubnetConfigurations=[{"SubnetId": subnet["SubnetId"], "Ipv4": OWN_ENDPOINT}],
        SecurityGroupIds=[group],
        PrivateDnsEnabled=False,
    )["VpcEndpoint"]["VpcEndpointId"]
    for proxy in PROXIES:
        pair.succeed(proxy, f"echo '{OWN_ENDPOINT} ec2.us-east-1.amazonaws.com' >>/etc/hosts")
    yield
    for proxy in PROXIES:
        pair.succeed(proxy, f"sed -i '/^{OWN_ENDPOINT} /d' /etc/hosts")
    ec2.delete_vpc_endpoints(VpcEndpointIds=[made])
    ec2.delete_security_group(GroupId=group)
    pair.up(*PAIR)


def test_the_api_may_be_reached_by_a_way_of_the_operators(pair: LabUnderTest, own_way: None) -> None:
    del own_way
    well(pair)
    with kept_connections(pair):
        pair.up(*PAIR, "--config", "api={way: own, scheme: http}")
        before = well(pair)
        assert ops(pair, "switch").returncode == 0
        assert well(pair) == before[::-1]


def test_to_ipip_and_back_no_func_host_pauses_longer_than_stated(pair: LabUnderTest) -> None:
    """Hosts are told one after the other, so that the last one's connections wait longest."""
    hosts = (*PAIR, "--config", "func_hosts.count=3")
    pair.up(*hosts)
    for kind in ("ipip", "gre"):
        with (
            kept_connections(pair, longest_s=PAUSE_S),
            kept_connections(pair, longest_s=PAUSE_S, host="func-2"),
        ):
            pair.up(*hosts, "--config", f"tunnel={kind}")
    pair.up(*PAIR)


@pytest.mark.parametrize(
    "change", ["tenants[0].user_eni_address=172.16.101.20", "api.endpoint_address=192.168.4.210"]
)
def test_what_a_pair_needs_to_take_over_is_changed_in_a_proxys_turn(pair: LabUnderTest, change: str) -> None:
    """Until then it has the old ENI, the right to claim for it, and the API at the old address; nobody notices."""
    well(pair)
    with kept_connections(pair, longest_s=UNNOTICED_S):
        said = pair.command("up", *PAIR, "--config", change).stderr
    assert HEAD not in said
    pair.up(*PAIR)
    well(pair)


def test_another_havip_pauses_connections_as_the_preview_says_and_cuts_none(pair: LabUnderTest) -> None:
    with kept_connections(pair, longest_s=PAUSE_S):
        said = pair.command("up", *PAIR, "--config", "proxy.havip=192.168.4.110").stderr
    assert HEAD in said
    assert "those of pair 0 pause" in said
    pair.up(*PAIR)
    well(pair)


def test_from_pair_to_single_and_back_no_connection_is_lost(pair: LabUnderTest) -> None:
    """From the worse side: proxy-1, which goes, is active. The last test, because another pair is left behind."""
    if well(pair)[0] != PROXIES[1]:
        assert ops(pair, "switch").returncode == 0
    assert well(pair)[0] == PROXIES[1]
    with kept_connections(pair):
        pair.up(*SINGLE)
    pair.forget(PROXIES[1])
    assert PROXIES[1] not in {host["name"] for host in pair.status()["hosts"]}
    assert USER_HAVIP not in pair.succeed(FUNC, HTTP)
    units = pair.succeed(PROXIES[0], "systemctl list-units --all --plain --no-legend 'causeway-*'")
    assert [line.split()[0] for line in units.splitlines() if " running " in line] == []
    assert "causeway_pair" not in pair.succeed(PROXIES[0], "nft list tables")
    with kept_connections(pair):
        pair.up(*PAIR)
    assert well(pair) == PROXIES
    assert USER_HAVIP in pair.succeed(FUNC, HTTP)
