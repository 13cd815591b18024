"""A tenant's network that AWS would not let a user ENI into ends the program before any resource."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from tests.unit.program import ACCOUNT, LAB_SINGLE, Configuration, become_pair, run_stack
from tests.unit.program_rules import VPC
from tests.unit.program_rules_pair import RESERVATION
from tests.unit.pulumi_mocks import CallFailedError, Graph

SUBNET = "subnet-0123456789abcdef0"
USER_VPC = "vpc-0123456789abcdef0"
FOUND = {
    "id": SUBNET,
    "vpcId": USER_VPC,
    "ownerId": ACCOUNT,
    "availabilityZone": "us-east-1a",
    "cidrBlock": "172.16.101.0/24",
}


def use_existing_network(configuration: Configuration) -> None:
    (tenant,) = configuration["causeway:tenants"]
    del tenant["create"]
    tenant.update(vpc_id=USER_VPC, subnet_id=SUBNET)


def run_with_subnet(**answer: str) -> Graph:
    return run_stack(LAB_SINGLE, change=use_existing_network, subnets={SUBNET: {**FOUND, **answer}})


def test_an_existing_network_is_used_and_not_made() -> None:
    graph = run_with_subnet()
    eni = graph.resources["aws:ec2/networkInterface:NetworkInterface::proxy-0-user1-eni"]
    assert eni["inputs"]["subnetId"] == SUBNET
    assert set(graph.of_type(VPC)) == {f"{VPC}::platform-vpc"}
    assert graph.outputs["tenants"]["alpha"]["user_instance"] is None
    assert "user-alpha" not in graph.outputs["hosts"]


@pytest.mark.parametrize(
    ("answer", "key", "said"),
    [
        (
            {"ownerId": "210987654321"},
            "subnet_id",
            "belongs to account 210987654321, the stack to 123456789012",
        ),
        ({"availabilityZone": "us-east-1b"}, "subnet_id", "an ENI cannot leave its availability zone"),
        ({"vpcId": "vpc-0fedcba9876543210"}, "vpc_id", f"{SUBNET} is in vpc-0fedcba9876543210"),
        (
            {"cidrBlock": "172.16.102.0/24"},
            "user_eni_address",
            f"is not in {SUBNET}, which is 172.16.102.0/24",
        ),
    ],
)
def test_an_unusable_network_is_refused(answer: dict[str, str], key: str, said: str) -> None:
    with pytest.raises(pulumi.RunError) as refusal:
        run_with_subnet(**answer)
    assert f"tenants[0].{key}: " in str(refusal.value)
    assert said in str(refusal.value)
    assert "→" in str(refusal.value)


OTHER = "subnet-0fedcba9876543210"


def run_with_subnets(*answers: dict[str, str]) -> Graph:
    """The tenant's subnets, each with what AWS says of it."""
    found = {answer["id"]: answer for answer in answers}

    def use_subnets(configuration: Configuration) -> None:
        use_existing_network(configuration)
        (tenant,) = configuration["causeway:tenants"]
        del tenant["subnet_id"]
        tenant["subnet_ids"] = list(found)

    return run_stack(LAB_SINGLE, change=use_subnets, subnets=found)


@pytest.mark.parametrize(
    "unfit",
    [
        {"availabilityZone": "us-east-1b"},
        {"cidrBlock": "172.16.102.0/24"},  # user_eni_address is not in it
        {"ownerId": "210987654321"},
    ],
)
def test_of_several_subnets_the_first_is_taken_that_will_do(unfit: dict[str, str]) -> None:
    graph = run_with_subnets({**FOUND, **unfit, "id": OTHER}, FOUND, {**FOUND, "id": "subnet-00000001"})
    eni = graph.resources["aws:ec2/networkInterface:NetworkInterface::proxy-0-user1-eni"]
    assert eni["inputs"]["subnetId"] == SUBNET


