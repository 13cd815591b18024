"""Two tenants with the same addresses, and containers of both on the same func hosts: who reaches whom.

func-0                                    proxy-0
├ a0, a2 ── cw-alpha ┐ GRE, key 1         ┌ namespace tenant-alpha ── 172.16.101.4 user-alpha
├ b0 ────── cw-beta  ┤═══════════════════▶┤
func-1               │ GRE, key 2         └ namespace tenant-beta ─── 172.16.101.4 user-beta
└ a1, b1             ┘
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from lab import ssh as lab_ssh
from lab.daemon.client import Client
from tests.forged_packets import COPIES, FORGE
from tests.lab.conftest import LabUnderTest, wait_until
from tests.lab.containers import Container, probe
from tests.lab.counters import dropped
from tests.lab.open_groups import everything_leaves, groups_let_everything_pass
from tests.lab.pair_lab import ops, ops_status, status_without_problems, twin

pytestmark = pytest.mark.lab

Json = Any
USER_ADDRESS, USER = "172.16.101.4", "172.16.101.4:8080"
TWO_TENANTS = ("--config", twin(1, "beta", 2), "--config", "func_hosts.count=2")
CONNECTIONS = 1000
REMOVED_WITHIN_S = 60  # of a tenant, as stated


@dataclass
class World:
    """The lab with both tenants, and their containers by name. `public`: proxy-0's public address."""

    lab: LabUnderTest
    outputs: Json
    containers: dict[str, Container]
    public: str

    def dropped(self, host: str, table: str, namespace: str = "") -> int:
        """What a host's counter says."""
        return dropped(self.lab, host, table, namespace)


@pytest.fixture(scope="module")
def world(lab: LabUnderTest) -> Iterator[World]:
    """Both tenants, for as long as this file's tests run."""
    containers: dict[str, Container] = {}
    try:
        outputs = lab.up(*TWO_TENANTS)["outputs"]
        for user in ("user-alpha", "user-beta"):
            lab.succeed(user, f"hostname {user}")  # by which its service says who it is
        for name, host, tenant, last in (
            ("a0", "func-0", "alpha", 5),
            ("a2", "func-0", "alpha", 6),
            ("b0", "func-0", "beta", 5),
            ("a1", "func-1", "alpha", 77),
            ("b1", "func-1", "beta", 77),
        ):
            containers[name] = Container(lab, host, name, outputs["tenants"][tenant], last)
            containers[name].serve()
        public = next(host["public_ip"] for host in lab.status()["hosts"] if host["name"] == "proxy-0")
        yield World(lab, outputs, containers, public)
    finally:
        for container in containers.values():
            container.remove()
        lab.up()
        for host in ("func-1", "user-beta"):
            lab.forget(host)


class Talk:
    """A process in a container, by its lines."""

    def __init__(self, lab: LabUnderTest, host: str, command: str) -> None:
        self._session = lab_ssh.log_in(Client(lab.paths), host)
        self._in, self._out, _ = self._session.exec_command(f"sudo {command}")
        self._out.channel.settimeout(30)

    def hear(self) -> str:
        """Its next line."""
        return str(self._out.readline())

    def say(self, line: str) -> None:
        """A line for it."""
        self._in.write(f"{line}\n")
        self._in.flush()

    def end(self) -> None:
        """It is over."""
        self._session.close()


@contextmanager
def talking(world: World, container: Container, script: str) -> Iterator[Talk]:
    """A Python script in a container, for as long as a test runs."""
    talk = Talk(world.lab, container.host, f"{container.inside}python3 -c {shlex.quote(script)}")
    try:
        yield talk
    finally:
        talk.end()


# ── the matrix ────────────────────────────────────────────────────────────────────────────────────────────────────

