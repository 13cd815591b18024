"""What a change of a stack's file or of a host script changes in the graph: what it must, and no more."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Collection
from functools import cache
from pathlib import Path

import pytest

from components import host_scripts
from tests.unit.program import (
    ALL_STACKS,
    COMMAND,
    LAB_PAIR,
    LAB_SINGLE,
    NEWEST_IMAGE,
    Change,
    Configuration,
    become_pair,
    graph_of,
    received_files,
    run_stack,
    step_of,
)
from tests.unit.program_rules import ATTACHMENT, EGRESS, ENI, GROUP, INSTANCE, RULES
from tests.unit.program_rules_pair import ENDPOINT, POLICY
from tests.unit.pulumi_mocks import DuplicateResourceError, Graph, Json, run_program


@cache
def func_hosts(count: int) -> Graph:
    def change(configuration: Configuration) -> None:
        configuration["causeway:func_hosts"]["count"] = count

    return run_stack(LAB_SINGLE, change=change)


def changed(before: Graph, after: Graph) -> set[str]:
    """Names of resources that are in both graphs and not the same."""
    both = before.resources.keys() & after.resources.keys()
    return {key for key in both if before.resources[key] != after.resources[key]}


@pytest.mark.parametrize("stack", ALL_STACKS)
def test_the_outputs_have_the_digest_of_every_state_that_a_host_is_told(stack: str) -> None:
    """As sha256sum has it of the file there: it is received byte by byte."""
    graph = graph_of(stack)
    received = {}
    for key, resource in graph.resources.items():
        if key.startswith(f"{COMMAND}::"):
            for path, text in received_files(resource["inputs"]["stdin"]).items():
                if path.startswith("/etc/causeway/"):
                    received[key.split("::")[1]] = hashlib.sha256(text.encode()).hexdigest()
    said = {
        f"{host}-{concern.replace('_', '-')}": digest
        for host, digests in graph.outputs["told"].items()
        for concern, digest in digests.items()
    }
    assert said == {name: digest[: len(said[name])] for name, digest in received.items()}
    assert {len(digest) for digest in said.values()} == {12}


def test_one_more_func_host_touches_itself_and_the_proxys_tunnels() -> None:
    one, two = func_hosts(1), func_hosts(2)
    assert changed(one, two) == {f"{COMMAND}::proxy-0-tunnel"}
    assert one.resources.keys() - two.resources.keys() == set()
    assert {key.split("::")[1] for key in two.resources.keys() - one.resources.keys()} == {
        "func-1",
        "func-1-instance",
        "func-1-address",
        "func-1-address-association",
        "func-1-packages",
        "func-1-container",
        "func-1-tunnel",
        "func-1-routes",
    }


@pytest.mark.parametrize("count", [10, 60])
def test_one_more_is_the_same_change_with_many(count: int) -> None:
    """What a proxy is told grows by no line: its preview stays as short, and so does the text that is sent."""
    before, after = func_hosts(count), func_hosts(count + 1)
    (tunnel,) = changed(before, after)
    assert tunnel == f"{COMMAND}::proxy-0-tunnel"
    texts = [graph.resources[tunnel]["inputs"]["stdin"].splitlines() for graph in (before, after)]
    assert [(old, new) for old, new in zip(*texts, strict=True) if old != new] == [
        (
            f'          "count": {count - 1}',
            f'          "count": {count}',
        )  # and the one below the proxy's address
    ]
    grown = len(func_hosts(2).resources) - len(func_hosts(1).resources)
    assert len(after.resources) - len(before.resources) == grown


def test_a_func_host_more_makes_no_proxy_of_a_pair_step_aside() -> None:
    def two_func_hosts(configuration: Configuration) -> None:
        become_pair(configuration)
        configuration["causeway:func_hosts"]["count"] = 2

    assert changed(graph_of(LAB_PAIR), run_stack(LAB_SINGLE, change=two_func_hosts)) == {
        f"{COMMAND}::proxy-0-tunnel",
        f"{COMMAND}::proxy-1-tunnel",
    }


def drop(inputs: Json, names: Collection[str]) -> Json:
    """All but these."""
    return {name: value for name, value in inputs.items() if name not in names}


def test_a_second_proxy_replaces_nothing_of_the_first_one() -> None:
    single, pair = graph_of(LAB_SINGLE), graph_of(LAB_PAIR)
    assert single.resources.keys() - pair.resources.keys() == {f"{COMMAND}::proxy-0-stays-alone"}
    both = changed(single, pair)
    told = ("packages", "tunnel", "sync", "nat", "pair")
    assert {key for key in both if key.startswith(COMMAND)} == {
        f"{COMMAND}::func-0-tunnel",
        *(f"{COMMAND}::proxy-0-{concern}" for concern in told),
    } | {key for key in both if key == f"{COMMAND}::proxy-0-forward"}
    for key in both - {key for key in both if key.startswith(COMMAND)}:
        before, after = single.resources[key], pair.resources[key]
        # Of an instance, which has a second ENI, AWS refuses to change it.
        in_place = {"sourceDestCheck"} if key.startswith(f"{ENI}::") else set()
        assert drop(before["inputs"], in_place) == drop(after["inputs"], in_place), key
        assert before.get("parent") == after.get("parent")
        assert before.get("replacementTrigger") == after.get("replacementTrigger")


@pytest.mark.parametrize(
    ("script", "steps"), [("nat.sh", True), ("routes.sh", False), ("echo.sh", False), ("pair_watch.py", True)]
)
def test_an_edited_script_makes_proxies_that_carry_it_step_aside(
    script: str, steps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_scripts, "DIRECTORY", scripts_with(script, tmp_path))
    both = changed(graph_of(LAB_PAIR), run_stack(LAB_SINGLE, change=become_pair))
    stepping = {f"{COMMAND}::proxy-{index}-{step}" for index in (0, 1) for step in ("steps-aside", "ready")}
    assert both & stepping == (stepping if steps else set())


def test_what_a_proxy_does_around_a_change_is_the_same_change() -> None:
    resources = graph_of(LAB_PAIR).resources
    for proxy in ("proxy-0", "proxy-1"):
        aside, ready = (
            step_of(resources[f"{COMMAND}::{proxy}-{step}"]["inputs"]["stdin"])
            for step in ("steps-aside", "ready")
        )
        assert (aside[0], ready[0]) == ("steps_aside", "is_ready")
        assert aside[1] == ready[1]
        assert re.fullmatch("[0-9a-f]{64}", aside[1])
        assert (aside[2], ready[2]) == (["--staying", "tenant-alpha"], [])


def test_what_is_left_of_a_pair_is_asked_before_anything_changes() -> None:
    """The func hosts' tunnels too: they lead to another address then."""
    resources = graph_of(LAB_SINGLE).resources
    asked, told = f"{COMMAND}::proxy-0-stays-alone", f"{COMMAND}::proxy-0-tunnel"
    assert asked in resources[f"{COMMAND}::proxy-0-packages"]["dependsOn"]
    for stack in (LAB_SINGLE, LAB_PAIR):
        assert told in graph_of(stack).resources[f"{COMMAND}::func-0-tunnel"]["dependsOn"]


