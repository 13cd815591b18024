"""The rules hold for every stack, and each notices a graph in which it does not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest

from tests.unit import program_rules as rules
from tests.unit.program import ALL_STACKS, COMMAND, PRIVATE_KEY, graph_of
from tests.unit.program_rules import (
    ATTACHMENT,
    DEFAULT_GROUP,
    EGRESS,
    ENI,
    GROUP,
    INGRESS,
    INSTANCE,
    RULES,
    Rule,
)
from tests.unit.pulumi_mocks import SECRET, Graph, Json

Doctor = Callable[[Graph], str]  # breaks the graph and says where

PROXY = f"{INSTANCE}::proxy-0-instance"
USER_ENI = f"{ENI}::proxy-0-user1-eni"
TUNNEL = f"{COMMAND}::proxy-0-tunnel"


@pytest.mark.parametrize("stack", ALL_STACKS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Rule, stack: str) -> None:
    assert list(rule(graph_of(stack))) == []


def set_input(key: str, name: str, value: Json) -> Doctor:
    def doctor(graph: Graph) -> str:
        graph.resources[key]["inputs"][name] = value
        return key

    return doctor


def drop_input(key: str, name: str) -> Doctor:
    def doctor(graph: Graph) -> str:
        del graph.resources[key]["inputs"][name]
        return key

    return doctor


def set_option(key: str, name: str, value: Json) -> Doctor:
    def doctor(graph: Graph) -> str:
        graph.resources[key][name] = value
        return key

    return doctor


def add_rule(kind: str, group: str, **inputs: Json) -> Doctor:
    def doctor(graph: Graph) -> str:
        key = f"{kind}::doctored"
        graph.resources[key] = {"inputs": inputs, "dependsOn": [f"{GROUP}::{group}"]}
        return key

    return doctor


def let_install(key: str, *ports: int) -> Doctor:
    """The host installs packages, and may talk to these ports only."""

    def doctor(graph: Graph) -> str:
        inputs = graph.resources[key]["inputs"]
        inputs["stdin"] = inputs["stdin"].replace('"install": false', '"install": true')
        for port in ports:
            for group in ("func", "proxy"):
                rule = {"securityGroupId": f"platform-{group}-id", "cidrIpv4": "0.0.0.0/0", "fromPort": port}
                graph.resources[f"{EGRESS}::{group}-{port}"] = {"inputs": rule}
        return key

    return doctor


def remove_default_group(graph: Graph) -> str:
    del graph.resources[f"{DEFAULT_GROUP}::platform-default"]
    return f"{rules.VPC}::platform-vpc"


def show_key_in_an_output(graph: Graph) -> str:
    graph.outputs["hosts"]["proxy-0"]["key"] = PRIVATE_KEY
    return "outputs"


def put_secret_into_an_output(graph: Graph) -> str:
    graph.outputs["hosts"]["proxy-0"]["key"] = {SECRET: "whatever"}
    return "outputs"


SSH = {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
DOCTORED: list[tuple[Rule, Doctor]] = [
    (rules.no_way_in_from_everywhere, add_rule(INGRESS, "platform-func", cidrIpv4="0.0.0.0/0", **SSH)),
    (rules.no_way_in_from_everywhere, add_rule(INGRESS, "platform-func", cidrIpv6="::/0", **SSH)),
    (rules.no_way_in_from_everywhere, add_rule(INGRESS, "platform-func", cidrIpv4="0.0.0.0/1", **SSH)),
    (rules.no_way_in_from_everywhere, add_rule(INGRESS, "platform-func", prefixListId="pl-1", **SSH)),
    (
        rules.no_way_in_from_everywhere,
        add_rule(INGRESS, "tenant-alpha-eni", cidrIpv4="0.0.0.0/0", ipProtocol="icmp", fromPort=8, toPort=-1),
    ),
    (rules.ssh_from_the_operator_only, add_rule(INGRESS, "platform-func", cidrIpv4="9.9.9.9/32", **SSH)),
    (
        rules.ssh_from_the_operator_only,
        add_rule(INGRESS, "platform-func", cidrIpv4="9.9.9.9/32", ipProtocol="tcp", fromPort=1, toPort=1024),
    ),
    (rules.groups_open_nothing_by_themselves, set_input(f"{GROUP}::platform-func", "egress", [{}])),
    (
        rules.groups_open_nothing_by_themselves,
        set_input(f"{DEFAULT_GROUP}::platform-default", "ingress", [{}]),
    ),
    (
        rules.groups_open_nothing_by_themselves,
        add_rule(rules.OLDER_RULE, "platform-func", cidrBlocks=["0.0.0.0/0"], type="ingress"),
    ),
    (rules.groups_open_nothing_by_themselves, remove_default_group),
    (
        rules.descriptions_are_what_ec2_takes,
        set_input(f"{GROUP}::platform-func", "description", "the operator's"),
    ),
    (
        rules.every_protocol_only_on_user_enis,
        add_rule(EGRESS, "platform-func", cidrIpv4="172.16.101.0/24", ipProtocol="-1"),
    ),
    (
        rules.every_protocol_only_on_user_enis,
        add_rule(INGRESS, "tenant-alpha-eni", cidrIpv4="172.31.0.0/16", ipProtocol="-1"),
    ),
    (
        rules.out_to_everywhere_for_packages_only,
        add_rule(EGRESS, "platform-func", cidrIpv4="0.0.0.0/0", **SSH),
    ),
    (
        rules.out_to_everywhere_for_packages_only,
        add_rule(EGRESS, "platform-func", cidrIpv4="0.0.0.0/0", ipProtocol="-1"),
    ),
    (rules.packages_can_be_fetched, let_install(f"{COMMAND}::proxy-0-packages")),
    (rules.packages_can_be_fetched, let_install(f"{COMMAND}::func-0-packages", 80)),
    (rules.imdsv2_is_required, drop_input(PROXY, "metadataOptions")),
    (
        rules.imdsv2_is_required,
        set_input(PROXY, "metadataOptions", {"httpTokens": "optional", "httpPutResponseHopLimit": 1}),
    ),
    (
        rules.imdsv2_is_required,
        set_input(PROXY, "metadataOptions", {"httpTokens": "required", "httpPutResponseHopLimit": 2}),
    ),
    (rules.root_disks_are_encrypted, set_input(PROXY, "rootBlockDevice", {"encrypted": False})),
    (rules.root_disks_are_encrypted, drop_input(PROXY, "rootBlockDevice")),
    (rules.source_dest_check_stays_on, set_input(PROXY, "sourceDestCheck", False)),
    (rules.source_dest_check_stays_on, set_input(USER_ENI, "sourceDestCheck", False)),
    (rules.everything_is_tagged, drop_input(USER_ENI, "tags")),
    (rules.everything_is_tagged, set_input(PROXY, "tags", {"Name": "proxy-0"})),
    (rules.no_floating_address_is_an_input, set_input(PROXY, "secondaryPrivateIps", ["192.168.4.100"])),
    (
        rules.no_floating_address_is_an_input,
        set_input(USER_ENI, "privateIps", ["172.16.101.10", "172.16.101.100"]),
    ),
    (rules.no_floating_address_is_an_input, set_option(USER_ENI, "ignoreChanges", ["privateIps"])),
    (rules.addresses_are_freed_before_they_are_taken, set_option(PROXY, "deleteBeforeReplace", False)),
    (
        rules.addresses_are_freed_before_they_are_taken,
        set_option(f"{ATTACHMENT}::proxy-0-user1-attachment", "deleteBeforeReplace", False),
    ),
    (rules.commands_follow_their_instance, set_option(TUNNEL, "replacementTrigger", "func-0-instance-id")),
    (rules.commands_follow_their_instance, set_option(TUNNEL, "replaceWith", [PROXY])),
    (rules.commands_follow_their_instance, set_option(TUNNEL, "deletedWith", "")),
    (rules.commands_follow_their_instance, set_option(TUNNEL, "deletedWith", f"{INSTANCE}::func-0-instance")),
    (rules.commands_only_reconcile, set_input(TUNNEL, "delete", "ip link del mgre1")),
    (rules.commands_only_reconcile, set_input(TUNNEL, "triggers", ["1"])),
    (rules.commands_only_reconcile, set_input(TUNNEL, "environment", {"A": "b"})),
    (rules.commands_only_reconcile, set_input(TUNNEL, "update", "true")),
    (rules.commands_only_reconcile, drop_input(TUNNEL, "addPreviousOutputInEnv")),
    (rules.no_secret_in_plain, set_input(TUNNEL, "connection", {"privateKey": PRIVATE_KEY})),
    (rules.no_secret_in_plain, set_input(TUNNEL, "stdin", f"echo '{PRIVATE_KEY}'")),
    (rules.no_secret_in_plain, show_key_in_an_output),
    (rules.no_secret_in_plain, put_secret_into_an_output),
]


@pytest.mark.parametrize(
    ("rule", "doctor"), DOCTORED, ids=[f"{rule.__name__}-{at}" for at, (rule, _) in enumerate(DOCTORED)]
)
def test_rule_notices(rule: Rule, doctor: Doctor) -> None:
    graph = deepcopy(graph_of("lab"))
    assert doctor(graph) in list(rule(graph))


def test_each_rule_is_proven_to_notice() -> None:
    assert {rule for rule, _ in DOCTORED} == set(RULES)
