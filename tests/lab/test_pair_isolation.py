"""What a container, a func host and a tenant's own instance reach of a pair, whose addresses move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.forged_packets import COPIES, FORGE
from tests.lab.conftest import PAIR, LabUnderTest, wait_until
from tests.lab.containers import Container, probe
from tests.lab.counters import dropped
from tests.lab.open_groups import everything_leaves, groups_let_everything_pass
from tests.lab.pair_lab import PROXIES, well

pytestmark = pytest.mark.lab

FUNC, USER = "func-0", "user-alpha"
USER_ADDRESS, USER_HAVIP = "172.16.101.4", "172.16.101.100"
PLATFORM_HAVIP = "192.168.4.100"
ADDRESSES = {
    "a proxy": "192.168.4.4",
    "the other proxy": "192.168.4.5",
    "the HaVip": PLATFORM_HAVIP,
    "a proxy in the user subnet": "172.16.101.10",
    "the other proxy in the user subnet": "172.16.101.11",
    "the HaVip in the user subnet": USER_HAVIP,
    "the pair in the overlay": "10.0.0.4",
    "a sync link": "169.254.254.1",
    "the other end of it": "169.254.254.2",
    "the API": "192.168.4.200",
}
PINGS = {f"{name}, icmp/:0" for name in ADDRESSES if name.endswith("in the user subnet")}
# SSH, the API, conntrackd and a pair's own words, ping.
ASKED = ("{}:22", "{}:80", "udp/{}:3780", "udp/{}:9", "icmp/{}:0")


@pytest.fixture(scope="module")
def container(pair: LabUnderTest) -> Iterator[Container]:
    """Of alpha's, on the func host."""
    made = Container(pair, FUNC, "a0", pair.up(*PAIR)["outputs"]["tenants"]["alpha"], 5)
    yield made
    made.remove()


def answering(lab: LabUnderTest, host: str, inside: str = "") -> set[str]:
    """From which of the pair's addresses anything at all is heard, by which way."""
    asked = {
        f"{name}, {way.format('')}": way.format(address)
        for name, address in ADDRESSES.items()
        for way in ASKED
    }
    return {name for name, said in probe(lab, host, inside, asked).items() if said is not None}


def test_a_container_hears_nothing_but_its_tenants_subnet(pair: LabUnderTest, container: Container) -> None:
    """Not even where every security group lets everything pass: the func host's own filter is enough."""
    assert probe(pair, FUNC, container.inside, {"user": f"{USER_ADDRESS}:8080"})["user"]
    assert answering(pair, FUNC, container.inside) == PINGS
    with groups_let_everything_pass(pair, FUNC):
        assert {"a proxy, :22", "the other proxy, :22", "the HaVip, :22"} <= answering(pair, FUNC), (
            "the host itself"
        )
        assert answering(pair, FUNC, container.inside) == PINGS


def test_a_tenants_instance_hears_nothing_but_pings_of_a_pair(pair: LabUnderTest) -> None:
    """The proxies' filter in the tenant's namespace is enough, too."""
    with groups_let_everything_pass(pair, USER):
        assert answering(pair, USER) == PINGS


def dropped_by(lab: LabUnderTest, proxies: Sequence[str], table: str, namespace: str = "") -> int:
    """By both, where a HaVip is what was sent to: on a busy machine a pair changes sides unasked."""
    return sum(dropped(lab, proxy, table, namespace) for proxy in proxies)


@pytest.mark.parametrize("address", [USER_HAVIP, "172.16.101.10", "172.16.101.11"])
def test_what_nobody_asked_for_is_dropped_in_the_user_subnet(pair: LabUnderTest, address: str) -> None:
    """As if it answered in a connection that some function has to it, which none has."""
    well(pair)
    proxies = {"172.16.101.10": PROXIES[:1], "172.16.101.11": PROXIES[1:]}.get(address, PROXIES)
    before = dropped_by(pair, proxies, "causeway_forward", "tenant-alpha")
    forge = f"""{FORGE}
for flags, payload in ((0x10, b""), (0x14, b""), (0x18, b"evil")):
    forged = tcp("{USER_ADDRESS}", "{address}", 7007, 40000, flags, payload)
    send(ip("{USER_ADDRESS}", "{address}", 6, forged), "{address}")
"""
    with everything_leaves(pair, USER):
        pair.succeed(USER, "python3 -", stdin=forge.encode())
    wait_until(
        "it is counted",
        lambda: dropped_by(pair, proxies, "causeway_forward", "tenant-alpha") >= before + 3 * COPIES,
    )


@pytest.mark.parametrize(
    ("key", "inner"), [(2, "10.0.0.3"), (1, "10.0.0.9"), ((1 << 31) + 1, "169.254.254.2")]
)
def test_gre_that_is_not_this_func_hosts_is_dropped_at_the_havip(
    pair: LabUnderTest, key: int, inner: str
) -> None:
    """The last one: of a sync link, which only the other proxy may send."""
    well(pair)
    before = dropped_by(pair, PROXIES, "causeway_tunnel")
    forge = f"""{FORGE}
inner = ip("{inner}", "{USER_ADDRESS}", 6, tcp("{inner}", "{USER_ADDRESS}", 4000, 8080, 2))
send(ip("192.168.80.8", "{PLATFORM_HAVIP}", 47, gre({key}, inner)), "{PLATFORM_HAVIP}")
"""
    pair.succeed(FUNC, "python3 -", stdin=forge.encode())
    wait_until("it is counted", lambda: dropped_by(pair, PROXIES, "causeway_tunnel") >= before + COPIES)
