"""A function's connection reaches its tenant, and nothing else gets anywhere.

func-0 ──GRE key 1──▶ proxy-0 [namespace tenant-alpha] ──SNAT──▶ user-alpha
10.0.0.3              10.0.0.4          172.16.101.10            172.16.101.4
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.daemon.client import Client
from lab.path_check import check_paths, picture
from tests.lab.conftest import LabUnderTest, ec2_of, wait_until

pytestmark = pytest.mark.lab

FUNC, PROXY, USER = "func-0", "proxy-0", "user-alpha"
USER_ADDRESS = "172.16.101.4"
IN_TENANT = "ip netns exec tenant-alpha"
HALF_OPEN = "ss -H -t -n state syn-recv"
HTTP = f"curl --silent --show-error --fail --max-time 5 http://{USER_ADDRESS}:8080"


def user_eni_addresses(lab: LabUnderTest) -> set[str]:
    """What the API says the proxy's ENI in the user subnet has."""
    proxy = next(h for h in lab.status()["hosts"] if h["name"] == PROXY)
    return {a for eni in proxy["enis"] if eni["device_index"] == 1 for a in eni["addresses"]}


def dropped(lab: LabUnderTest) -> int:
    """Packets that the proxy's own tables dropped, all counters together."""
    ruleset = "nft -j list ruleset"
    total = 0
    for prefix in ("", IN_TENANT + " "):
        for entry in lab.json(PROXY, prefix + ruleset)["nftables"]:
            rule = json.dumps(entry.get("rule", {}))
            named = entry.get("counter", {})
            if "drop" in rule or "drop" in named.get("name", ""):
                total += named.get("packets", 0) or sum(
                    e["counter"]["packets"]
                    for e in entry.get("rule", {}).get("expr", [])
                    if isinstance(e.get("counter"), dict)
                )
    return total


@contextmanager
def broken(lab: LabUnderTest, host: str, breaking: str, mending: str) -> Iterator[None]:
    """Break something by hand, and mend it whatever happens."""
    lab.succeed(host, breaking)
    try:
        yield
    finally:
        lab.succeed(host, mending)


def test_a_function_reaches_its_tenant_from_the_user_eni(lab: LabUnderTest) -> None:
    seen = json.loads(lab.succeed(FUNC, HTTP))["client"]
    assert seen in user_eni_addresses(lab)


def test_tcp_echo_answers(lab: LabUnderTest) -> None:
    echoed = lab.succeed(FUNC, f"exec 3<>/dev/tcp/{USER_ADDRESS}/7007; echo causeway >&3; head -n 1 <&3")
    assert echoed == "causeway\n"


def test_without_nat_it_does_not(lab: LabUnderTest) -> None:
    with broken(lab, PROXY, f"{IN_TENANT} nft delete table ip causeway_nat", "/opt/causeway/apply nat"):
        lab.fail(FUNC, HTTP)
    lab.succeed(FUNC, HTTP)


def test_without_the_neighbour_it_does_not(lab: LabUnderTest) -> None:
    delete = f"{IN_TENANT} ip neigh del 10.0.0.3 dev mgre1"
    with broken(lab, PROXY, delete, "/opt/causeway/apply tunnel"):
        lab.fail(FUNC, HTTP)
    lab.succeed(FUNC, HTTP)


def test_without_the_rule_for_protocol_47_it_does_not(lab: LabUnderTest) -> None:
    ec2 = ec2_of(lab)
    rules = [
        rule
        for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]
        if rule["IpProtocol"] == "47" and not rule["IsEgress"]
    ]
    assert rules
    for rule in rules:
        ec2.revoke_security_group_ingress(
            GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
        )
    # Who got a SYN before, and could not answer, tries again for a minute. That would be tracked, and let answers in.
    lab.succeed(USER, f"{HALF_OPEN} -K")
    wait_until("nobody tries to answer", lambda: not lab.succeed(USER, HALF_OPEN), 90)
    # As on AWS a revoked rule lets a tracked flow run on, and GRE is one flow: have it forgotten.
    for host in (FUNC, PROXY):
        eni = next(h for h in lab.status()["hosts"] if h["name"] == host)["enis"][0]["id"]
        forget = "conntrack -D -p gre >/dev/null 2>&1 || true"  # there may be none
        lab.command("internet", "--", "nsenter", f"--net=/run/netns/{eni}", "sh", "-c", forget)
    try:
        lab.fail(FUNC, HTTP)
    finally:
        lab.up("--refresh")
    lab.succeed(FUNC, HTTP)


def test_the_user_instance_opens_nothing_towards_func_hosts(lab: LabUnderTest) -> None:
    targets = ("10.0.0.3", "10.0.0.4", next(iter(user_eni_addresses(lab))))
    with unguarded(lab):
        for target in targets:
            before = dropped(lab)
            lab.fail(USER, f"timeout 3 bash -c 'exec 3<>/dev/tcp/{target}/22'")
            assert dropped(lab) > before, target
    lab.succeed(FUNC, HTTP)


