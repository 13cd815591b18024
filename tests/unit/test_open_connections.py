"""What a preview says of open connections: which are cut or pause, and why; and nothing where none notices."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pulumi
import pytest

from components import lookups
from components.open_connections import HEAD, STRANGERS, TOLD
from tests.unit.program import (
    LAB_PAIR,
    LAB_PAIRS,
    LAB_SINGLE,
    Change,
    Configuration,
    alpha,
    become_pair,
    get_second_pair,
    graph_of,
    run_stack,
    set_in,
)
from tests.unit.pulumi_mocks import Json

Said = Callable[..., list[str]]


class _AllSaidError(Exception):
    """What follows in the program takes most of its time, and says no more."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What a preview of a changed stack names."""
    warnings: list[str] = []

    def is_all_said(_: object) -> None:
        raise _AllSaidError

    def preview(stack: str, change: Change, before: Json = None) -> list[str]:
        known = before or graph_of(stack).outputs
        with monkeypatch.context() as patched:
            patched.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
            patched.setattr(lookups, "find_image", is_all_said)
            with pytest.raises(_AllSaidError):
                run_stack(stack, change=change, previous=known, preview=True)
        named = [lines for text in warnings if (lines := text.split("\n  - "))[0] == HEAD]
        assert len(named) <= 1
        return [line for lines in named for line in lines[1:]]

    return preview


def exist(configuration: Configuration) -> None:
    """The tenant's network is one that is there already."""
    tenant = configuration["causeway:tenants"][0]
    del tenant["create"]
    tenant.update(vpc_id="vpc-0123456789abcdef0", subnet_id="subnet-0123456789abcdef0")


@pytest.mark.parametrize(
    ("stack", "change", "cut"),
    [
        (LAB_PAIRS, lambda c: c["causeway:tenants"].pop(), "beta: all are cut, as the tenant is removed"),
        (
            LAB_PAIR,
            alpha(havip="172.16.101.101"),
            "alpha: all are cut, as their source in its network changes, 172.16.101.100 → 172.16.101.101",
        ),
        (
            LAB_SINGLE,
            alpha(user_eni_address="172.16.101.12"),
            "alpha: all are cut, as their source in its network changes, 172.16.101.10 → 172.16.101.12",
        ),
        (
            LAB_PAIR,
            set_in("platform", vpc_cidr="192.168.0.0/17"),
            "all are cut, as every host is made anew for another platform_cidr, 192.168.0.0/16 → 192.168.0.0/17",
        ),
        (
            LAB_PAIR,
            set_in("proxy", first_address="192.168.4.14"),
            f"those of pair 0 pause {STRANGERS}, 192.168.4.4 → 192.168.4.14",
        ),
        (
            LAB_PAIR,
            set_in("proxy", havip="192.168.4.110"),
            f"those of pair 0 pause {TOLD}, as its HaVip changes, 192.168.4.100 → 192.168.4.110",
        ),
        (
            LAB_PAIR,
            lambda c: c["causeway:tenants"][0]["create"].update(vpc_cidr="172.16.0.0/17"),
            "alpha: all are cut, as its network is another one, "
            "172.16.101.0/24 of 172.16.0.0/16 → 172.16.101.0/24 of 172.16.0.0/17",
        ),
        (
            LAB_PAIR,
            exist,
            "alpha: all are cut, as its network is another one, "
            "172.16.101.0/24 of 172.16.0.0/16 → subnet-0123456789abcdef0",
        ),
        (
            LAB_PAIR,
            alpha(overlay={"cidr": "10.0.0.0/24", "proxy": "10.0.0.4", "first_func": "10.0.0.7"}),
            "alpha: all from func-0 are cut, as overlay addresses change, 10.0.0.3 → 10.0.0.7",
        ),
        (
            LAB_PAIR,
            alpha(cidrs=["172.16.101.0/25"]),
            "alpha: those to what is of 172.16.101.0/24 and in none of its cidrs any more are cut",
        ),
        (
            LAB_PAIR,
            alpha(container_cidr="10.99.0.0/24"),
            "alpha: those of its containers are cut, as their range changes, 10.88.0.0/24 → 10.99.0.0/24; "
            "attach them anew",
        ),
        (
            LAB_PAIR,
            lambda c: c["causeway:tenants"][0].pop("container_cidr"),
            "alpha: those of its containers are cut, as their range changes, 10.88.0.0/24 → none; attach them anew",
        ),
        (
            LAB_PAIR,
            set_in("func_hosts", instance_type="t3.medium"),
            "func-0: all are cut, as it is stopped to become another type, t3.small → t3.medium",
        ),
        (
            LAB_SINGLE,
            set_in("proxy", instance_type="c6in.xlarge"),
            "proxy-0: all are cut, as it is stopped to become another type, c6in.large → c6in.xlarge",
        ),
        (
            LAB_PAIR,
            set_in("func_hosts", first_address="192.168.80.9"),
            "func-0: all are cut, as it is made anew with another address, 192.168.80.8 → 192.168.80.9",
        ),
        (
            LAB_PAIR,
            lambda c: c.update({"causeway:ami": "ami-0123456789abcdef0"}),
            "func-0: all are cut, as it is made anew from another image, ami-00deb1a1300000000 → ami-0123456789abcdef0",
        ),
    ],
)
def test_a_preview_says_what_is_cut_or_pauses(said: Said, stack: str, change: Change, cut: str) -> None:
    assert said(stack, change) == [cut]


