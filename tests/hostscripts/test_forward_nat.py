"""What a tenant's namespace lets through, and with which source: on a real kernel."""

from __future__ import annotations

import sys

import pytest

from tests.hostscripts.sandbox import Sandbox
from tests.hostscripts.tenant_network import (
    FORWARD,
    NAT,
    TUNNEL,
    UDP_SERVER,
    UDP_TALKER,
    USER_ENI,
    client_seen,
    dropped,
    nic_is_plugged,
    no_way,
    path_is_built,
    tenants,
)
from tests.hostscripts.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(shared_sandbox: Sandbox) -> Sandbox:
    """The whole path, up. A test that changes it proves that it is as before."""
    path_is_built(shared_sandbox)
    return shared_sandbox


@pytest.fixture
def own_path(sandbox: Sandbox) -> Sandbox:
    """The whole path, up, for a test that leaves it changed."""
    path_is_built(sandbox)
    return sandbox


def test_a_func_host_reaches_the_tenant_from_the_user_eni(path: Sandbox) -> None:
    assert client_seen(path) == "172.16.101.10"


def test_without_nat_nothing_leaves_and_it_is_counted(path: Sandbox) -> None:
    path.apply("nat", tenants())
    before = dropped(path)
    assert no_way(path, "func", "172.16.101.4")
    assert dropped(path) > before
    path.apply("nat", tenants(NAT))
    assert client_seen(path) == "172.16.101.10"


def test_nothing_leaves_with_an_address_of_somebody_else_and_it_is_counted(own_path: Sandbox) -> None:
    """As a connection would that conntrack was told by another proxy."""
    own_path.apply("nat", tenants(NAT | {"snat_to": "172.16.101.77"}))
    before = dropped(own_path)
    assert no_way(own_path, "func", "172.16.101.4")
    assert dropped(own_path) > before
    own_path.run("ip -n tenant-alpha addr add 172.16.101.77/32 dev user1")
    assert client_seen(own_path) == "172.16.101.77"


@pytest.fixture
def talking(sandbox: Sandbox) -> Sandbox:
    """No nat and no forward yet, and a func host that already sends, without a pause, to one that would answer."""
    nic_is_plugged(sandbox)
    sandbox.apply("user_eni", tenants(USER_ENI))
    sandbox.run(TUNNEL)
    sandbox.start([sys.executable, "-c", UDP_SERVER], "user")
    return sandbox


def test_who_talks_all_the_while_is_translated_from_the_first_packet_on(talking: Sandbox) -> None:
    talker = talking.start([sys.executable, "-c", UDP_TALKER, "172.16.101.4"], "func")
    talking.state("nat", tenants(NAT))
    talking.state("forward", tenants(FORWARD))
    talking.run(["/run/root/opt/causeway/apply"])
    assert talker.stdout
    assert talker.stdout.readline() == "172.16.101.10\n"


def test_who_talked_while_nat_was_missing_is_translated_once_it_is_there(talking: Sandbox) -> None:
    talker = talking.start([sys.executable, "-c", UDP_TALKER, "172.16.101.4"], "func")
    talking.apply("forward", tenants(FORWARD))
    wait_until("packets are dropped", lambda: dropped(talking) > 0)
    talking.apply("nat", tenants(NAT))
    assert talker.stdout
    assert talker.stdout.readline() == "172.16.101.10\n"


def test_without_forward_there_is_no_way(own_path: Sandbox) -> None:
    own_path.apply("forward", tenants())
    assert no_way(own_path, "func", "172.16.101.4")


@pytest.mark.parametrize(
    ("namespace", "to", "source"),
    [
        pytest.param("func", "172.16.101.5", "", id="to another address than the tenant's"),
        pytest.param("func", "172.16.101.4", "10.9.9.9", id="from outside the overlay"),
        pytest.param("func", "10.0.0.4", "", id="to the namespace itself"),
        pytest.param("user", "10.0.0.3", "", id="from the tenant to a func host"),
        pytest.param("user", "10.0.0.4", "", id="from the tenant to the namespace's overlay address"),
        pytest.param("user", "172.16.101.10", "", id="from the tenant to the user ENI"),
    ],
)
def test_everything_else_is_dropped_and_counted(path: Sandbox, namespace: str, to: str, source: str) -> None:
    before = dropped(path)
    assert no_way(path, namespace, to, source)
    assert dropped(path) > before


def test_applying_again_changes_nothing_and_keeps_the_counters(path: Sandbox) -> None:
    assert no_way(path, "user", "10.0.0.3")
    before = dropped(path)
    assert before > 0
    assert path.apply("forward", tenants(FORWARD)) == ["unchanged"]
    assert path.apply("nat", tenants(NAT)) == ["unchanged"]
    assert dropped(path) == before


TALKING = """
import socket, sys
talk = socket.create_connection((sys.argv[1], 8080), 2)
talk.settimeout(1)
lines = talk.makefile("rw")
print(lines.readline().strip(), flush=True)
for word in sys.stdin:
    lines.write(word); lines.flush()
    print(lines.readline().strip(), flush=True)
"""


