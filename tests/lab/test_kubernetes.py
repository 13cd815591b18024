"""A pod on a func host, behind the rules that ip-masq-agent writes from the configuration that is printed.

The agent itself is an image of a registry. What it does once a minute is told by its manual: a chain of iptables that
leaves ranges alone, and masquerades the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest
import yaml

from tests.lab.conftest import LabUnderTest
from tests.lab.containers import probe
from tests.lab.debian_packages import install
from tests.lab.pair_lab import ops, ops_status

pytestmark = pytest.mark.lab

FUNC, INSIDE = "func-0", "ip netns exec pod "
POD_CIDR, GATEWAY, POD = "10.244.0.0/16", "10.244.0.1", "10.244.0.5"
USER, PROXY_ADDRESS = "172.16.101.4:8080", "192.168.4.4"
AGENTS_DEFAULT = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
# As a CNI plugin of a cluster does it: a bridge for all pods of the node.
A_POD = f"""set -e
sysctl -n net.ipv4.ip_forward >/run/ip_forward.before
sysctl -qw net.ipv4.ip_forward=1
ip link add cni0 up type bridge
ip addr add {GATEWAY}/16 dev cni0
ip netns add pod
ip link add pod0 type veth peer name eth0 netns pod
ip link set pod0 master cni0 up
ip -n pod addr add {POD}/16 dev eth0
ip -n pod link set eth0 up
ip -n pod route add default via {GATEWAY}
"""
NO_POD = """ip netns del pod; ip link del cni0; iptables-restore </run/iptables.before
sysctl -qw net.ipv4.ip_forward="$(cat /run/ip_forward.before)"
"""


def write_rules(lab: LabUnderTest, left_alone: Sequence[str]) -> None:
    """The agent's chain, whole, each time."""
    lines = [
        "*nat",
        ":IP-MASQ-AGENT - [0:0]",
        "-F POSTROUTING",
        "-A POSTROUTING -m addrtype ! --dst-type LOCAL -j IP-MASQ-AGENT",
        *(f"-A IP-MASQ-AGENT -d {cidr} -j RETURN" for cidr in ("169.254.0.0/16", *left_alone)),
        "-A IP-MASQ-AGENT -j MASQUERADE --random-fully",
        "COMMIT\n",
    ]
    lab.succeed(FUNC, "iptables-restore --noflush", stdin="\n".join(lines).encode())


@pytest.fixture(scope="module")
def cluster(lab: LabUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """The reference network with a pod on its func host."""
    if lab.exec(FUNC, ["command -v iptables"]).returncode != 0:
        install(lab, FUNC, tmp_path_factory.mktemp("apt"), "iptables")
    lab.succeed(FUNC, "iptables-save >/run/iptables.before")
    try:
        lab.up("--config", f"func_hosts.pod_cidr={POD_CIDR}")
        lab.succeed(FUNC, A_POD)
        yield lab
    finally:
        lab.succeed(FUNC, NO_POD)
        lab.up()


def left_alone(lab: LabUnderTest) -> list[str]:
    """By the ConfigMap that is printed."""
    printed = ops(lab, "containers", "kubernetes")
    assert printed.returncode == 0, printed.stderr
    config_map, _daemon_set = yaml.safe_load_all(printed.stdout)
    told: list[str] = yaml.safe_load(config_map["data"]["config"])["nonMasqueradeCIDRs"]
    return told


def user_says(lab: LabUnderTest) -> str | None:
    """What a tenant's service says to the pod."""
    return probe(lab, FUNC, INSIDE, {"user": USER})["user"]


def test_a_pod_reaches_a_tenant_with_what_is_printed(cluster: LabUnderTest) -> None:
    write_rules(cluster, left_alone(cluster))
    said = user_says(cluster)
    assert said is not None
    assert json.loads(said.split("\r\n\r\n")[1])["client"] == "172.16.101.10"  # the user ENI
    cluster.succeed(FUNC, "/opt/causeway/apply --check")


def test_the_agents_defaults_would_keep_it_from_that_and_status_counts_why(cluster: LabUnderTest) -> None:
    def dropped() -> int:
        count: int = ops_status(cluster)["hosts"][FUNC]["dropped"]["causeway_tunnel"]
        return count

    before = dropped()
    write_rules(cluster, AGENTS_DEFAULT)
    assert user_says(cluster) is None
    assert dropped() > before


# Says what leaves the host; the pod sends until somebody has heard it.
TO_PLATFORM = f"""
{INSIDE}bash -c 'while :; do echo >/dev/udp/{PROXY_ADDRESS}/4000; sleep 0.3; done' & sender=$!
timeout 20 tcpdump -lni eth0 -c 1 'udp port 4000'
kill $sender
"""


def test_pods_keep_their_address_on_the_platform(cluster: LabUnderTest) -> None:
    """Or its hosts would not know whose a packet is."""
    write_rules(cluster, left_alone(cluster))
    assert f"IP {POD}." in cluster.succeed(FUNC, TO_PLATFORM)
