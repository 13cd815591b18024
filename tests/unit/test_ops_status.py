"""What `ops status` finds to be wrong, from data; each disagreement is one that it must not miss."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops.errors import OpsError
from ops.outputs import parse_outputs
from ops.status import gather, show
from ops.status.compare import Report, compare
from ops.status.gather import look
from ops.status.seen import BUSY, ApiEni, Concern, Connections, Seen, Sync
from ops.status.told import host_seen
from tests.unit import ops_pair as pair

Json = Any


def problems(seen: Seen) -> list[str]:
    return [str(problem) for problem in compare(pair.outputs(), seen).problems]


def test_a_healthy_pair_has_no_problem() -> None:
    report = compare(pair.outputs(), pair.healthy())
    assert report.problems == ()
    assert (report.active, report.standby) == ("proxy-0", "proxy-1")
    assert [one.holder for one in report.havips] == ["proxy-0", "proxy-0"]


def test_a_healthy_single_proxy_has_no_problem() -> None:
    seen = Seen(
        hosts={"proxy-0": pair.proxy("proxy-0", active=True, pair=False)},
        silent={},
        enis=pair.enis(None, proxies=("proxy-0",)),
    )
    assert compare(pair.outputs(pair=False), seen).problems == ()


def moved(seen: Seen, witness: str) -> Seen:
    """proxy-1 has the HaVips, by one witness."""
    zero, one = pair.proxy("proxy-0", active=False), pair.proxy("proxy-1", active=True)
    if witness == "api":
        return replace(seen, enis=pair.enis("proxy-1"))
    changed = {"proxy-0": getattr(zero, witness), "proxy-1": getattr(one, witness)}
    for name, told in changed.items():
        seen = pair.with_host(seen, name, **{witness: told})
    return seen


@pytest.mark.parametrize("witness", ["api", "imds", "kernel"])
def test_a_witness_that_disagrees_is_named(witness: str) -> None:
    found = problems(moved(pair.healthy(), witness))
    assert len([text for text in found if text.startswith("pair: HaVip ")]) == 2
    said = {"api": "by API proxy-1", "imds": "by metadata proxy-1", "kernel": "by kernel proxy-1"}[witness]
    assert said in found[0]


def test_an_address_on_both_is_wrong() -> None:
    seen = pair.with_host(pair.healthy(), "proxy-1", kernel=pair.proxy("proxy-1", active=True).kernel)
    assert "by kernel proxy-0 and proxy-1" in problems(seen)[0]


def test_an_address_in_the_wrong_namespace_is_not_there() -> None:
    kernel = {"": {"m": ("192.168.4.4", pair.PLATFORM_HAVIP, pair.ALPHA_HAVIP)}, "tenant-alpha": {}}
    assert any("alpha" in text and "by kernel nobody" in text for text in problems(
        pair.with_host(pair.healthy(), "proxy-0", kernel=kernel)
    ))  # fmt: skip


def test_a_half_moved_set_is_said() -> None:
    """Each address is with one proxy by every witness, and yet it is wrong."""
    seen = pair.healthy()
    zero, one = pair.proxy("proxy-0", active=True), pair.proxy("proxy-1", active=True)
    for name, taken, left in (("proxy-0", zero, "tenant-alpha"), ("proxy-1", one, "")):
        assert taken.imds is not None
        mac, own = pair.MACS[name, left], (pair.OWN[name, left],)
        seen = pair.with_host(
            seen, name, imds={**taken.imds, mac: own}, kernel={**taken.kernel, left: {mac: own}}
        )
    both = {e.id: e for holder in ("proxy-0", "proxy-1") for e in pair.enis(holder) if len(e.addresses) == 2}
    half = {pair.ENIS["proxy-0", ""], pair.ENIS["proxy-1", "tenant-alpha"]}
    seen = replace(seen, enis=tuple(both[e.id] if e.id in half else e for e in pair.enis(None)))
    found = problems(seen)
    assert "pair: HaVips are moved by half: platform with proxy-0, alpha with proxy-1" in found


def two_tenants_with_the_same_havip() -> tuple[Json, Seen]:
    """alpha's is with proxy-0, and so is beta's."""
    data = pair.outputs_json()
    enis = {"proxy-0": ("eni-b0", "02:00:00:00:00:03"), "proxy-1": ("eni-b1", "02:00:00:00:01:03")}
    beta = data["tenants"]["alpha"] | {
        "namespace": "tenant-beta",
        "user_enis": {
            n: {"id": i, "mac": m, "private_address": "172.16.101.12"} for n, (i, m) in enis.items()
        },
    }
    data["tenants"]["beta"] = beta
    seen = pair.healthy()
    for name, (eni, mac) in enis.items():
        at = ("172.16.101.12", *([pair.ALPHA_HAVIP] if name == "proxy-0" else []))
        was = seen.hosts[name]
        seen = pair.with_host(
            seen, name, kernel={**was.kernel, "tenant-beta": {mac: at}}, imds={**(was.imds or {}), mac: at}
        )
        instance = data["hosts"][name]["instance_id"]
        seen = replace(seen, enis=(*seen.enis, ApiEni(id=eni, mac=mac, instance_id=instance, addresses=at)))
    return data, seen


def test_two_tenants_may_have_the_same_havip() -> None:
    data, seen = two_tenants_with_the_same_havip()
    report = compare(parse_outputs(data, "a stack"), seen)
    assert report.problems == ()
    assert [one.holder for one in report.havips] == ["proxy-0"] * 3


def test_of_the_same_havip_each_tenants_is_looked_for_where_that_tenant_is() -> None:
    data, seen = two_tenants_with_the_same_havip()
    seen = replace(
        seen, enis=tuple(replace(e, addresses=e.addresses[:1]) if e.id == "eni-b0" else e for e in seen.enis)
    )
    found = [str(problem) for problem in compare(parse_outputs(data, "a stack"), seen).problems]
    assert any(text.startswith("pair: HaVip beta") and "by API nobody" in text for text in found)
    assert not any("HaVip alpha" in text for text in found)


def test_what_others_have_changed_in_a_kernel_is_named_with_the_way_out() -> None:
    off = (
        "causeway: container: ip link add name cw-alpha group 201 type bridge",
        *(f"causeway: routes: ip route replace 10.0.{n}.0/24 dev mgre1 proto 201" for n in range(5)),
    )
    container, routes = problems(pair.with_host(pair.healthy(), "func-0", off=off))
    assert container.startswith(
        "func-0: container is not as it was applied, lacking: ip link add name cw-alpha"
    )
    assert container.endswith("(mend it: python -m ops apply func-0)")
    assert "10.0.2.0/24 dev mgre1 proto 201, and 2 more" in routes


def test_a_kernel_that_could_not_be_compared_is_not_taken_for_healthy() -> None:
    (found,) = problems(pair.with_host(pair.healthy(), "func-0", not_compared="it did not end in time"))
    assert found.startswith("func-0: its kernel could not be compared with what was applied: it did not end")


def test_an_apply_at_work_is_worth_a_note() -> None:
    seen = pair.with_host(pair.healthy(), "func-0", not_compared=BUSY)
    assert problems(seen) == []
    (note,) = compare(pair.outputs(), seen).notes
    assert str(note) == "func-0: its kernel was not compared with what was applied: another apply is at work"


Change = Callable[[Seen], Seen]
NOT_RUNNING = "keepalived does not run"
FAILED = {"tunnel": Concern(result="failed", applied_at=1, in_sync=False)}
NOT_APPLIED = {"routes": Concern(result=None, applied_at=None, in_sync=False)}
STOPPED = Sync(running=False, cached=0, injected=0, lost=0, errors=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: pair.with_pair(s, "proxy-0", state="yielding"), "pair: nobody is active"),
        (lambda s: pair.with_pair(s, "proxy-1", state="active"), "pair: proxy-0 and proxy-1 are both active"),
        (
            lambda s: pair.with_pair(s, "proxy-1", state="fault", reason="alpha: user1 is down"),
            "proxy-1: cannot take over: it is in state fault: alpha: user1 is down",
        ),
        (lambda s: pair.with_pair(s, "proxy-1", hears_peer=False), "proxy-1: hears no adverts of the other one"),
        (lambda s: pair.with_pair(s, "proxy-0", alarms=(NOT_RUNNING,)), f"proxy-0: {NOT_RUNNING}"),
        (
            lambda s: pair.with_pair(s, "proxy-1", sync={"tenant-alpha": STOPPED}),
            "proxy-1: connections of tenant-alpha are not synchronised: conntrackd does not run",
        ),
        (
            lambda s: pair.with_host(s, "proxy-1", pair=None),
            "proxy-1: says nothing of the pair: causeway-pair.service does not run",
        ),
        (lambda s: pair.without_host(s, "proxy-1", "hangs"), "proxy-1: hangs"),
        (lambda s: replace(s, enis=(), api_error="503"), "API: 503"),
        (lambda s: pair.with_host(s, "proxy-1", imds=None), "proxy-1: its metadata says nothing"),
        (lambda s: pair.with_host(s, "func-0", concerns=FAILED), "func-0: tunnel failed"),
        (
            lambda s: pair.with_host(s, "func-0", concerns=NOT_APPLIED),
            "func-0: routes was not applied since it booted",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change: Change, said: str) -> None:
    assert said in problems(change(pair.healthy()))


DIGESTS = {"tunnel": "0" * 12, "nat": "1" * 12, "user_eni": "2" * 12}
HAS_ALL = {name: replace(pair.GOOD, state_sha256=digest + "f" * 52) for name, digest in DIGESTS.items()}
HAS_ANOTHER = {**HAS_ALL, "user_eni": replace(pair.GOOD, state_sha256="3" * 64)}


def told_as_meant(seen: Seen, meant: Mapping[str, Mapping[str, str]]) -> Report:
    return compare(parse_outputs({**pair.outputs_json(), "told": meant}, "a stack"), seen)


@pytest.mark.parametrize(
    ("concerns", "said"),
    [
        (HAS_ALL, []),
        (HAS_ANOTHER, ["user_eni"]),
        ({}, ["tunnel", "nat", "user_eni"]),
    ],
    ids=["as meant", "one is another", "nothing"],
)
def test_what_a_host_was_told_is_compared_with_what_the_last_update_says(
    concerns: dict[str, Concern], said: list[str]
) -> None:
    """As after an update that lost the connection and was taken back: the engine has nothing to do, and is wrong."""
    report = told_as_meant(pair.with_host(pair.healthy(), "proxy-0", concerns=concerns), {"proxy-0": DIGESTS})
    begin = "stack: proxy-0 has another state than the last update says: "
    assert [str(one).partition(" (")[0] for one in report.problems] == [
        f"{begin}{', '.join(said)}" for _ in said[:1]
    ]
    assert report.of_proxies == (), "a planned switch is still possible"


def test_a_host_that_has_another_state_is_said_with_the_way_out() -> None:
    (found,) = told_as_meant(pair.healthy(), {"func-0": {"user_eni": "0" * 12}}).problems
    assert "`up --replace 'urn:pulumi:**::func-0-user-eni'`" in found.text


def test_what_a_host_was_told_is_not_asked_where_the_outputs_do_not_say() -> None:
    seen = pair.with_host(pair.healthy(), "proxy-0", concerns={})
    assert compare(pair.outputs(), seen).problems == ()


@pytest.mark.parametrize(("host", "is_wrong"), [("proxy-0", True), ("func-0", True), ("user-alpha", False)])
def test_a_host_that_cannot_tell_what_it_is_is_wrong_where_it_has_to_be_something(
    host: str, is_wrong: bool
) -> None:
    """As one of which the first command failed: it has no jq, and no status. A user instance may lack jq."""
    report = told_as_meant(pair.with_host(pair.healthy(), host, tells_status=False), {host: DIGESTS})
    said = [f"{host}: cannot tell its status: /opt/causeway/status fails there, or there is no jq on it"]
    assert [str(one) for one in report.problems] == (said if is_wrong else [])
    assert [str(one) for one in report.notes] == ([] if is_wrong else said)


def test_a_users_or_func_hosts_problem_is_none_of_the_pair() -> None:
    report = compare(pair.outputs(), pair.without_host(pair.healthy(), "func-0", "hangs"))
    assert report.problems
    assert report.of_proxies == ()


def test_a_standby_that_lacks_connections_is_noted() -> None:
    seen = pair.with_host(
        pair.healthy(), "proxy-1", connections={"tenant-alpha": Connections(count=60, limit=54272)}
    )
    report = compare(pair.outputs(), seen)
    assert report.problems == ()
    assert [str(note) for note in report.notes] == ["proxy-1: lacks 40 connections of tenant-alpha"]


@pytest.mark.parametrize(("count", "limit", "is_told"), [(90, 100, True), (89, 100, False), (9, 0, False)])
def test_a_tenants_table_that_is_nearly_full_is_a_problem(count: int, limit: int, is_told: bool) -> None:
    found = {"tenant-alpha": Connections(count=count, limit=limit)}
    report = compare(pair.outputs(), pair.with_host(pair.healthy(), "proxy-0", connections=found))
    assert [one.subject for one in report.problems] == (["tenant alpha"] if is_told else [])
    assert report.of_proxies == (), "a planned switch is still possible"


def test_a_func_hosts_table_is_every_tenants() -> None:
    found = {"": Connections(count=250_000, limit=262_144)}
    report = compare(pair.outputs(), pair.with_host(pair.healthy(), "func-0", connections=found))
    (told,) = report.problems
    assert told.subject == "func-0"
    assert "250,000 connections in its table, of 262,144" in told.text


def test_what_a_proxy_warns_of_keeps_nobody_from_switching() -> None:
    seen = pair.with_pair(pair.healthy(), "proxy-0", warnings=("its clock is some 7 min behind AWS's",))
    report = compare(pair.outputs(), seen)
    assert [str(one) for one in report.problems] == ["proxy-0 warns: its clock is some 7 min behind AWS's"]
    assert report.of_proxies == ()


def test_problems_are_shown_first() -> None:
    text = io.StringIO()
    seen = pair.with_pair(pair.healthy(), "proxy-1", alarms=("something [odd]",))
    show.print_report(compare(pair.outputs(), seen), Console(file=text, width=160))
    lines = text.getvalue().splitlines()
    assert lines[0] == "✗ proxy-1 something [odd]"
    assert "last switch 100 s ago: proxy-0 became active: asked for" in text.getvalue()


def test_json_says_where_every_havip_is() -> None:
    told = json.loads(json.dumps(show.as_json(compare(pair.outputs(), pair.healthy()))))
    assert told["healthy"] is True
    assert told["pair"]["havips"][1] == {
        "name": "alpha", "address": pair.ALPHA_HAVIP, "holder": "proxy-0",
        "api": ["proxy-0"], "imds": ["proxy-0"], "kernel": ["proxy-0"],
    }  # fmt: skip


def test_what_a_host_prints_is_understood() -> None:
    seen = host_seen(
        json.dumps({
            "status": {
                "concerns": {"nat": {"result": "changed", "applied_at": 5, "state_sha256": "x", "in_sync": True}},
                "namespaces": {
                    "": {"devices": {"eth0": {"mac": "02:aa", "addresses": ["192.168.4.4/24", "192.168.4.100/32"]}},
                         "dropped": {"causeway_tunnel": {"packets": 3, "bytes": 9}}},
                },
                "pair": {
                    "state": "standby", "since": 7, "reason": "r", "whole": False, "peer_heard": 0,
                    "alarms": ["a"], "switches": [{"at": 6, "to": "active", "reason": "q"}], "havips": {},
                    "sync": {"tenant-alpha": {"running": True, "cached": 1, "injected": 2, "lost": 3, "errors": 4}},
                },
            },
            "imds": {"02:AA": ["192.168.4.4"]},
            "connections": {"tenant-alpha": {"count": 9, "limit": 54272}},
        })
    )  # fmt: skip
    assert seen.has_address("192.168.4.100", "")
    assert not seen.has_address("192.168.4.100", "tenant-alpha")
    assert seen.imds == {"02:aa": ("192.168.4.4",)}
    assert seen.concerns["nat"].state_sha256 == "x"
    assert seen.dropped == {"causeway_tunnel": 3}
    assert seen.pair is not None
    assert seen.pair.hears_peer
    assert seen.pair.sync["tenant-alpha"].lost == 3


PLAIN: Json = {"status": {"concerns": {}, "namespaces": {}, "pair": None}, "imds": None, "connections": {}}
PAIR_TOLD: Json = {
    "state": "active", "since": 1, "reason": "r", "alarms": [], "switches": [], "sync": {}, "peer_heard": None,
}  # fmt: skip


def told(**status: Any) -> str:
    """What a host prints."""
    return json.dumps({**PLAIN, "status": {**PLAIN["status"], **status}})


HOSTILE = {
    "concerns are a list": told(concerns=[]),
    "a concern is a number": told(concerns={"nat": 3}),
    "since when it is the end of time": told(pair={**PAIR_TOLD, "since": float("inf")}),
    "since no time": told(pair={**PAIR_TOLD, "since": float("nan")}),
    "so many that there is no such number": told(pair={**PAIR_TOLD, "since": "X"}).replace('"X"', "1e999"),
    "deep": "[" * 100_000,
    "deep inside": told(pair="X").replace('"X"', '{"a":' * 100_000),
    "half a character": told(concerns="X").replace('"X"', '{"\\ud800": 1}'),
    "a very long number": told(pair="X").replace('"X"', "9" * 10_000),
    "a very long reason": told(pair={**PAIR_TOLD, "reason": "x" * 10_000}),
    "very many alarms": told(pair={**PAIR_TOLD, "alarms": ["x"] * 10_000}),
    "alarms that are no text": told(pair={**PAIR_TOLD, "alarms": [{}]}),
    "counts below nothing": json.dumps({**PLAIN, "connections": {"tenant-alpha": {"count": -1, "limit": 1}}}),
    "no JSON": "bash: command not found",
    "nothing": "",
    "something else": "17",
}


class Answering:
    """Stands for a stack whose func host says what it likes."""

    outputs = pair.outputs()

    def __init__(self, answers: Callable[[], str]) -> None:
        self.at_once = 2
        self.hosts = SimpleNamespace(succeed=lambda *_, **__: answers())
        pages = SimpleNamespace(paginate=lambda **_: [])
        self.ec2 = SimpleNamespace(get_paginator=lambda _: pages)


def test_who_waits_is_told_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "SAY_EVERY_S", 0.01)
    told: list[str] = []
    answered = threading.Event()

    def answers() -> str:
        assert answered.wait(10)
        return json.dumps(PLAIN)

    def say(text: str) -> None:
        told.append(text)
        answered.set()

    stack: Any = Answering(answers)
    look(stack, ("func-0",), say=say)
    assert told[0] == "0 of 1 hosts have answered; waiting for func-0"
    assert gather.shown([f"func-{n}" for n in range(9)]).endswith("func-4 and 4 more")


@pytest.mark.parametrize("printed", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_makes_no_sense_is_one_hosts_problem(printed: str) -> None:
    stack: Any = Answering(lambda: printed)
    seen = look(stack, ("func-0",))
    (said,) = [text for text in problems(seen) if text.startswith("func-0: ")]
    assert said.startswith("func-0: its answer makes no sense")
    assert said.isprintable()
    assert len(said) < 1000


def test_a_terminal_is_not_steered_and_no_line_is_made_up() -> None:
    evil = "well\x1b[2J\x9b2J\u202e\u2028\n\r✓ lab: all is well\t[red]"
    printed = told(
        concerns={evil: {"result": evil, "applied_at": 1, "in_sync": False}},
        namespaces={evil: {"devices": {}, "dropped": {evil: {"packets": 3}}}},
        pair={**PAIR_TOLD, "reason": evil, "alarms": [evil], "switches": [{"at": 1, "to": "active", "reason": evil}]},
    )  # fmt: skip
    text = io.StringIO()
    seen = pair.healthy()
    seen = replace(seen, hosts={**seen.hosts, "proxy-1": host_seen(printed)})
    show.print_report(compare(pair.outputs(), seen), Console(file=text, width=300))
    shown = text.getvalue()
    assert not [one for one in shown if not one.isprintable() and one != "\n"]
    assert "[red]" in shown
    assert not [line for line in shown.splitlines() if line.startswith("✓")]


def test_who_is_no_proxy_is_not_asked_about_the_pair() -> None:
    seen = pair.with_host(pair.healthy(), "func-0", pair=pair.pair_seen(active=True))
    report = compare(pair.outputs(), seen)
    assert [str(one) for one in report.problems] == [
        "func-0: says that it is one of the pair, which it is not"
    ]
    assert (report.active, report.standby) == ("proxy-0", "proxy-1")
    assert report.of_proxies == ()
    text = io.StringIO()
    show.print_report(report, Console(file=text, width=160))
    assert "func-0 is active" not in text.getvalue()
    assert "func-0 became" not in text.getvalue()


def test_outputs_of_another_program_are_refused() -> None:
    for data, said in (
        ({}, "has no outputs"),
        ({**pair.outputs_json(), "schema_version": 9}, "version 9"),
        ({**pair.outputs_json(), "plan": {}}, "plan.stack"),
    ):
        with pytest.raises(OpsError, match=said):
            parse_outputs(data, "a stack")