METADATA = "the metadata service"
TARGETS = {
    "a tenant's user instance": USER,
    "the proxy": "192.168.4.4:22",
    "the proxy in alpha's overlay": "10.0.0.4:22",
    "the proxy in beta's overlay": "10.0.1.4:22",
    "the proxy in a user subnet": "172.16.101.10:22",
    "func-0": "192.168.80.8:22",
    "func-0 as alpha's gateway": "10.88.0.1:22",
    "func-0 as beta's gateway": "10.88.1.1:22",
    "func-0 in alpha's overlay": "10.0.0.3:22",
    "func-0 in beta's overlay": "10.0.1.3:22",
    "func-1": "192.168.80.9:22",
    "func-1 in alpha's overlay": "10.0.0.5:22",
    METADATA: "169.254.169.254:80",
    "the proxy by its public address": "{public}:22",
    "a0": "10.88.0.5:8080",
    "a2": "10.88.0.6:8080",
    "b0": "10.88.1.5:8080",
    "a1": "10.88.0.77:8080",
    "b1": "10.88.1.77:8080",
}
OF_ITSELF = {name for name in TARGETS if name.startswith("func-0")}
OF_FUNC_1 = {name for name in TARGETS if name.startswith("func-1") or "gateway" in name}  # it has those, too
# Whoever is not named here reaches nothing. Each with whom it finds at the user instance's address.
REACHES: dict[str, tuple[str | None, set[str]]] = {
    "a0": ("user-alpha", {"a0", "a2"}),
    "a2": ("user-alpha", {"a0", "a2"}),
    "b0": ("user-beta", {"b0"}),
    "a1": ("user-alpha", {"a1"}),
    "b1": ("user-beta", {"b1"}),
    "func-0": (None, OF_ITSELF | {"a0", "a2", "b0", METADATA}),
    "func-1": (None, OF_FUNC_1 | {"a1", "b1", METADATA}),
    "proxy-0": (None, {"the proxy", METADATA}),
}
# A host answers pings of who is next to it; a proxy's leg is in the tenant's subnet.
ALSO_BY_PING: dict[str, set[str]] = {
    "a0": {"func-0 as alpha's gateway", "the proxy in a user subnet"},
    "a2": {"func-0 as alpha's gateway", "the proxy in a user subnet"},
    "b0": {"func-0 as beta's gateway", "the proxy in a user subnet"},
    "a1": {"func-0 as alpha's gateway", "the proxy in a user subnet"},  # func-1 has the same address there
    "b1": {"func-0 as beta's gateway", "the proxy in a user subnet"},
    "func-0": {"the proxy in alpha's overlay", "the proxy in beta's overlay"},
    "func-1": {"the proxy in alpha's overlay", "the proxy in beta's overlay"},
    "proxy-0": set(),
}
USER_UDP_PORT, CLOSED_UDP_PORT = 7007, 9


def heard(world: World, source: str) -> dict[str, dict[str, str | None]]:
    """From every target, by TCP, UDP and ping."""
    container = world.containers.get(source)
    host, inside = (container.host, container.inside) if container else (source, "")
    asked: dict[str, str] = {}
    for n, target in enumerate(one.format(public=world.public) for one in TARGETS.values()):
        address = target.partition(":")[0]
        udp_port = USER_UDP_PORT if target == USER else CLOSED_UDP_PORT
        asked |= {
            f"tcp-{n}": target,
            f"udp-{n}": f"udp/{address}:{udp_port}",
            f"icmp-{n}": f"icmp/{address}:0",
        }
    answers = probe(world.lab, host, inside, asked)
    return {
        protocol: {name: answers[f"{protocol}-{n}"] for n, name in enumerate(TARGETS)}
        for protocol in ("tcp", "udp", "icmp")
    }


def only_the_intended_answer(source: str, said: dict[str, dict[str, str | None]]) -> None:
    """Of all that a source has heard."""
    user, others = REACHES[source]
    expected = {"a tenant's user instance", *others} if user else others
    at_user = said["tcp"]["a tenant's user instance"]
    assert (json.loads(at_user.split("\r\n\r\n")[1])["host"] if at_user else None) == user
    assert {name for name, answer in said["tcp"].items() if answer is not None} == expected
    for name in others & {"a0", "a1", "a2", "b0", "b1"}:
        assert said["tcp"][name] == f"{name}\n"
    # That it answers pings, or says which ports are closed, nobody promises.
    elsewhere = others & {METADATA}
    for protocol, more in (("udp", set()), ("icmp", ALSO_BY_PING[source])):
        answered = {name for name, answer in said[protocol].items() if answer is not None}
        assert answered - elsewhere == (expected | more) - elsewhere, protocol


