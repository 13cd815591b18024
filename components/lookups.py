"""What the program asks AWS before it makes anything: which image, and whether tenants' networks will do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pulumi
import pulumi_aws as aws

from components.asking_aws import NotSaidError, answer_of
from components.host import Image
from components.lookups_havip import havip_problems
from components.plan import ExistingNetwork, Plan, TenantPlan
from components.settings import ConfigurationError, Problem
from components.validation.ranges import FIRST_FREE, free

DEBIAN_PARAMETER = "/aws/service/debian/release/13/latest/{architecture}"  # published by Debian's AWS account

ONE_ACCOUNT = "AWS attaches an ENI across VPCs only within one account, unless it authorised the pair"
OTHER_WAYS = (
    "run the stack with credentials of the tenant's account, peer the VPCs, or have the tenant offer an "
    "endpoint service (PrivateLink)"
)


# What says that there is no such subnet: EC2 itself, and the provider's data source.
NOT_THERE = ("InvalidSubnetID", "no matching EC2 Subnet found", "empty result", "couldn't find resource")


def find_image(plan: Plan) -> Image:
    """The plan's AMI, else the Debian 13 image of the day. Ends the program if AWS does not say which that is."""
    if plan.ami is not None:
        return Image(ami=plan.ami, pinned=True)
    name = DEBIAN_PARAMETER.format(architecture=plan.architecture)
    with _ends_without_an_answer():
        parameter = answer_of(lambda: aws.ssm.get_parameter(name=name), "ami", name, "ssm:GetParameter")
    return Image(ami=parameter.insecure_value, pinned=False)  # the same as `value`, which is marked secret


@contextmanager
def _ends_without_an_answer() -> Iterator[None]:
    try:
        yield
    except NotSaidError as error:
        raise pulumi.RunError(str(ConfigurationError([error.problem]))) from error


def with_chosen_subnets(plan: Plan) -> Plan:
    """The plan with one subnet in each network that is there already.

    Ends the program, before any resource, unless it can hold this stack's ENIs.
    """
    if not any(isinstance(tenant.network, ExistingNetwork) for tenant in plan.tenants):
        return plan
    tenants, problems = [], []
    with _ends_without_an_answer():
        account = answer_of(
            aws.get_caller_identity, "region", plan.region, "sts:GetCallerIdentity"
        ).account_id
    for position, tenant in enumerate(plan.tenants):
        if isinstance(tenant.network, ExistingNetwork):
            chosen, found = _choose(plan, f"tenants[{position}]", tenant, tenant.network, account)
            problems += found
            tenants.append(replace(tenant, network=chosen))
        else:
            tenants.append(tenant)
    if problems:
        raise pulumi.RunError(str(ConfigurationError(problems)))
    return replace(plan, tenants=tuple(tenants))


def _choose(
    plan: Plan, key: str, tenant: TenantPlan, network: ExistingNetwork, account: str
) -> tuple[ExistingNetwork, list[Problem]]:
    """The first subnet that will do; else some subnet, and what is wrong with each."""
    several = len(network.subnet_ids) > 1
    problems: list[Problem] = []
    for position, subnet_id in enumerate(network.subnet_ids):
        candidate = replace(network, subnet_ids=(subnet_id,))
        name = f"{key}.subnet_ids[{position}]" if several else f"{key}.subnet_id"
        try:
            found = list(_problems(plan, key, tenant, candidate, account))
        except NotSaidError as error:
            # Not knowing is no reason to choose another one: a tenant that runs there would be moved.
            return network, [_of_subnet(error.problem, key, name)]
        if not found:
            return candidate, []
        problems += (_of_subnet(each, key, name) for each in found)
    if several:
        one_will_do = Problem(
            key=f"{key}.subnet_ids",
            value=f"{len(network.subnet_ids)} subnets",
            rule="none of them will do, for the reasons that follow",
            way_out=f"one is enough: a subnet of {network.vpc_id} in {plan.availability_zone}",
        )
        problems.insert(0, one_will_do)
    return replace(network, subnet_ids=network.subnet_ids[:1]), problems


def _of_subnet(problem: Problem, key: str, name: str) -> Problem:
    return replace(problem, key=name) if problem.key == f"{key}.subnet_id" else problem


