"""The rules hold for every stack, and each notices a graph in which it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy

import pytest

from tests.unit import program_rules as rules
from tests.unit import program_rules_pair as pair
from tests.unit.program import ALL_STACKS, COMMAND, LAB_PAIR, PRIVATE_KEY, graph_of
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
from tests.unit.program_rules_pair import ACTION
from tests.unit.pulumi_mocks import SECRET, Graph, Json

Doctor = Callable[[Graph], str]  # breaks the graph and says where

PROXY = f"{INSTANCE}::proxy-0-instance"
USER_ENI = f"{ENI}::proxy-0-user1-eni"
TUNNEL = f"{COMMAND}::proxy-0-tunnel"
FUNC = f"{INSTANCE}::func-0-instance"
API_ENDPOINT = f"{pair.ENDPOINT}::proxy-pair-api-endpoint"


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


def add_resource(kind: str) -> Doctor:
    def doctor(graph: Graph) -> str:
        graph.resources[f"{kind}::doctored"] = {"inputs": {}, "dependsOn": []}
        return f"{kind}::doctored"

    return doctor


def claim_at_once(graph: Graph) -> str:
    key = f"{pair.POLICY}::proxy-1-claims-alpha"
    graph.resources[key]["dependsOn"].remove(f"{COMMAND}::proxy-1-steps-aside")
    return key


def reserve_otherwise(name: str, value: str) -> Doctor:
    def doctor(graph: Graph) -> str:
        graph.resources[f"{pair.RESERVATION}::havip-alpha-reservation"]["inputs"][name] = value
        return "alpha"

    return doctor


def change_statement(**statement: Json) -> Doctor:
    def doctor(graph: Graph) -> str:
        key = f"{pair.POLICY}::proxy-0-claims-alpha"
        document = json.loads(graph.resources[key]["inputs"]["policy"])
        document["Statement"][0].update(statement)
        graph.resources[key]["inputs"]["policy"] = json.dumps(document)
        return key

    return doctor


def _eni(name: str) -> str:
    return f"arn:aws:ec2:us-east-1:123456789012:network-interface/{name}"


def pack_together(graph: Graph) -> str:
    graph.resources[f"{pair.PLACEMENT}::proxy-spread"]["inputs"]["strategy"] = "cluster"
    return PROXY


def forget_dependency(name: str, other: str) -> Doctor:
    def doctor(graph: Graph) -> str:
        key = f"{COMMAND}::{name}"
        graph.resources[key]["dependsOn"].remove(f"{COMMAND}::{other}")
        return key

    return doctor


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
    (rules.source_dest_check_is_off_on_proxies_alone, set_input(PROXY, "sourceDestCheck", True)),
    (rules.source_dest_check_is_off_on_proxies_alone, set_option(PROXY, "ignoreChanges", ["ami"])),
    (rules.source_dest_check_is_off_on_proxies_alone, set_input(USER_ENI, "sourceDestCheck", True)),
    (rules.source_dest_check_is_off_on_proxies_alone, set_input(FUNC, "sourceDestCheck", False)),
    (
        rules.source_dest_check_is_off_on_proxies_alone,
        set_option(FUNC, "ignoreChanges", ["ami", "sourceDestCheck"]),
    ),
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
    (pair.havips_are_only_reserved_and_told, set_input(PROXY, "secondaryPrivateIps", ["192.168.4.100"])),
    (pair.havips_are_only_reserved_and_told, set_input(USER_ENI, "privateIps", ["172.16.101.100"])),
    (
        pair.havips_are_only_reserved_and_told,
        set_input(TUNNEL, "create", "ip addr add 192.168.4.100/32 dev eth0"),
    ),
    (pair.havips_are_only_reserved_and_told, set_input(API_ENDPOINT, "tags", {"Name": "192.168.4.100"})),
    (pair.every_havip_is_reserved, reserve_otherwise("cidrBlock", "172.16.101.96/28")),
    (pair.every_havip_is_reserved, reserve_otherwise("subnetId", "platform-proxy-subnet-id")),
    (pair.every_havip_is_reserved, reserve_otherwise("reservationType", "prefix")),
    (pair.roles_claim_for_their_own_interfaces_only, change_statement(Action="ec2:*")),
    (pair.roles_claim_for_their_own_interfaces_only, claim_at_once),
    (
        pair.roles_claim_for_their_own_interfaces_only,
        change_statement(Action=[ACTION, "ec2:DescribeInstances"]),
    ),
    (pair.roles_claim_for_their_own_interfaces_only, change_statement(Resource="*")),
    (pair.roles_claim_for_their_own_interfaces_only, change_statement(NotAction="iam:*")),
    (
        pair.roles_claim_for_their_own_interfaces_only,
        change_statement(Resource=[_eni("proxy-0-instance-primary")]),
    ),
    (
        pair.roles_claim_for_their_own_interfaces_only,
        change_statement(
            Resource=[
                _eni(name)
                for name in ("proxy-0-instance-primary", "proxy-0-user1-eni-id", "proxy-1-user1-eni-id")
            ]
        ),
    ),
    (pair.roles_claim_for_their_own_interfaces_only, add_resource(pair.OTHER_POLICIES[0])),
    (pair.only_proxies_have_roles, set_input(FUNC, "iamInstanceProfile", "proxy-0-profile")),
    (pair.only_proxies_have_roles, drop_input(PROXY, "iamInstanceProfile")),
    (pair.only_proxies_have_roles, set_option(PROXY, "dependsOn", [f"{pair.PROFILE}::proxy-1-profile"])),
    (pair.vrrp_between_proxies_only, add_rule(INGRESS, "platform-func", ipProtocol="112")),
    (
        pair.vrrp_between_proxies_only,
        add_rule(INGRESS, "platform-proxy", ipProtocol="112", cidrIpv4="192.168.4.0/24"),
    ),
    (
        pair.endpoints_are_for_proxies_only,
        add_rule(
            INGRESS,
            "platform-func",
            securityGroupId="platform-api-id",
            ipProtocol="tcp",
            fromPort=443,
            toPort=443,
        ),
    ),
    (
        pair.endpoints_are_for_proxies_only,
        add_rule(
            EGRESS,
            "platform-proxy",
            securityGroupId="platform-api-id",
            ipProtocol="tcp",
            fromPort=80,
            toPort=80,
        ),
    ),
    (pair.endpoints_are_for_proxies_only, drop_input(API_ENDPOINT, "policy")),
    (pair.endpoints_are_for_proxies_only, set_input(API_ENDPOINT, "securityGroupIds", ["platform-proxy-id"])),
    (pair.proxies_stand_apart, drop_input(PROXY, "placementGroup")),
    (pair.proxies_stand_apart, pack_together),
    (pair.a_pair_is_changed_one_proxy_at_a_time, forget_dependency("proxy-1-steps-aside", "proxy-0-ready")),
    (
        pair.a_pair_is_changed_one_proxy_at_a_time,
        forget_dependency("proxy-0-packages", "proxy-0-steps-aside"),
    ),
    (pair.a_pair_is_changed_one_proxy_at_a_time, forget_dependency("proxy-0-ready", "proxy-0-pair")),
    (
        pair.a_pair_is_changed_one_proxy_at_a_time,
        set_option(f"{INSTANCE}::proxy-1-instance", "dependsOn", [f"{COMMAND}::proxy-0-ready"]),
    ),
]


@pytest.mark.parametrize(
    ("rule", "doctor"), DOCTORED, ids=[f"{rule.__name__}-{at}" for at, (rule, _) in enumerate(DOCTORED)]
)
def test_rule_notices(rule: Rule, doctor: Doctor) -> None:
    graph = deepcopy(graph_of(LAB_PAIR))
    assert list(rule(graph)) == []
    assert doctor(graph) in list(rule(graph))


def test_each_rule_is_proven_to_notice() -> None:
    assert {rule for rule, _ in DOCTORED} == set(RULES)