@pytest.mark.parametrize("source", REACHES)
def test_exactly_the_intended_connect(world: World, source: str) -> None:
    only_the_intended_answer(source, heard(world, source))


@pytest.mark.parametrize("source", ["a0", "b0"])
def test_a_hosts_own_filter_is_enough_for_that(world: World, source: str) -> None:
    with groups_let_everything_pass(world.lab, "func-0"):
        at_all = probe(world.lab, "func-0", "", {"proxy": "192.168.4.4:22", "public": f"{world.public}:22"})
        assert None not in at_all.values(), "a host's own processes are let through"
        said = heard(world, source)
    only_the_intended_answer(source, said)


@pytest.mark.parametrize(("source", "user"), [("10.0.0.3", "user-alpha"), ("10.0.1.3", "user-beta")])
def test_a_func_hosts_own_process_says_whose_by_its_source(world: World, source: str, user: str) -> None:
    curl = f"curl --silent --fail --max-time 5 --interface {source} http://{USER}"
    assert json.loads(world.lab.succeed("func-0", curl))["host"] == user


def test_what_was_kept_away_is_counted_and_shown(world: World) -> None:
    before = world.dropped("func-0", "causeway_container")
    probe(world.lab, "func-0", world.containers["a0"].inside, {"host": "10.88.0.1:22"})
    assert ops_status(world.lab)["hosts"]["func-0"]["dropped"]["causeway_container"] > before


# ── pretending ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_source_of_another_tenants_container(world: World) -> None:
    b0, lab = world.containers["b0"], world.lab
    lab.succeed("func-0", "ip -n b0 addr add 10.88.0.5/32 dev eth0")
    try:
        before = world.dropped("func-0", "causeway_container")
        answers = probe(lab, "func-0", b0.inside, {"user": f"{USER}@10.88.0.5"})
        assert answers == {"user": None}
        assert world.dropped("func-0", "causeway_container") > before
    finally:
        lab.succeed("func-0", "ip -n b0 addr del 10.88.0.5/32 dev eth0")


UNKNOWN_KEY = 7


@pytest.mark.parametrize(
    ("key", "inner"), [(2, "10.0.0.3"), (1, "10.0.1.3"), (2, "10.0.1.5"), (UNKNOWN_KEY, "10.0.0.3")]
)
def test_a_crafted_key_or_inner_source(world: World, key: int, inner: str) -> None:
    """From a func host itself: tenant, func host and key have to belong together. (10.0.1.5 is func-1's.)"""
    before = world.dropped("proxy-0", "causeway_tunnel")
    forge = f"""{FORGE}
inner = ip("{inner}", "{USER_ADDRESS}", 6, tcp("{inner}", "{USER_ADDRESS}", 4000, 8080, 2))
send(ip("192.168.80.8", "192.168.4.4", 47, gre({key}, inner)), "192.168.4.4")
"""
    world.lab.succeed("func-0", "python3 -", stdin=forge.encode())
    wait_until("it is counted", lambda: world.dropped("proxy-0", "causeway_tunnel") >= before + COPIES)
    if key == UNKNOWN_KEY:  # the last: how it is shown is the same for all
        assert ops_status(world.lab)["hosts"]["proxy-0"]["dropped"]["causeway_tunnel"] >= before + COPIES


def test_a_container_that_says_to_be_its_gateway(world: World) -> None:
    before = world.dropped("func-0", "causeway_container")
    a0 = world.containers["a0"]
    forge = f"""{FORGE}
send(ip("10.88.0.1", "{USER_ADDRESS}", 6, tcp("10.88.0.1", "{USER_ADDRESS}", 4000, 8080, 2)), "{USER_ADDRESS}")
"""
    world.lab.succeed(a0.host, f"{a0.inside}python3 -", stdin=forge.encode())
    wait_until("it is counted", lambda: world.dropped("func-0", "causeway_container") >= before + COPIES)