def test_not_knowing_a_subnet_is_no_reason_to_take_another_one() -> None:
    with pytest.raises(pulumi.RunError, match=r"1 problem") as refusal:
        run_with_subnets(
            {"id": OTHER, "error": "RequestLimitExceeded: Request limit exceeded."}, {**FOUND, "id": SUBNET}
        )
    assert f"tenants[0].subnet_ids[0]: {OTHER}\n    cannot be looked up: " in str(refusal.value)
    assert "RequestLimitExceeded" in str(refusal.value)
    gone = "reading EC2 Subnet: no matching EC2 Subnet found"
    assert run_with_subnets({"id": OTHER, "error": gone}, FOUND).of_type(
        "aws:ec2/networkInterface:NetworkInterface"
    )


def test_where_no_subnet_will_do_each_says_why() -> None:
    with pytest.raises(pulumi.RunError, match=r"3 problems") as refusal:
        run_with_subnets(
            {**FOUND, "availabilityZone": "us-east-1b"},
            {**FOUND, "id": OTHER, "cidrBlock": "172.16.102.0/24"},
        )
    said = str(refusal.value)
    assert "tenants[0].subnet_ids: 2 subnets\n    none of them will do" in said
    assert f"tenants[0].subnet_ids[0]: {SUBNET}\n    is in us-east-1b" in said
    assert f"tenants[0].user_eni_address: 172.16.101.10\n    is not in {OTHER}" in said


@pytest.mark.parametrize("address", [0, 1, 2, 3, 255])
def test_an_address_that_aws_keeps_is_refused(address: int) -> None:
    def use_address(configuration: Configuration) -> None:
        use_existing_network(configuration)
        configuration["causeway:tenants"][0]["user_eni_address"] = f"172.16.101.{address}"

    with pytest.raises(
        pulumi.RunError, match=rf"user_eni_address: 172.16.101.{address}\n.*is reserved"
    ) as refusal:
        run_stack(LAB_SINGLE, change=use_address, subnets={SUBNET: FOUND})
    assert "→ choose one from 172.16.101.4 to 172.16.101.254, or leave it out" in str(refusal.value)


def use_existing_network_with_a_pair(configuration: Configuration) -> None:
    become_pair(configuration)
    use_existing_network(configuration)


@pytest.mark.parametrize(
    ("key", "address", "said"),
    [
        ("havip", "172.16.101.255", "is reserved in"),
        ("havip", "172.16.102.100", "is not in"),
        ("user_eni_address", "172.16.101.3", "is reserved in"),
        ("user_eni_address", "172.16.101.254", "is followed by 172.16.101.255, which the ENI on proxy-1 has"),
    ],
)
def test_a_pairs_addresses_are_looked_up_too(key: str, address: str, said: str) -> None:
    def use_address(configuration: Configuration) -> None:
        use_existing_network_with_a_pair(configuration)
        configuration["causeway:tenants"][0][key] = address

    with pytest.raises(pulumi.RunError, match=r"1 problem") as refusal:
        run_stack(LAB_SINGLE, change=use_address, subnets={SUBNET: FOUND})
    assert f"tenants[0].{key}: {address}\n" in str(refusal.value)
    assert said in str(refusal.value)


def test_the_pairs_address_in_an_existing_subnet_is_reserved_and_nothing_else_made() -> None:
    graph = run_stack(LAB_SINGLE, change=use_existing_network_with_a_pair, subnets={SUBNET: FOUND})
    reservation = graph.resources[f"{RESERVATION}::havip-alpha-reservation"]["inputs"]
    assert (reservation["subnetId"], reservation["cidrBlock"]) == (SUBNET, "172.16.101.100/32")
    assert set(graph.of_type(VPC)) == {f"{VPC}::platform-vpc"}


HAVIP = "172.16.101.100"
PAIRS_OWN = {
    "id": "eni-0aaaaaaaaaaaaaaaa",
    "description": "Causeway: tenant alpha on proxy-1",
    "privateIp": "172.16.101.11",
    "tags": {"Project": "causeway", "Stack": "lab", "causeway:tenant": "alpha", "causeway:role": "user-eni"},
}


