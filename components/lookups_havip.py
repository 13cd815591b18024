"""Whether somebody else has an address that a pair shall have in a network that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pulumi_aws as aws

from components.asking_aws import answer_of
from components.plan import ExistingNetwork, Plan, TenantPlan
from components.settings import Problem

_MARKS = ("Project", "Stack", "causeway:tenant", "causeway:role")  # tags of a user ENI that are nobody else's


def havip_problems(plan: Plan, key: str, tenant: TenantPlan, network: ExistingNetwork) -> Iterator[Problem]:
    """The pair takes the address from whoever has it as a secondary one, so nobody else may have it.

    Its own user ENIs may: one of them has it once the pair has come up. What is found is compared, and no more: it is
    an input of no resource. Raises `NotSaidError`.
    """
    if tenant.havip is None:
        return
    asked = (f"{key}.havip", str(tenant.havip), "ec2:DescribeNetworkInterfaces")
    found = answer_of(
        lambda: aws.ec2.get_network_interfaces(
            filters=[
                {"name": "subnet-id", "values": [network.subnet_id]},
                {"name": "addresses.private-ip-address", "values": [str(tenant.havip)]},
            ]
        ),
        *asked,
    )
    for eni_id in found.ids:
        eni = answer_of(partial(aws.ec2.get_network_interface, id=eni_id), *asked)
        own = {**plan.tags, "causeway:tenant": tenant.name, "causeway:role": "user-eni"}
        is_own = all(eni.tags.get(name) == own[name] for name in _MARKS)
        if is_own and eni.private_ip != str(tenant.havip):
            continue
        described = f" ({eni.description})" if eni.description else ""
        rule = f"belongs to another network interface in {network.subnet_id}, {eni.id}{described}"
        if is_own:
            rule = f"is the primary address of {eni.id}{described}, which AWS moves nowhere"
        yield Problem(
            key=f"{key}.havip",
            value=str(tenant.havip),
            rule=f"{rule}: the pair would take it away, or never get it",
            way_out="choose an address of the subnet that nothing has, nor will get",
        )