def test_a_func_host_does_not_shorten_what_others_are_sent(world: World) -> None:
    """It says that what proxy-0 sends to func-1 is too long, as a router would."""
    before = world.dropped("proxy-0", "causeway_input")
    forge = f"""{FORGE}
said = ip("192.168.4.4", "192.168.80.9", 47, gre(1, b""))
send(ip("192.168.80.8", "192.168.4.4", 1, frag_needed(said, 552)), "192.168.4.4")
"""
    with groups_let_everything_pass(world.lab, "func-0"):
        world.lab.succeed("func-0", "python3 -", stdin=forge.encode())
    wait_until("it is counted", lambda: world.dropped("proxy-0", "causeway_input") >= before + COPIES)
    assert "mtu" not in world.lab.succeed("proxy-0", "ip route get 192.168.80.9")


def test_a_func_host_does_not_shorten_what_a_namespace_sends_to_another_by_the_tunnel(world: World) -> None:
    """It may send by the tunnel, with a source of its own, what quotes a packet to any func host."""
    before = world.dropped("proxy-0", "causeway_forward", "tenant-alpha")
    forge = f"""{FORGE}
said = ip("10.0.0.4", "10.0.0.5", 1, bytes([0, 0, 255, 255, 0, 0, 0, 0]))
send(ip("10.0.0.3", "10.0.0.4", 1, frag_needed(said, 500)), "10.0.0.4")
"""
    world.lab.succeed("func-0", "python3 -", stdin=forge.encode())
    wait_until(
        "it is counted",
        lambda: world.dropped("proxy-0", "causeway_forward", "tenant-alpha") >= before + COPIES,
    )
    told = world.lab.succeed("proxy-0", "ip -n tenant-alpha route get 10.0.0.5")
    assert "mtu lock" not in told, "as the kernel does with less than it believes, 552"


def test_gre_from_a_container(world: World) -> None:
    """It has no way to a proxy, with its own address or with the host's."""
    forge = f"""{FORGE}
inner = ip("10.0.1.3", "{USER_ADDRESS}", 6, tcp("10.0.1.3", "{USER_ADDRESS}", 4000, 8080, 2))
for source in ("10.88.0.5", "192.168.80.8"):
    send(ip(source, "192.168.4.4", 47, gre(2, inner)), "192.168.4.4")
"""
    before = world.dropped("func-0", "causeway_container")
    on_proxy = world.dropped("proxy-0", "causeway_tunnel")
    a0 = world.containers["a0"]
    world.lab.succeed(a0.host, f"{a0.inside}python3 -", stdin=forge.encode())
    wait_until("it is counted", lambda: world.dropped("func-0", "causeway_container") >= before + 2 * COPIES)
    assert world.dropped("proxy-0", "causeway_tunnel") == on_proxy


# Says a line, and another one when told to.
TALK = """
import socket, sys
with socket.create_connection(("172.16.101.4", 7007), 10) as far:
    for word in ("one", "two"):
        far.sendall(word.encode())
        print(far.recv(100).decode(), far.getsockname()[1], flush=True)
        sys.stdin.readline()
"""


def test_a_user_instance_that_answers_in_another_tenants_connection(world: World) -> None:
    """The addresses and ports of a connection that alpha has open: in beta's namespace nobody knows it."""
    a0, lab = world.containers["a0"], world.lab
    with talking(world, a0, TALK) as talk:
        assert talk.hear().split()[0] == "one"
        listed = lab.succeed(
            "proxy-0", "ip netns exec tenant-alpha conntrack -L -p tcp --dport 7007 2>/dev/null"
        )
        port = listed.split("dport=")[-1].split()[0]
        before = world.dropped("proxy-0", "causeway_forward", "tenant-beta")
        forge = f"""{FORGE}
for flags, payload in ((0x10, b""), (0x14, b""), (0x18, b"evil")):
    forged = tcp("{USER_ADDRESS}", "172.16.101.10", 7007, {port}, flags, payload)
    send(ip("{USER_ADDRESS}", "172.16.101.10", 6, forged), "172.16.101.10")
"""
        with everything_leaves(lab, "user-beta"):
            lab.succeed("user-beta", "python3 -", stdin=forge.encode())
        counted = ("proxy-0", "causeway_forward", "tenant-beta")
        wait_until("it is counted", lambda: world.dropped(*counted) >= before + 3 * COPIES)
        assert (
            ops_status(lab)["hosts"]["proxy-0"]["dropped"]["tenant-beta causeway_forward"]
            >= before + 3 * COPIES
        )
        talk.say("go on")
        assert talk.hear().split()[0] == "two"