def run_with_holder(**holder: object) -> Graph:
    holders = {HAVIP: {**PAIRS_OWN, **holder}} if holder else {}
    return run_stack(
        LAB_SINGLE, change=use_existing_network_with_a_pair, subnets={SUBNET: FOUND}, holders=holders
    )


@pytest.mark.parametrize(
    ("holder", "said"),
    [
        (
            {"tags": {}, "description": "RDSNetworkInterface"},
            "belongs to another network interface in subnet-0123456789abcdef0, eni-0aaaaaaaaaaaaaaaa "
            "(RDSNetworkInterface)",
        ),
        ({"tags": {}, "description": ""}, "eni-0aaaaaaaaaaaaaaaa: the pair would"),
        ({"tags": {**PAIRS_OWN["tags"], "Stack": "dev"}}, "belongs to another"),  # type: ignore[dict-item]
        ({"tags": {**PAIRS_OWN["tags"], "causeway:tenant": "beta"}}, "belongs to another"),  # type: ignore[dict-item]
        ({"privateIp": HAVIP}, "is the primary address of eni-0aaaaaaaaaaaaaaaa"),
    ],
)
def test_a_pairs_address_that_somebody_has_is_refused(holder: dict[str, object], said: str) -> None:
    with pytest.raises(pulumi.RunError, match=r"1 problem") as refusal:
        run_with_holder(**holder)
    assert f"tenants[0].havip: {HAVIP}\n" in str(refusal.value)
    assert said in str(refusal.value)
    assert "→ choose an address of the subnet that nothing has, nor will get" in str(refusal.value)


def test_the_pair_itself_may_have_its_address_and_nothing_is_made_of_that() -> None:
    assert run_with_holder(id="eni-0aaaaaaaaaaaaaaaa").resources == run_with_holder().resources


def test_nobody_is_asked_for_an_address_that_a_single_proxy_has_no_use_for() -> None:
    assert "aws:ec2/getNetworkInterfaces:getNetworkInterfaces" not in {
        call.token for call in run_with_subnet().invocations
    }


@pytest.mark.parametrize(
    ("cidr", "other"),
    [
        ("192.168.128.0/24", "platform.vpc_cidr, 192.168.0.0/16"),
        ("10.0.0.64/26", "tenants[0].overlay.cidr, 10.0.0.0/24"),
        ("10.0.0.0/20", "tenants[0].overlay.cidr, 10.0.0.0/24"),
        ("10.88.0.0/16", "tenants[0].container_cidr, 10.88.0.0/24"),
    ],
)
def test_a_subnet_among_the_stacks_own_networks_is_refused(cidr: str, other: str) -> None:
    def leave_address_to_aws(configuration: Configuration) -> None:
        use_existing_network(configuration)
        del configuration["causeway:tenants"][0]["user_eni_address"]

    with pytest.raises(pulumi.RunError, match=r"1 problem") as refusal:
        run_stack(LAB_SINGLE, change=leave_address_to_aws, subnets={SUBNET: {**FOUND, "cidrBlock": cidr}})
    assert f"tenants[0].subnet_id: {SUBNET}\n    is {cidr}, which overlaps {other}" in str(refusal.value)


ENI = "aws:ec2/networkInterface:NetworkInterface::proxy-0-user1-eni"


def with_address(address: str | None, previous: Mapping[str, Any] | None = None) -> Graph:
    def change(configuration: Configuration) -> None:
        use_existing_network(configuration)
        (tenant,) = configuration["causeway:tenants"]
        del tenant["user_eni_address"]
        if address is not None:
            tenant["user_eni_address"] = address

    subnets = {SUBNET: {**FOUND, "cidrBlock": "172.31.0.0/16"}}
    return run_stack(LAB_SINGLE, change=change, subnets=subnets, previous=previous)