def test_proxies_on_a_way_of_the_operators_get_no_endpoint() -> None:
    def own_way(configuration: Configuration) -> None:
        become_pair(configuration)
        configuration["causeway:api"] = {"way": "own"}

    graph = run_stack(LAB_SINGLE, change=own_way)
    assert not graph.of_type(ENDPOINT, f"{GROUP}::platform-api")
    rule = graph.resources[f"{EGRESS}::platform-proxy-egress-https-0.0.0.0-0"]
    assert (rule["inputs"]["fromPort"], rule["inputs"]["toPort"]) == (443, 443)
    assert [broken for rule in RULES for broken in rule(graph)] == []

    def install_too(configuration: Configuration) -> None:
        own_way(configuration)
        configuration["causeway:install_packages"] = True

    assert (
        f"{EGRESS}::platform-proxy-egress-https-0.0.0.0-0"
        in run_stack(LAB_SINGLE, change=install_too).resources
    )


def test_an_eni_that_aws_chooses_an_address_for_comes_after_the_reservation() -> None:
    """Else it might get the HaVip."""
    for key, entry in graph_of(LAB_PAIR).of_type(ENI).items():
        assert (
            "aws:ec2/subnetCidrReservation:SubnetCidrReservation::havip-alpha-reservation"
            in entry["dependsOn"]
        ), key


