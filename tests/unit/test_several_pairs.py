"""Tenants on several pairs: who serves whom, that nobody is moved, and what `ops` makes of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pulumi
import pytest

from ops.errors import OpsError
from ops.outputs import Outputs, parse_outputs
from ops.status import show
from ops.status.compare import compare
from ops.status.seen import ApiEni, Seen
from tests.unit import ops_pair
from tests.unit.program import (
    COMMAND,
    LAB_PAIR,
    LAB_PAIRS,
    Configuration,
    get_second_pair,
    graph_of,
    run_stack,
)
from tests.unit.pulumi_mocks import Json

ENI = "aws:ec2/networkInterface:NetworkInterface"


def told(proxy: str, concern: str) -> str:
    """What a proxy is told."""
    text: str = graph_of(LAB_PAIRS).resources[f"{COMMAND}::{proxy}-{concern}"]["inputs"]["stdin"]
    return text


def test_each_pair_serves_its_own_tenants_and_knows_no_others() -> None:
    graph = graph_of(LAB_PAIRS)
    enis = {key.split("::")[1]: entry["inputs"]["tags"] for key, entry in graph.of_type(ENI).items()}
    assert {name: tags["causeway:tenant"] for name, tags in enis.items()} == {
        "proxy-0-user1-eni": "alpha",
        "proxy-1-user1-eni": "alpha",
        "proxy-2-user1-eni": "beta",
        "proxy-3-user1-eni": "beta",
    }
    for proxy, own, other in (("proxy-0", "alpha", "beta"), ("proxy-3", "beta", "alpha")):
        for concern in ("tunnel", "nat", "forward", "sync"):
            assert f'      "namespace": "tenant-{own}"' in told(proxy, concern)
            assert f'      "namespace": "tenant-{other}"' not in told(proxy, concern)
    assert '"192.168.4.101"' in told("func-0", "tunnel")
    assert '"192.168.4.100"' in told("func-0", "tunnel")


def test_a_second_pair_leaves_the_first_ones_resources_alone() -> None:
    before, after = graph_of(LAB_PAIR), graph_of(LAB_PAIRS)
    both = before.resources.keys() & after.resources.keys()
    changed = {key.split("::")[1] for key in both if before.resources[key] != after.resources[key]}
    assert changed == {"func-0-container", "func-0-tunnel", "func-0-routes"}
    assert before.resources.keys() <= after.resources.keys()


def run_after(per_pair: int | None) -> None:
    """The stack with two pairs, once more, with another number of tenants per pair."""

    def change(configuration: Configuration) -> None:
        configuration["causeway:proxy"]["tenants_per_pair"] = per_pair
        configuration["causeway:proxy"]["instance_type"] = "c6in.xlarge"

    run_stack(LAB_PAIRS, change=change, previous=graph_of(LAB_PAIRS).outputs)


def test_a_tenant_stays_on_its_pair_or_nothing_is_touched() -> None:
    """A larger type has more ENIs to spare, so beta would be on the first pair."""
    with pytest.raises(pulumi.RunError) as refusal:
        run_after(None)
    said = str(refusal.value)
    assert "proxy.tenants_per_pair: 3\n" in said
    assert "beta (from pair 1 slot 1 to pair 0 slot 3)" in said
    assert "→ set it to 2" in said
    run_after(2)


def test_a_tenant_stays_in_its_slot_as_outputs_from_before_there_were_slots_have_it() -> None:
    """With another number of tenants per pair, it may be on the same pair, with its ENI at another index."""

    def one_a_pair(configuration: Configuration) -> None:
        configuration["causeway:proxy"]["tenants_per_pair"] = 1
        configuration["causeway:tenants"][0]["index"] = 3

    was = graph_of(LAB_PAIR).outputs
    alpha = {key: value for key, value in was["tenants"]["alpha"].items() if key not in ("pair", "slot")}
    older = {**was, "tenants": {"alpha": {**alpha, "index": 3}}}
    with pytest.raises(pulumi.RunError, match=r"alpha \(from pair 0 slot 3 to pair 2 slot 1\)"):
        run_stack(LAB_PAIR, change=one_a_pair, previous=older)


def test_two_tenants_that_run_do_not_swap_their_indexes() -> None:
    def swap(configuration: Configuration) -> None:
        alpha, beta = configuration["causeway:tenants"]
        alpha["index"], beta["index"] = beta["index"], alpha["index"]

    with pytest.raises(pulumi.RunError) as refusal:
        run_stack(LAB_PAIRS, change=swap, previous=graph_of(LAB_PAIRS).outputs)
    said = str(refusal.value)
    assert "tenants[0].index: 3\n    alpha runs with index 1, " in said
    assert "→ leave it at 1; or remove the tenant, run up, and add it again with 3" in said
    assert "tenants[1].index: 1\n    beta runs with index 3, " in said
    assert "tenants_per_pair" not in said


def test_the_order_of_tenants_and_the_index_of_one_that_goes_are_free() -> None:
    def turn_round(configuration: Configuration) -> None:
        configuration["causeway:tenants"].reverse()

    def another_in_its_place(configuration: Configuration) -> None:
        configuration["causeway:tenants"][1]["name"] = "gamma"

    for change in (turn_round, another_in_its_place):
        run_stack(LAB_PAIRS, change=change, previous=graph_of(LAB_PAIRS).outputs)


def test_tenants_that_are_new_or_gone_may_be_anywhere() -> None:
    run_stack(LAB_PAIR, change=get_second_pair, previous=graph_of(LAB_PAIR).outputs)
    run_stack(LAB_PAIR, previous=graph_of(LAB_PAIRS).outputs)


# ── ops ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def two_pairs() -> tuple[Outputs, Seen]:
    """A healthy stack: the usual pair, and a second one of the same make whose other proxy is active."""
    data: Json = ops_pair.outputs_json()
    seen = ops_pair.healthy()
    data["schema_version"] = 3
    renamed = {"proxy-0": "proxy-2", "proxy-1": "proxy-3"}
    first = {
        "number": 0,
        "proxies": ["proxy-0", "proxy-1"],
        "havip": ops_pair.PLATFORM_HAVIP,
        "tenants": ["alpha"],
    }
    second = {"number": 1, "proxies": ["proxy-2", "proxy-3"], "havip": "192.168.4.101", "tenants": ["beta"]}
    data["plan"]["pairs"] = [first, second]
    text = (
        json.dumps(data["tenants"]["alpha"]).replace("tenant-alpha", "tenant-beta").replace("02:00", "02:99")
    )
    data["tenants"]["beta"] = json.loads(text)
    data["tenants"]["beta"]["user_enis"] = {
        renamed[name]: eni for name, eni in data["tenants"]["beta"]["user_enis"].items()
    }
    hosts = dict(seen.hosts)
    enis = list(seen.enis)
    for old, new in renamed.items():
        data["hosts"][new] = {**data["hosts"][old], "instance_id": f"i-{new}"}
        active = new == "proxy-3"
        host = ops_pair.proxy(old, active=active)

        def other(text: str) -> str:
            return text.replace("02:00", "02:99").replace("alpha", "beta").replace("4.100", "4.101")

        kernel = {
            other(namespace): {other(mac): tuple(map(other, at)) for mac, at in found.items()}
            for namespace, found in host.kernel.items()
        }
        imds = {other(mac): tuple(map(other, at)) for mac, at in (host.imds or {}).items()}
        hosts[new] = replace(host, kernel=kernel, imds=imds)
        for eni in ops_pair.enis("proxy-1"):
            if eni.instance_id == f"i-proxy{old[-1]}":
                addresses = tuple(map(other, eni.addresses))
                enis.append(
                    ApiEni(id=f"{eni.id}-2", mac=other(eni.mac), instance_id=f"i-{new}", addresses=addresses)
                )
    return parse_outputs(data, "a stack"), replace(seen, hosts=hosts, enis=tuple(enis))


def test_every_pair_has_its_own_active_proxy() -> None:
    report = compare(*two_pairs())
    assert report.problems == ()
    assert [(pair.active, pair.standby) for pair in report.pairs] == [
        ("proxy-0", "proxy-1"),
        ("proxy-3", "proxy-2"),
    ]
    assert (
        "proxy-0 is active, proxy-1 can take over, proxy-3 is active, proxy-2 can take over"
        in show.headline(report)
    )
    told = show.as_json(report)
    assert [pair["active"] for pair in told["pairs"]] == ["proxy-0", "proxy-3"]
    assert told["pair"] == told["pairs"][0]
    assert [havip["name"] for havip in told["pairs"][1]["havips"]] == ["platform-1", "beta"]


def test_what_is_wrong_with_one_pair_is_said_of_that_one() -> None:
    outputs, seen = two_pairs()
    seen = ops_pair.with_pair(seen, "proxy-3", state="yielding")
    found = [str(problem) for problem in compare(outputs, seen).problems]
    assert "pair 1: nobody is active" in found
    assert not any(text.startswith("pair: ") for text in found)
    first = compare(outputs.of_pair(0), seen)
    assert [problem for problem in first.of_proxies if "proxy-3" in str(problem)] == []


def test_one_pair_is_the_whole_for_who_asked_for_it() -> None:
    outputs, _ = two_pairs()
    only = outputs.of_pair(1)
    assert only.proxies == ("proxy-2", "proxy-3")
    assert [*only.tenants] == ["beta"]
    assert {"func-0", "user-alpha"} <= only.hosts.keys()
    with pytest.raises(OpsError, match=r"there is no pair 2"):
        outputs.of_pair(2)