def test_containers_whose_bridge_gets_another_name_are_named(said: Said) -> None:
    """As it was by the index where the name is long."""
    before = copy.deepcopy(graph_of(LAB_PAIR).outputs)
    before["tenants"]["alpha"]["containers"]["bridge"] = "cw-1"
    assert said(LAB_PAIR, lambda _: None, before) == [
        "alpha: those of its containers are cut, as its bridge changes, cw-1 → cw-alpha; attach them anew"
    ]


def test_pods_whose_range_goes_are_named(said: Said) -> None:
    before = copy.deepcopy(graph_of(LAB_PAIR).outputs)
    before["plan"]["pod_cidr"] = "10.244.0.0/16"
    assert said(LAB_PAIR, lambda _: None, before) == [
        "those of pods are cut, as their range changes, 10.244.0.0/16 → none"
    ]


def have_pods(configuration: Configuration) -> None:
    configuration["causeway:func_hosts"]["pod_cidr"] = "10.244.0.0/16"


@pytest.mark.parametrize(
    ("beta", "lost"),
    [(["172.16.101.0/24"], True), (["172.16.101.128/25"], True), (["172.16.102.0/24"], False)],
)
def test_pods_lose_a_network_of_which_another_tenant_has_a_part(
    said: Said, beta: list[str], lost: bool
) -> None:
    def one(configuration: Configuration) -> None:
        have_pods(configuration)
        configuration["causeway:tenants"].pop()

    def two(configuration: Configuration) -> None:
        have_pods(configuration)
        configuration["causeway:tenants"][1]["cidrs"] = beta

    before = run_stack(LAB_PAIRS, change=one).outputs
    cut = "alpha: those of pods to 172.16.101.0/24 are cut, as another tenant has addresses of it too now"
    assert said(LAB_PAIRS, two, before) == ([cut] if lost else [])


def test_a_func_host_that_goes_is_named(said: Said) -> None:
    before = copy.deepcopy(graph_of(LAB_PAIR).outputs)
    before["hosts"]["func-1"] = {**before["hosts"]["func-0"], "private_address": "192.168.80.9"}
    before["tenants"]["alpha"]["func_overlay_addresses"]["func-1"] = "10.0.0.5"
    assert said(LAB_PAIR, lambda _: None, before) == ["func-1: all are cut, as the func host is removed"]


@pytest.mark.parametrize(
    ("stack", "change"),
    [
        (LAB_PAIR, lambda _: None),
        (LAB_SINGLE, lambda _: None),
        (LAB_SINGLE, become_pair),  # which is said in words of its own
        (LAB_PAIR, get_second_pair),
        (LAB_PAIR, set_in("func_hosts", count=3)),
        (LAB_PAIR, set_in("proxy", instance_type="c6in.xlarge")),  # one after the other
        (LAB_PAIR, alpha(user_eni_address="172.16.101.20")),  # likewise
        (LAB_PAIR, alpha(cidrs=["172.16.101.0/25", "172.16.101.128/25"])),
        (LAB_PAIR, alpha(cidrs=["172.16.0.0/16"])),
    ],
)
def test_nothing_is_said_where_none_notices(said: Said, stack: str, change: Change) -> None:
    assert said(stack, change) == []


def test_of_a_stack_of_before_all_that_it_says_is_compared(said: Said) -> None:
    """Without what was not exported then."""
    before = copy.deepcopy(graph_of(LAB_PAIR).outputs)
    del before["tenants"]["alpha"]["containers"], before["tenants"]["alpha"]["network"]
    assert said(LAB_PAIR, lambda _: None, before) == []
    assert said(LAB_PAIR, exist, before) == []


def test_another_zone_cuts_all(said: Said) -> None:
    """In subnets of other addresses, as it has to be; here without the hosts, each of which would be named too."""
    before = copy.deepcopy(graph_of(LAB_PAIR).outputs)
    before["plan"]["availability_zone"], before["hosts"] = "us-east-1b", {}
    assert said(LAB_PAIR, lambda _: None, before) == [
        "all are cut, as every host is made anew for another availability_zone, us-east-1b → us-east-1a"
    ]