class Talk:
    """A connection from the func host that stays open."""

    def __init__(self, path: Sandbox, to: str = "172.16.101.4") -> None:
        self._client = path.start([sys.executable, "-c", TALKING, to], "func")
        assert self._client.stdout
        assert self._client.stdout.readline() == "172.16.101.10\n"

    def goes_on(self, word: str = "still there?") -> bool:
        """Whether the other end echoes. If it does not, the client has given up."""
        assert self._client.stdin
        assert self._client.stdout
        print(word, file=self._client.stdin, flush=True)
        return self._client.stdout.readline() == f"{word}\n"


def test_a_connection_outlives_every_kind_of_applying(path: Sandbox) -> None:
    talk = Talk(path)
    path.apply("forward", tenants(FORWARD))
    assert talk.goes_on("unchanged")
    path.apply("forward", tenants(FORWARD | {"destinations": ["172.16.101.0/24"]}))
    path.apply("nat", tenants(NAT | {"overlay": "10.0.0.0/16"}))
    assert talk.goes_on("replaced")
    path.run("nft flush ruleset", "tenant-alpha")
    path.apply("nat", tenants(NAT))
    path.apply("forward", tenants(FORWARD))
    assert talk.goes_on("mended")


def test_a_destination_that_is_gone_takes_its_connections_along(path: Sandbox) -> None:
    both = FORWARD | {"destinations": ["172.16.101.4/32", "172.16.101.5/32"]}
    path.apply("forward", tenants(both))
    stays, goes = Talk(path, "172.16.101.4"), Talk(path, "172.16.101.5")
    path.apply("forward", tenants(FORWARD))
    before = dropped(path)
    assert stays.goes_on()
    assert not goes.goes_on()
    assert dropped(path) > before
    assert stays.goes_on()


def test_what_a_destination_that_is_gone_sends_by_itself_ends_too(own_path: Sandbox) -> None:
    own_path.start([sys.executable, "-c", UDP_STREAM], "user")
    own_path.run(SPY_ON_STREAM, "func")
    wait_until("the server is asked", lambda: own_path.run(ASK_FOR_STREAM, "func", ok=None))

    def comes() -> int:
        found = own_path.json("nft -j list counter ip spy stream", "func")
        return int(found["nftables"][1]["counter"]["packets"])

    wait_until("it sends", lambda: comes() > 10)
    own_path.apply("forward", tenants(FORWARD | {"destinations": ["172.16.101.5/32"]}))
    before, dropped_before = comes(), dropped(own_path)
    wait_until("what it sends is dropped", lambda: dropped(own_path) > dropped_before + 10)
    assert comes() == before


# Whoever asks once is sent something for ever.
UDP_STREAM = """
import socket, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 8080))
client = server.recvfrom(9000)[1]
while True:
    server.sendto(b"more", client)
    time.sleep(0.005)
"""
SPY_ON_STREAM = """
nft 'add table ip spy; add counter ip spy stream
     add chain ip spy in { type filter hook input priority 0; }
     add rule ip spy in udp sport 8080 counter name stream drop'
"""
ASK_FOR_STREAM = """
echo >/dev/udp/172.16.101.4/8080; sleep 0.1
[[ $(nft list counter ip spy stream) != *"packets 0"* ]]
"""


@pytest.mark.parametrize(
    "damage",
    [
        "nft delete table inet causeway_forward",
        "nft insert rule inet causeway_forward forward accept",
        "nft flush chain inet causeway_forward input",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        "echo 1 >/proc/sys/net/ipv4/conf/user1/rp_filter",
        "echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6",
    ],
)
def test_what_is_damaged_by_hand_is_mended(path: Sandbox, damage: str) -> None:
    path.run(damage, "tenant-alpha")
    assert path.apply("forward", tenants(FORWARD))[-1] == "changed"
    assert path.apply("forward", tenants(FORWARD)) == ["unchanged"]
    assert client_seen(path) == "172.16.101.10"
    assert no_way(path, "user", "10.0.0.3")


def test_tables_of_others_stay(own_path: Sandbox) -> None:
    own_path.run("nft add table inet theirs; nft add chain inet theirs x", "tenant-alpha")
    before = own_path.run("nft list table inet theirs", "tenant-alpha")
    own_path.apply("forward", tenants())
    own_path.apply("nat", tenants())
    tables = set(own_path.run("nft list tables", "tenant-alpha").splitlines())
    assert tables == {"table inet causeway_forward", "table inet theirs"}, "closed, and theirs"
    assert own_path.run("nft list table inet theirs", "tenant-alpha") == before


def test_a_tenants_namespace_says_nothing_by_ipv6_from_the_beginning(own_path: Sandbox) -> None:
    born = USER_ENI | {
        "name": "beta",
        "namespace": "tenant-beta",
        "device": "user2",
        "mac": "02:00:00:00:01:02",
    }
    own_path.apply("user_eni", tenants(USER_ENI, born), ok=False)  # its NIC is not there
    own_path.run("ip link add user2 type bridge && ip link set user2 up && ip link set lo up", "tenant-beta")
    for namespace in ("tenant-alpha", "tenant-beta"):
        assert own_path.run("ip -6 addr", namespace) == ""
    assert dropped(own_path) == 0, "IPv6 found its neighbours, and was counted"