# Opens connections until there are no more, says how many, and keeps them.
FILL = """
import socket, sys
held = []
try:
    while len(held) < 500:
        held.append(socket.create_connection(("172.16.101.4", 7007), 3))
except OSError:
    pass
print(len(held), flush=True)
sys.stdin.readline()
"""


def test_a_tenant_that_fills_its_table_of_connections_keeps_nobody_else_away(world: World) -> None:
    lab, few = world.lab, 60
    forget = "for name in alpha beta; do ip netns exec tenant-$name conntrack -F 2>/dev/null; done"
    lab.succeed("proxy-0", f"{forget}; sysctl -qw net.netfilter.nf_conntrack_max={few}")
    try:
        with talking(world, world.containers["b0"], FILL) as filling:
            assert 0 < int(filling.hear()) <= few
            said = {
                name: probe(lab, "func-0", world.containers[name].inside, {"user": USER})["user"]
                for name in ("a0", "b0")
            }
    finally:
        lab.succeed("proxy-0", f"/opt/causeway/apply forward; {forget}")
    assert said["b0"] is None
    assert said["a0"] is not None


# ── many at once ──────────────────────────────────────────────────────────────────────────────────────────────────

# Opens all, waits until everybody has done so, then asks all: who answers, and how many times.
MANY = """
import collections, errno, json, pathlib, select, socket, sys, time
count, address, own, *others = int(sys.argv[1]), *sys.argv[2:]
opened, deadline = [], time.monotonic() + 100
for first in range(0, count, 50):
    batch = []
    for _ in range(50):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((address, 8080))
        batch.append(one)
    poll = select.poll()
    for one in batch: poll.register(one, select.POLLOUT)
    waiting = {one.fileno() for one in batch}
    while waiting:
        if time.monotonic() > deadline: sys.exit(f"{len(opened)} of {count}, then no more")
        for fd, _ in poll.poll(1000):
            waiting.discard(fd)
            poll.unregister(fd)
    opened += batch
pathlib.Path(own).touch()
while not all(pathlib.Path(other).exists() for other in others):
    if time.monotonic() > deadline: sys.exit(f"{own}, and nobody else")
    time.sleep(0.1)
answers = collections.Counter()
for one in opened:
    one.setblocking(True)
    one.settimeout(30)
    one.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
for one in opened:
    said = b"".join(iter(lambda: one.recv(4096), b""))
    answers[json.loads(said.split(b"\\r\\n\\r\\n")[1])["host"]] += 1
print(json.dumps(answers))
"""


def test_a_thousand_connections_each_at_once_are_answered_by_the_right_one(world: World) -> None:
    lab = world.lab
    lab.succeed("func-0", "cat >/run/many.py", stdin=MANY.encode())
    have_opened = {name: f"/run/{name}.opened" for name in ("a0", "b0")}
    both = "".join(
        f"(ulimit -n 4096; ip netns exec {name} python3 /run/many.py {CONNECTIONS} {USER_ADDRESS} {own} "
        f"{' '.join(have_opened.values())} >/run/{name}.many) & "
        for name, own in have_opened.items()
    )
    lab.succeed("func-0", f"rm -f {' '.join(have_opened.values())}; {both} wait")
    assert json.loads(lab.succeed("func-0", "cat /run/a0.many")) == {"user-alpha": CONNECTIONS}
    assert json.loads(lab.succeed("func-0", "cat /run/b0.many")) == {"user-beta": CONNECTIONS}