def test_one_func_host_less_leaves_the_others_alone() -> None:
    assert changed(func_hosts(3), func_hosts(2)) == {f"{COMMAND}::proxy-0-tunnel"}


@pytest.mark.parametrize("count", [10, 100])
def test_resources_grow_with_hosts_and_nothing_else_does(count: int) -> None:
    one, many = func_hosts(1), func_hosts(count)
    per_host = 9  # host, config, instance, address and its association, four concerns
    assert len(many.resources) == len(one.resources) + (count - 1) * per_host
    func = f"{COMMAND}::func-0-packages"
    assert many.resources[func] == one.resources[func]


def test_a_second_tenant_leaves_the_first_ones_resources_alone() -> None:
    def add_tenant(configuration: Configuration) -> None:
        (alpha,) = configuration["causeway:tenants"]
        beta = {
            "name": "beta",
            "index": 2,
            "create": {
                "vpc_cidr": "172.18.0.0/16",
                "subnet_cidr": "172.18.101.0/24",
                "instance_address": "172.18.101.4",
                "instance_type": alpha["create"]["instance_type"],
            },
            "cidrs": ["172.18.101.0/24"],
            "user_eni_address": "172.18.101.10",
            "overlay": {"cidr": "10.0.1.0/24", "proxy": "10.0.1.4", "first_func": "10.0.1.3"},
        }
        configuration["causeway:tenants"] = [beta, alpha]  # order means nothing

    names = {"func-0-container", "func-0-tunnel", "func-0-routes"}
    names |= {f"proxy-0-{concern}" for concern in ("input", "user-eni", "tunnel", "forward", "nat")}
    assert changed(graph_of(LAB_SINGLE), run_stack(LAB_SINGLE, change=add_tenant)) == {
        f"{COMMAND}::{name}" for name in names
    }


def on_the_same_pair(configuration: Configuration) -> None:
    """With a second tenant."""
    become_pair(configuration)
    configuration["causeway:proxy"].pop("tenants_per_pair", None)
    (alpha,) = configuration["causeway:tenants"]
    overlay = {"cidr": "10.0.1.0/24", "proxy": "10.0.1.4", "first_func": "10.0.1.3"}
    beta = {**alpha, "name": "beta", "index": 2, "overlay": overlay, "container_cidr": "10.88.1.0/24"}
    configuration["causeway:tenants"].append(beta)


def test_the_order_of_tenants_and_of_their_networks_means_nothing() -> None:
    def two(configuration: Configuration) -> None:
        on_the_same_pair(configuration)
        configuration["causeway:tenants"][1]["cidrs"] = ["172.16.101.0/24", "172.16.7.0/24"]

    def the_other_way_round(configuration: Configuration) -> None:
        two(configuration)
        configuration["causeway:tenants"].reverse()
        configuration["causeway:tenants"][0]["cidrs"].reverse()

    one, other = run_stack(LAB_SINGLE, change=two), run_stack(LAB_SINGLE, change=the_other_way_round)
    assert one.resources == other.resources


def test_a_tenant_that_comes_or_goes_changes_no_right_in_place() -> None:
    """A right that goes while the proxy still claims has the pair change sides; what is removed goes last of all."""
    one, two = graph_of(LAB_PAIR), run_stack(LAB_SINGLE, change=on_the_same_pair)
    assert not {key for key in changed(one, two) if key.startswith(POLICY)}
    assert {key.split("::")[1] for key in two.of_type(POLICY).keys() - one.resources.keys()} == {
        "proxy-0-claims-beta",
        "proxy-1-claims-beta",
    }