def test_the_root_namespace_does_not_forward(path: Sandbox) -> None:
    path.run("echo 1 >/proc/sys/net/ipv4/ip_forward")
    assert path.apply("forward", tenants(FORWARD)) == ["sysctl net/ipv4/ip_forward=0 (was 1)", "changed"]
    assert path.run("cat /proc/sys/net/ipv4/ip_forward", "tenant-alpha") == "1\n"


MSS = """
import socket
talk = socket.create_connection(("172.16.101.4", 8080), 2)
talk.recv(1)
print(talk.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
"""


SPY = """
nft 'add table ip spy; add counter ip spy wide
     add chain ip spy in { type filter hook input priority 0; }
     add rule ip spy in tcp flags syn tcp option maxseg size > 1360 counter name wide'
"""


def test_mss_is_that_of_the_narrower_side_in_both_directions(own_path: Sandbox) -> None:
    own_path.run("ip link set mgre1 mtu 1400", "tenant-alpha")
    # The func host announces too much; the user's side must not believe it, and the other way round.
    timestamps = 12
    for namespace in ("user", "func"):
        own_path.run(SPY, namespace)
    assert int(own_path.run([sys.executable, "-c", MSS], "func")) == 1400 - 40 - timestamps
    for namespace in ("user", "func"):
        found = own_path.json("nft -j list counter ip spy wide", namespace)
        assert found["nftables"][1]["counter"]["packets"] == 0


TOO_LONG = """
import errno, socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, always
sender.connect(("172.16.101.4", 9))
sender.settimeout(2)
import time
deadline = time.monotonic() + 3
while time.monotonic() < deadline:
    try:
        sender.send(bytes(5000))
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            print(sender.getsockopt(socket.IPPROTO_IP, 14))  # IP_MTU
            break
"""


def test_path_mtu_discovery_works_through_nat(own_path: Sandbox) -> None:
    own_path.run("ip link set user1 mtu 1300", "tenant-alpha")
    assert own_path.run([sys.executable, "-c", TOO_LONG], "func") == "1300\n"


# A machine's own limit: only its first network namespace may set it, and the sandbox is another one.
LIMITS = """
for file in buckets max; do
  echo 2048 >/run/$file
  mount --bind /run/$file /proc/sys/net/netfilter/nf_conntrack_$file
done
echo 'MemTotal:  %d kB' >/run/meminfo
mount --bind /run/meminfo /proc/meminfo
"""


@pytest.mark.parametrize(
    ("kib", "count", "limit"),
    [
        (217_000, 1, 54_250 // 512 * 512),
        (217_000, 2, 27_125 // 512 * 512),
        (4_000_000, 1, 262_144),
        (9_000, 2, 2048),
    ],
)
def test_connections_have_a_quarter_of_the_memory_an_equal_part_of_it_for_each_tenant(
    sandbox: Sandbox, kib: int, count: int, limit: int
) -> None:
    path_is_built(sandbox)
    sandbox.run(LIMITS % kib)
    rows = [FORWARD, FORWARD | {"tenant": "beta", "namespace": "tenant-beta"}][:count]
    sandbox.run("ip netns add tenant-beta")
    said = sandbox.apply("forward", {"tenants": rows})
    assert [line for line in said if line.startswith("sysctl net/netfilter")] == [
        f"sysctl net/netfilter/nf_conntrack_{name}={wanted} (was 2048)"
        for name, wanted in (("buckets", count * limit), ("max", limit))
        if wanted != 2048
    ]
    assert sandbox.run("cat /run/buckets /run/max") == f"{count * limit}\n{limit}\n"
    assert sandbox.apply("forward", {"tenants": rows}) == ["unchanged"]


def test_where_the_limit_is_somebody_elses_forwarding_is_applied_all_the_same(own_path: Sandbox) -> None:
    own_path.run("! test -w /proc/sys/net/netfilter/nf_conntrack_max")
    assert own_path.apply("forward", tenants(FORWARD)) == ["unchanged"]


TWIN = """
ip netns add twin
ip -n tenant-alpha link add sync1 type veth peer name sync1 netns twin
for end in tenant-alpha:1 twin:2; do
  ip -n ${end%:*} addr add 169.254.254.${end#*:}/30 dev sync1
  ip -n ${end%:*} link set dev sync1 up
done
"""


def test_what_two_proxies_say_to_each_other_is_none_of_the_tenants_connections(own_path: Sandbox) -> None:
    """So it passes when the tenant's table is full, and a planned switch can be asked for."""
    own_path.run(TWIN)
    count = "cat /proc/sys/net/netfilter/nf_conntrack_count"
    before = int(own_path.run(count, "tenant-alpha"))
    own_path.run("echo told >/dev/udp/169.254.254.2/3780", "tenant-alpha")
    own_path.run("echo told >/dev/udp/169.254.254.1/3780", "twin")
    assert int(own_path.run(count, "tenant-alpha")) <= before
    client_seen(own_path)
    assert int(own_path.run(count, "tenant-alpha")) > before