# ── coming and going ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_container_by_cni_gets_its_way_and_changes_nothing_but_itself(world: World) -> None:
    """The plugins of Debian, with what `ops containers cni` prints; no call of the API, nothing new on a proxy."""
    lab = world.lab
    printed = ops(lab, "containers", "cni", "beta")
    assert printed.returncode == 0, printed.stderr
    conflist = json.loads(printed.stdout)
    (plugin,) = conflist["plugins"]
    conf = json.dumps({"cniVersion": conflist["cniVersion"], "name": conflist["name"], **plugin})
    plugin_env = (
        "CNI_CONTAINERID=fresh CNI_NETNS=/run/netns/fresh CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni CNI_COMMAND={} "
        f"/usr/lib/cni/{plugin['type']}"
    )
    before = ways(world)
    calls = api_calls(lab)
    lab.succeed("func-0", "ip netns add fresh; ip -n fresh link set lo up")
    try:
        lab.succeed("func-0", plugin_env.format("ADD"), stdin=conf.encode())
        (answer,) = probe(lab, "func-0", "ip netns exec fresh ", {"user": USER}).values()
        assert answer
        assert "user-beta" in answer
        assert ways(world) == before
        assert api_calls(lab) == calls
    finally:
        lab.succeed("func-0", plugin_env.format("DEL"), stdin=conf.encode())
        lab.succeed("func-0", "ip netns del fresh")


WAYS = (
    "ip rule; ip -4 route show table all; nft -s list ruleset; ip -d link show type gre; "
    "ip neigh show nud permanent; sysctl net.ipv4.ip_forward"
)


def ways(world: World) -> dict[str, str]:
    """Everything on hosts by which a packet finds its way."""
    inside = f"for at in /run/netns/tenant-*; do nsenter --net=$at bash -c '{WAYS}'; done"
    return {
        "func-0": world.lab.succeed("func-0", WAYS),
        "proxy-0": world.lab.succeed("proxy-0", f"{WAYS}; {inside}"),
    }


def api_calls(lab: LabUnderTest) -> Json:
    """What the lab's EC2 was asked so far, and how often."""
    calls = lab.status()["api_calls"]
    assert calls["ec2:RunInstances"] > 0
    return calls


def test_status_names_a_bridge_that_is_gone_and_apply_mends_it(world: World) -> None:
    lab = world.lab
    lab.succeed("func-1", "ip link del cw-beta; nft flush ruleset")
    try:
        said = {problem["text"] for problem in ops_status(lab)["problems"] if problem["subject"] == "func-1"}
        assert any(text.startswith("container is not as it was applied") for text in said), said
        assert any("tunnel" in text for text in said), said
    finally:
        mended = ops(lab, "apply", "func-1")
    assert mended.returncode == 0, mended.stderr
    status_without_problems(lab)
    lab.succeed("func-1", "ip link set b1 master cw-beta")
    (answer,) = probe(lab, "func-1", world.containers["b1"].inside, {"user": USER}).values()
    assert answer is not None


def test_a_tenant_that_goes_leaves_the_others_connections_alone(world: World) -> None:
    lab = world.lab
    with talking(world, world.containers["a0"], TALK) as talk:
        assert talk.hear().split()[0] == "one"
        for name in ("b0", "b1"):
            world.containers.pop(name).remove()
        began = time.monotonic()
        lab.up("--config", "func_hosts.count=2")
        assert time.monotonic() - began < REMOVED_WITHIN_S
        talk.say("go on")
        assert talk.hear().split()[0] == "two"
    left = "ip -br link; ip rule; ip route show table all; nft list ruleset; ip netns"
    for host in ("func-0", "func-1", "proxy-0"):
        shown = lab.succeed(host, left)
        assert not {word for word in ("beta", "mgre2", "201000002", "10.0.1.") if word in shown}
    assert "beta" not in json.dumps(lab.status())
    assert json.loads(lab.succeed("func-0", f"curl -s --max-time 5 http://{USER}"))["host"] == "user-alpha"
