"""The kinds of tunnel: what hosts are told, what their security groups let through, what a preview says of a change."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path

import pulumi
import pytest

from components.plan import TunnelKind
from components.tunnel_change import GOES_ON, PAUSES
from tests.unit.program import COMMAND, LAB_PAIR, Configuration, get_second_pair, graph_of, run_stack
from tests.unit.program_rules_pair import all_before
from tests.unit.pulumi_mocks import Graph, Json

LIB = Path(__file__).parents[2] / "hostscripts/lib.sh"


def stack_with(kind: str, previous: Json = None, *, tenants: int = 1) -> Graph:
    def change(configuration: Configuration) -> None:
        configuration["causeway:tunnel"] = kind
        if tenants == 2:
            get_second_pair(configuration)
            configuration["causeway:proxy"].pop("tenants_per_pair", None)
            configuration["causeway:tenants"][1]["index"] = 2

    return run_stack(LAB_PAIR, change=change, previous=previous)


@cache
def new_stack_with(kind: str) -> Graph:
    """The same for every test, so none may change it."""
    return stack_with(kind)


@pytest.mark.parametrize(
    ("kind", "protocol", "port"), [("gre", "47", None), ("gre-fou", "udp", 4754), ("ipip", "4", None)]
)
def test_hosts_are_told_and_only_the_tunnels_protocol_passes(
    kind: str, protocol: str, port: int | None
) -> None:
    graph = stack_with(kind)
    for command in ("func-0-tunnel", "func-0-container", "proxy-0-tunnel", "proxy-1-tunnel"):
        told = graph.resources[f"{COMMAND}::{command}"]["inputs"]["stdin"]
        assert f'"tunnel_kind": "{kind}"' in told
    rules = [
        (entry["inputs"]["ipProtocol"], entry["inputs"].get("fromPort"))
        for key, entry in graph.resources.items()
        if "SecurityGroup" in key and entry["inputs"].get("description") == "Tunnels"
    ]
    assert rules == [(protocol, port)] * 4
    assert graph.outputs["plan"]["tunnel"] == kind
    assert graph.outputs["plan"]["tunnel_mtu"] == 9001 - TunnelKind(kind).overhead_bytes


def test_the_proxies_sync_link_is_gre_whatever_the_tunnels_are() -> None:
    for kind in TunnelKind:
        described = {
            (entry["inputs"]["description"], entry["inputs"]["ipProtocol"])
            for key, entry in stack_with(kind).resources.items()
            if "SecurityGroup" in key and "ipProtocol" in entry["inputs"]
        }
        assert ("Synchronisation of connections", "47") in described


def test_the_host_scripts_count_the_same_bytes() -> None:
    (told,) = re.findall(r"def overhead: (\{.*\})\[tunnel_kind\]", LIB.read_text())
    assert json.loads(told) == {kind.value: kind.overhead_bytes for kind in TunnelKind}


def test_with_ipip_every_tenant_has_a_pair_of_its_own() -> None:
    pairs = stack_with("ipip", tenants=2).outputs["plan"]["pairs"]
    assert [(pair["number"], pair["tenants"]) for pair in pairs] == [(0, ["alpha"]), (1, ["beta"])]
    assert len({pair["tunnel_remote"] for pair in pairs}) == 2


def test_ipip_is_refused_where_it_would_move_a_tenant() -> None:
    both = stack_with("gre", tenants=2).outputs
    with pytest.raises(
        pulumi.RunError, match=r"(?s)beta \(from pair 0 slot 2 to pair 1 slot 1\).*leave the tunnel as"
    ):
        stack_with("ipip", both, tenants=2)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("gre", "gre-fou", GOES_ON),
        ("gre-fou", "gre", GOES_ON),
        ("gre", "ipip", PAUSES),
        ("ipip", "gre-fou", PAUSES),
        ("gre", "gre", None),
        pytest.param("", "gre-fou", PAUSES, id="from before there was a choice"),
        pytest.param("", "gre", None, id="from before there was a choice, and none made"),
    ],
)
def test_a_preview_says_what_connections_will_notice(
    before: str, after: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = copy.deepcopy(new_stack_with(before or "gre").outputs)
    if not before:
        del outputs["plan"]["tunnel"]
        before = "gre"
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: warned.append(text))
    stack_with(after, outputs)
    notices = [text for text in warned if text.startswith("tunnel: ")]
    assert notices == ([] if said is None else [f"tunnel: {before} → {after}: {said}"])


@pytest.mark.parametrize(("after", "waits"), [("ipip", True), ("gre-fou", False)])
def test_where_it_pauses_func_hosts_change_once_the_first_proxy_is_whole(after: str, waits: bool) -> None:
    """So the pause is as long as a func host takes, and a proxy that does not get ready keeps them as they are."""
    graph = stack_with(after, new_stack_with("gre").outputs)
    func, proxy = f"{COMMAND}::func-0-tunnel", f"{COMMAND}::proxy-0"
    assert f"{proxy}-tunnel" in all_before(graph, func)
    assert (f"{proxy}-ready" in all_before(graph, func)) == waits


def test_a_proxy_sends_nothing_that_the_func_hosts_group_does_not_let_in() -> None:
    ahead = all_before(new_stack_with("gre-fou"), f"{COMMAND}::proxy-0-tunnel")
    assert any("func-ingress-gre-fou" in key for key in ahead)


def test_nothing_is_said_of_a_new_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: warned.append(text))
    stack_with("ipip")
    assert not [text for text in warned if text.startswith("tunnel: ")]


def test_the_default_is_gre() -> None:
    assert graph_of(LAB_PAIR).outputs["plan"]["tunnel"] == "gre"