def scripts_with(edited: str, directory: Path) -> Path:
    shutil.copytree(host_scripts.DIRECTORY, directory, dirs_exist_ok=True)
    with (directory / edited).open("a") as script:
        script.write("# edited\n")
    return directory


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("nat.sh", {"proxy-0-nat"}),
        ("routes.sh", {"func-0-routes"}),
        ("tunnel.sh", {"func-0-tunnel", "proxy-0-tunnel"}),
        ("echo_service.py", {"user-alpha-echo"}),
    ],
)
def test_an_edited_script_changes_the_commands_that_carry_it(
    script: str, commands: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = graph_of(LAB_SINGLE)
    monkeypatch.setattr(host_scripts, "DIRECTORY", scripts_with(script, tmp_path))
    assert changed(before, run_stack(LAB_SINGLE)) == {f"{COMMAND}::{name}" for name in commands}


@pytest.mark.parametrize("script", ["lib.sh", "receive.sh", "apply", "causeway.service"])
def test_an_edited_common_file_changes_every_command(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = graph_of(LAB_SINGLE)
    monkeypatch.setattr(host_scripts, "DIRECTORY", scripts_with(script, tmp_path))
    installing = {
        key for key, entry in before.of_type(COMMAND).items() if "receive_file" in entry["inputs"]["stdin"]
    }
    assert changed(before, run_stack(LAB_SINGLE)) == installing


def test_another_user_eni_address_replaces_the_user_eni() -> None:
    """Its addresses are ignored, so this would go unnoticed but for the trigger."""

    def change(configuration: Configuration) -> None:
        configuration["causeway:tenants"][0]["user_eni_address"] = "172.16.101.11"

    key = f"{ENI}::proxy-0-user1-eni"
    before, after = (
        graph.resources[key] for graph in (graph_of(LAB_SINGLE), run_stack(LAB_SINGLE, change=change))
    )
    assert before["replacementTrigger"] != after["replacementTrigger"]


def test_a_tenant_that_takes_anothers_index_takes_its_place_on_the_proxy() -> None:
    """The same resource, so that the old interface is detached before the new one is attached."""

    def rename(configuration: Configuration) -> None:
        configuration["causeway:tenants"][0]["name"] = "gamma"

    key = f"{ATTACHMENT}::proxy-0-user1-attachment"
    before, after = (
        graph.resources for graph in (graph_of(LAB_SINGLE), run_stack(LAB_SINGLE, change=rename))
    )
    assert before[key]["inputs"] == after[key]["inputs"]
    assert after[key]["deleteBeforeReplace"]
    assert {name for name in after if name.startswith(ATTACHMENT)} == {key}
    eni = after[f"{ENI}::proxy-0-user1-eni"]["inputs"]
    assert eni["tags"]["Name"] == "proxy-0-gamma"
    assert eni["subnetId"] != before[f"{ENI}::proxy-0-user1-eni"]["inputs"]["subnetId"]


def test_a_user_eni_is_attached_to_a_proxy_that_is_closed_to_it() -> None:
    for stack in ALL_STACKS:
        resources = graph_of(stack).resources
        for name, entry in resources.items():
            if name.startswith(ATTACHMENT):
                proxy = (
                    name.split("::")[1].removesuffix("-user1-attachment").removesuffix("-user2-attachment")
                )
                assert f"{COMMAND}::{proxy}-input" in entry["dependsOn"]


def test_hosts_that_install_packages_behind_a_bastion_get_a_way_out_and_no_way_in() -> None:
    def install(configuration: Configuration) -> None:
        configuration["causeway:install_packages"] = True

    isolated, installing = graph_of("prod"), run_stack("prod", change=install)
    assert {key.split("::")[1] for key in installing.resources.keys() - isolated.resources.keys()} == {
        "platform-nat",
        "platform-nat-address",
        "platform-egress-routes",
        "platform-egress-default",
        *(
            f"platform-{group}-egress-{traffic}-0.0.0.0-0"
            for group in ("func", "proxy")
            for traffic in ("http", "https")
        ),
    }
    assert isolated.resources.keys() - installing.resources.keys() == {
        "aws:ec2/routeTable:RouteTable::platform-isolated-routes"
    }
    assert [broken for rule in RULES for broken in rule(installing)] == []


def test_naming_the_image_that_runs_has_no_proxy_step_aside() -> None:
    def pinned_to(image: str) -> Change:
        return lambda configuration: configuration.update({"causeway:ami": image})

    newest = run_stack(LAB_PAIR, previous=graph_of(LAB_PAIR).outputs)
    named = run_stack(LAB_PAIR, change=pinned_to(NEWEST_IMAGE), previous=newest.outputs)
    assert all(key.startswith(INSTANCE) for key in changed(newest, named))
    other = run_stack(LAB_PAIR, change=pinned_to("ami-0123456789abcdef0"), previous=named.outputs)
    assert f"{COMMAND}::proxy-0-steps-aside" in changed(named, other)
    assert "aws:iam/role:Role::proxy-0-role" in changed(named, other)
    none = run_stack(LAB_PAIR, previous=other.outputs)
    assert all(key.startswith(INSTANCE) for key in changed(other, none))


def test_a_newer_image_replaces_nothing_and_a_pinned_one_is_followed() -> None:
    def pin(configuration: Configuration) -> None:
        configuration["causeway:ami"] = "ami-0123456789abcdef0"

    key = f"{INSTANCE}::proxy-0-instance"
    newest, pinned = graph_of(LAB_SINGLE), run_stack(LAB_SINGLE, change=pin)
    assert newest.resources[key]["ignoreChanges"] == ["ami", "sourceDestCheck"]
    assert pinned.resources[key]["ignoreChanges"] == ["sourceDestCheck"]
    assert pinned.resources[key]["inputs"]["ami"] == "ami-0123456789abcdef0"
    assert newest.outputs["plan"]["image"] != pinned.outputs["plan"]["image"]


def test_the_api_is_at_both_addresses_while_its_endpoint_moves() -> None:
    """One proxy after the other is told; a pair could not fail over meanwhile."""

    def move(configuration: Configuration) -> None:
        configuration["causeway:api"]["endpoint_address"] = "192.168.4.210"

    key = f"{ENDPOINT}::proxy-pair-api-endpoint"
    before = graph_of(LAB_PAIR).outputs
    moved, stays = run_stack(LAB_PAIR, change=move, previous=before), run_stack(LAB_PAIR, previous=before)
    for graph in (moved, stays):
        assert graph.resources[key]["replaceOnChanges"] == ["subnetConfigurations"], "never in place"
    assert "deleteBeforeReplace" not in moved.resources[key]
    assert stays.resources[key]["deleteBeforeReplace"], "for another reason: the address is taken"


def test_another_operator_key_replaces_no_host() -> None:
    instance = graph_of(LAB_SINGLE).resources[f"{INSTANCE}::func-0-instance"]
    assert instance["inputs"]["keyName"] == "causeway-lab"
    assert "aws:ec2/keyPair:KeyPair::operator-key" in instance["dependsOn"]


def test_what_a_host_is_told_arrives_whole() -> None:
    stdin = graph_of(LAB_SINGLE).resources[f"{COMMAND}::proxy-0-nat"]["inputs"]["stdin"]
    files = received_files(stdin)
    assert files["/opt/causeway/nat.sh"] == (host_scripts.DIRECTORY / "nat.sh").read_text()
    assert list(files)[-1] == "/etc/causeway/nat.json"
    assert stdin.endswith("\napply_concern nat\n}\nmain </dev/null\n")


def test_a_script_that_would_end_its_own_transfer_is_refused(tmp_path: Path) -> None:
    directory = scripts_with("nat.sh", tmp_path)
    (directory / "nat.sh").write_text(f"true\n{host_scripts.END_OF_FILE}\nfalse\n")
    with pytest.raises(ValueError, match=r"/opt/causeway/nat\.sh"):
        host_scripts.configuration_script(host_scripts.Concern.NAT, {}, directory)


def test_two_resources_of_one_name_are_noticed() -> None:
    def program() -> None:
        import pulumi_aws as aws

        aws.ec2.Eip("twice")
        aws.ec2.Eip("twice")

    with pytest.raises(DuplicateResourceError, match="Eip::twice"):
        run_program(program, stack="any", project="any", configuration={})