@pytest.mark.parametrize("first", [None, "172.31.7.7"])
def test_an_eni_is_another_one_only_for_an_address_that_it_has_not(first: str | None) -> None:
    """Naming the one that AWS chose is no change, nor is to name none any more."""
    made = with_address(first)
    has = made.outputs["tenants"]["alpha"]["user_enis"]["proxy-0"]["private_address"]
    for address in (has, None):
        again = with_address(address, made.outputs)
        assert again.resources[ENI]["replacementTrigger"] == made.resources[ENI]["replacementTrigger"]
    other = with_address("172.31.9.9", made.outputs)
    assert other.resources[ENI]["replacementTrigger"] == "172.31.9.9"


def test_who_comes_to_a_place_in_the_same_update_gets_its_eni() -> None:
    """Which has the address that both name, and nobody else can get it meanwhile."""
    chosen = with_address(None)
    has = chosen.outputs["tenants"]["alpha"]["user_enis"]["proxy-0"]["private_address"]
    named = with_address(has, chosen.outputs)
    before = copy.deepcopy(named.outputs)
    before["tenants"]["other"] = before["tenants"].pop("alpha")
    again = with_address(has, before)
    assert again.resources[ENI]["replacementTrigger"] == named.resources[ENI]["replacementTrigger"]


def test_a_subnet_without_ipv4_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="has no IPv4 addresses"):
        run_with_subnet(cidrBlock="")


def test_another_account_is_told_what_aws_allows() -> None:
    with pytest.raises(pulumi.RunError, match="only within one account") as refusal:
        run_with_subnet(ownerId="210987654321")
    assert "PrivateLink" in str(refusal.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(pulumi.RunError, match="2 problems"):
        run_with_subnet(ownerId="210987654321", availabilityZone="us-east-1b")


def test_a_subnet_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        pulumi.RunError, match=r"finds no such subnet in us-east-1: .*InvalidSubnetID\.NotFound"
    ):
        run_stack(LAB_SINGLE, change=use_existing_network, subnets={})


@pytest.mark.parametrize(
    ("module", "function", "said"),
    [
        (
            aws.ssm,
            "get_parameter",
            "ami: /aws/service/debian/release/13/latest/amd64\n    cannot be looked up: Denied",
        ),
        (aws, "get_caller_identity", "region: us-east-1\n    cannot be looked up: Denied"),
        (
            aws.ec2,
            "get_network_interfaces",
            "tenants[0].havip: 172.16.101.100\n    cannot be looked up: Denied",
        ),
    ],
)
def test_what_aws_does_not_say_is_one_clear_problem(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, said: str
) -> None:
    def refuses(**_: object) -> None:
        raise CallFailedError("Denied")

    def change(configuration: Configuration) -> None:
        use_existing_network(configuration)
        become_pair(configuration)

    monkeypatch.setattr(module, function, refuses)
    with pytest.raises(pulumi.RunError, match="1 problem") as refusal:
        run_stack(LAB_SINGLE, change=change, subnets={SUBNET: FOUND})
    assert said in str(refusal.value)
    assert "credentials that may " in str(refusal.value)


def test_everything_is_asked_before_anything_is_made() -> None:
    graph = run_with_subnet()
    assert {call.token.rsplit(":", 1)[1] for call in graph.invocations} == {
        "getCallerIdentity",
        "getSubnet",
        "getParameter",
        "readStackOutputs",
    }
    assert {call.resources_before for call in graph.invocations} == {0}


def test_a_refused_network_leaves_nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    init = pulumi.Resource.__init__

    def note(self: pulumi.Resource, *args: object, **kwargs: object) -> None:
        made.append(type(self).__name__)
        init(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(pulumi.Resource, "__init__", note)
    with pytest.raises(pulumi.RunError):
        run_with_subnet(ownerId="210987654321")
    assert made == ["Stack"]