def _problems(
    plan: Plan, key: str, tenant: TenantPlan, network: ExistingNetwork, account: str
) -> Iterator[Problem]:
    if network.account_id not in (None, account):
        yield Problem(
            key=f"{key}.account_id",
            value=str(network.account_id),
            rule=f"is not this stack's account, {account}: {ONE_ACCOUNT}",
            way_out=OTHER_WAYS,
        )
        return
    try:
        subnet = answer_of(
            lambda: aws.ec2.get_subnet(id=network.subnet_id),
            f"{key}.subnet_id",
            network.subnet_id,
            "ec2:DescribeSubnets",
        )
    except NotSaidError as error:
        if not any(said in str(error.__cause__) for said in NOT_THERE):
            raise
        yield Problem(
            key=f"{key}.subnet_id",
            value=network.subnet_id,
            rule=f"account {account} finds no such subnet in {plan.region}: {error.__cause__}",
            way_out=f"correct the id or the region; if it is in another account: {OTHER_WAYS}",
        )
        return
    yield from _subnet_problems(plan, key, network, subnet, account)
    if not subnet.cidr_block:
        yield Problem(
            key=f"{key}.subnet_id",
            value=network.subnet_id,
            rule="has no IPv4 addresses, and the proxy's ENI needs one",
            way_out="choose a subnet of the tenant with an IPv4 range",
        )
        return
    cidr = IPv4Network(subnet.cidr_block)
    yield from _overlap_problems(plan, key, network, cidr)
    misplaced = list(_address_problems(key, tenant, network, cidr))
    yield from misplaced or havip_problems(plan, key, tenant, network)


def _overlap_problems(plan: Plan, key: str, network: ExistingNetwork, cidr: IPv4Network) -> Iterator[Problem]:
    """As in a network of the stack's own: what has addresses elsewhere is not reached through the ENI."""
    others = {"platform.vpc_cidr": plan.platform.vpc_cidr}
    if plan.pod_cidr is not None:
        others["func_hosts.pod_cidr"] = plan.pod_cidr
    for position, tenant in enumerate(plan.tenants):
        others[f"tenants[{position}].overlay.cidr"] = tenant.overlay
        if tenant.container_cidr is not None:
            others[f"tenants[{position}].container_cidr"] = tenant.container_cidr
    for other, range_ in others.items():
        if cidr.overlaps(range_):
            yield Problem(
                key=f"{key}.subnet_id",
                value=network.subnet_id,
                rule=f"is {cidr}, which overlaps {other}, {range_}: a packet's way would not be clear",
                way_out=f"move {other} to a range that no tenant uses, or choose another subnet of the tenant",
            )


def _address_problems(
    key: str, tenant: TenantPlan, network: ExistingNetwork, cidr: IPv4Network
) -> Iterator[Problem]:
    enis = [address for address in tenant.user_eni_addresses if address is not None]
    first, last = free(cidr)
    if enis and (not first <= enis[0] or not enis[-1] <= last):
        fitting = f"choose one from {first} to {last - (len(enis) - 1)}, or leave it out and AWS chooses"
        rule = _misplaced(network, cidr, enis[0])
        if first <= enis[0] <= last:
            next_one = f"{enis[-1]}, which the ENI on proxy-1 has"
            rule = f"is followed by {next_one}, and which {_misplaced(network, cidr, enis[-1])}"
        yield Problem(key=f"{key}.user_eni_address", value=str(enis[0]), rule=rule, way_out=fitting)
    if tenant.havip is not None and not first <= tenant.havip <= last:
        yield Problem(
            key=f"{key}.havip",
            value=str(tenant.havip),
            rule=_misplaced(network, cidr, tenant.havip),
            way_out=f"choose one from {first} to {last} that nothing else has, nor will get",
        )


def _misplaced(network: ExistingNetwork, cidr: IPv4Network, address: IPv4Address) -> str:
    if address not in cidr:
        return f"is not in {network.subnet_id}, which is {cidr}"
    return (
        f"is reserved in {network.subnet_id}, which is {cidr}: AWS keeps the first {FIRST_FREE} addresses "
        "of a subnet and the last one"
    )


def _subnet_problems(
    plan: Plan, key: str, network: ExistingNetwork, subnet: aws.ec2.GetSubnetResult, account: str
) -> Iterator[Problem]:
    if subnet.owner_id != account:
        yield Problem(
            key=f"{key}.subnet_id",
            value=network.subnet_id,
            rule=f"belongs to account {subnet.owner_id}, the stack to {account}: {ONE_ACCOUNT}",
            way_out=OTHER_WAYS,
        )
    if subnet.availability_zone != plan.availability_zone:
        yield Problem(
            key=f"{key}.subnet_id",
            value=network.subnet_id,
            rule=f"is in {subnet.availability_zone}, the proxies are in {plan.availability_zone}: an ENI "
            "cannot leave its availability zone",
            way_out=f"choose a subnet of the tenant in {plan.availability_zone}, or run another stack in "
            f"{subnet.availability_zone}",
        )
    if subnet.vpc_id != network.vpc_id:
        yield Problem(
            key=f"{key}.vpc_id",
            value=network.vpc_id,
            rule=f"{network.subnet_id} is in {subnet.vpc_id}",
            way_out="correct vpc_id or subnet_id",
        )