@contextmanager
def unguarded(lab: LabUnderTest) -> Iterator[None]:
    """What AWS keeps away by itself reaches the proxy: the user instance's group lets everything out, the subnet
    routes the overlay to the user ENI, and that checks no destination. Only the proxy's own filter is left.
    """
    ec2 = ec2_of(lab)
    enis = ec2.describe_network_interfaces()["NetworkInterfaces"]
    user = next(e for e in enis if e["PrivateIpAddress"] == USER_ADDRESS)
    proxy = next(e for e in enis if e["PrivateIpAddress"] in user_eni_addresses(lab))
    group = user["Groups"][0]["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=everything)
    eni = proxy["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": False})
    of_subnet = [{"Name": "association.subnet-id", "Values": [user["SubnetId"]]}]
    (table,) = ec2.describe_route_tables(Filters=of_subnet)["RouteTables"]
    route = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "10.0.0.0/24"}
    ec2.create_route(**route, NetworkInterfaceId=eni)
    try:
        yield
    finally:
        ec2.delete_route(**route)
        ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, SourceDestCheck={"Value": True})
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)


def test_a_foreign_source_in_the_tunnel_is_dropped_and_counted(lab: LabUnderTest) -> None:
    before = dropped(lab)
    lab.succeed(FUNC, "nft list tables >/dev/null; ip addr add 10.0.0.77/32 dev mgre1")
    tables = lab.succeed(FUNC, "nft list tables").split("\n")
    spoofing = "ping -c 3 -W 1 -I 10.0.0.77 172.16.101.4"
    try:
        lab.fail(FUNC, spoofing)  # the func host's own filter
        for table in tables:  # a func host that was taken over has none
            if "causeway" in table:
                lab.succeed(FUNC, f"nft delete {table}")
        lab.fail(FUNC, spoofing)
        assert dropped(lab) >= before + 3
    finally:
        lab.succeed(FUNC, "ip addr del 10.0.0.77/32 dev mgre1; /opt/causeway/apply")
    lab.succeed(FUNC, HTTP)


def test_the_mtu_is_right_on_each_device(lab: LabUnderTest) -> None:
    mtus = "ip -j link show | jq -c 'map({(.ifname): .mtu}) | add | del(.lo)'"
    seen = {
        "func host": lab.json(FUNC, mtus),
        "proxy": lab.json(PROXY, mtus),
        "tenant": lab.json(PROXY, f"{IN_TENANT} {mtus}"),
        "user instance": lab.json(USER, mtus),
    }
    assert seen["func host"].items() >= {"eth0": 9001, "mgre1": 9001 - 28}.items()
    assert seen["proxy"]["eth0"] == 9001
    assert seen["tenant"].items() >= {"mgre1": 9001 - 28, "user1": 9001}.items()
    assert seen["user instance"]["eth0"] == 9001


def test_the_path_check_measures_what_is(lab: LabUnderTest) -> None:
    """And draws it as the README has it."""
    outputs = json.loads(lab.paths.outputs.read_text())
    lab.succeed(FUNC, "ip link set eth0 mtu 5000; ip link set mgre1 mtu 4000")
    try:
        (path,) = check_paths(Client(lab.paths), outputs)
    finally:
        lab.succeed(FUNC, "ip link set eth0 mtu 9001; /opt/causeway/apply tunnel")
    assert path.underlay_mtu == 5000
    assert path.mtu == {"func-0 mgre1": 4000, "proxy-0 mgre1": 9001 - 28, "proxy-0 user1": 9001}
    drawing = picture(path, outputs)
    assert "MTU 4000 in 5000" in drawing
    assert "MTU 8973 → 9001" in drawing
    assert f"from {path.seen_address}" in drawing


def test_full_size_segments_pass_with_df(lab: LabUnderTest) -> None:
    size = 9001 - 28 - 28
    lab.succeed(FUNC, f"ping -c 2 -W 2 -M do -s {size} {USER_ADDRESS}")
    lab.fail(FUNC, f"ping -c 1 -W 2 -M do -s {size + 1} {USER_ADDRESS}")
    sent = lab.succeed(
        FUNC,
        "python3 - <<'PYTHON'\n"
        "import hashlib, socket, threading\n"
        f"s = socket.create_connection(('{USER_ADDRESS}', 7007), 10)\n"
        "s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER = IP_PMTUDISC_DO: DF on every packet\n"
        "total, block = 100 * 1000 * 1000, bytes(range(256)) * 256\n"
        "def send():\n"
        "    left = total\n"
        "    while left:\n"
        "        part = block[:left]; s.sendall(part); left -= len(part)\n"
        "    s.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=send).start()\n"
        "got, digest = 0, hashlib.sha256()\n"
        "while data := s.recv(1 << 20):\n"
        "    got += len(data); digest.update(data)\n"
        "want = hashlib.sha256()\n"
        "left = total\n"
        "while left:\n"
        "    part = block[:left]; want.update(part); left -= len(part)\n"
        "print(got, digest.hexdigest() == want.hexdigest(), s.getsockopt(socket.IPPROTO_TCP, 2))\n"
        "PYTHON",
    ).split()
    assert sent[:2] == ["100000000", "True"]
    assert int(sent[2]) >= 9001 - 28 - 40 - 12  # TCP_MAXSEG: nothing on the way made segments smaller
