"""Two changes that one update cannot make are refused, with the way out; each alone is not."""

from __future__ import annotations

import pulumi
import pytest

from tests.unit.program import (
    LAB_PAIR,
    LAB_SINGLE,
    Change,
    Configuration,
    alpha,
    become_pair,
    graph_of,
    run_stack,
    set_in,
)


def become_single(configuration: Configuration) -> None:
    """As far as redundancy goes."""
    configuration["causeway:redundancy"] = "single"


def in_zone(zone: str) -> Change:
    """Another zone for everything."""
    return lambda configuration: configuration.update({"causeway:availability_zone": zone})


def in_network(**settings: str) -> Change:
    """Other settings of alpha's own network."""

    def change(configuration: Configuration) -> None:
        configuration["causeway:tenants"][0]["create"].update(settings)

    return change


def both(*changes: Change) -> Change:
    """One after the other."""

    def change(configuration: Configuration) -> None:
        for one in changes:
            one(configuration)

    return change


def preview(stack: str, change: Change) -> None:
    """Of a stack that is there."""
    run_stack(stack, change=change, previous=graph_of(stack).outputs, preview=True)


def instead_of_customer_b(**changes: object) -> Change:
    """Another tenant, in the same subnet."""
    return lambda c: c["causeway:tenants"][1].update(name="customer-c", **changes)


def get_twin(configuration: Configuration) -> None:
    """Its own network has all the addresses of alpha's."""
    (own,) = configuration["causeway:tenants"]
    overlay = {"cidr": "10.0.1.0/24", "proxy": "10.0.1.4", "first_func": "10.0.1.3"}
    twin = {**own, "name": "twin", "index": own["index"] + 1, "overlay": overlay}
    configuration["causeway:tenants"] = [own, {k: v for k, v in twin.items() if k != "container_cidr"}]


LARGER = set_in("proxy", instance_type="c6in.xlarge")
OTHER_IMAGE: Change = lambda c: c.update({"causeway:ami": "ami-0fedcba9876543210"})  # noqa: E731
OPERATORS = [f"203.0.113.{number}/32" for number in range(50)]
DESTINATIONS = [f"172.16.{number}.0/24" for number in range(102, 162)]
REFUSED = [
    pytest.param(
        LAB_SINGLE, both(become_pair, LARGER), "redundancy: .*proxy-0 is stopped to become", id="pair+type"
    ),
    pytest.param(
        LAB_SINGLE,
        both(become_pair, lambda c: c.update({"causeway:tunnel": "gre-fou"})),
        "redundancy: .*while the tunnels change from gre: .*the next one would not know",
        id="pair+tunnel",
    ),
    pytest.param(
        LAB_PAIR, both(become_single, LARGER), "redundancy: .*proxy-0 is stopped to become", id="single+type"
    ),
    pytest.param(
        LAB_PAIR,
        both(become_single, OTHER_IMAGE),
        "proxy-0 is made anew from another image",
        id="single+image",
    ),
    pytest.param(
        LAB_PAIR,
        both(become_single, alpha(user_eni_address="172.16.101.20")),
        "alpha gets another ENI address on proxy-0",
        id="single+eni",
    ),
    pytest.param(
        LAB_PAIR,
        set_in("proxy", first_address="192.168.4.5"),
        "proxy-0 would get 192.168.4.5, which proxy-1 has",
        id="proxies shifted",
    ),
    pytest.param(
        LAB_PAIR,
        alpha(user_eni_address="172.16.101.11"),
        r"tenants\[0\].user_eni_address: .*proxy-0's ENI would get 172.16.101.11, which proxy-1's ENI has",
        id="ENIs shifted",
    ),
    pytest.param(
        LAB_PAIR,
        both(set_in("proxy", havip="192.168.4.200"), set_in("api", endpoint_address="192.168.4.100")),
        "api.endpoint_address: 192.168.4.100.*the API's endpoint would get 192.168.4.100, which pair 0's HaVip has",
        id="the endpoint where the HaVip is",
    ),
    pytest.param(
        LAB_PAIR,
        set_in("proxy", first_address="192.168.4.20", havip="192.168.4.5"),
        "proxy.havip: 192.168.4.5.*pair 0's HaVip would get 192.168.4.5, which proxy-1 has",
        id="the HaVip where a proxy is",
    ),
    pytest.param(
        LAB_PAIR,
        alpha(user_eni_address="172.16.101.99", havip="172.16.101.101"),
        r"tenants\[0\].user_eni_address: .*proxy-1's ENI would get 172.16.101.100, which the HaVip has",
        id="an ENI where the tenant's HaVip is",
    ),
    pytest.param(
        LAB_PAIR,
        alpha(user_eni_address="172.16.101.20", havip="172.16.101.10"),
        r"tenants\[0\].havip: 172.16.101.10.*the HaVip would get 172.16.101.10, which proxy-0's ENI has",
        id="the tenant's HaVip where an ENI is",
    ),
    pytest.param(
        LAB_PAIR,
        both(alpha(user_eni_address="172.16.101.20"), in_network(instance_address="172.16.101.11")),
        r"create.instance_address: .*the user instance would get 172.16.101.11, which proxy-1's ENI has",
        id="the instance where an ENI is",
    ),
    pytest.param(
        LAB_PAIR,
        both(alpha(havip="172.16.101.4"), in_network(instance_address="172.16.101.7")),
        r"tenants\[0\].havip: .*the HaVip would get 172.16.101.4, which the user instance has",
        id="the tenant's HaVip where the instance is",
    ),
    pytest.param(
        "prod",
        instead_of_customer_b(index=3, user_eni_address="10.30.4.202", havip="10.30.4.210"),
        r"tenants\[1\].user_eni_address: 10.30.4.202\n *is customer-b's until later",
        id="another tenant's ENI where the HaVip is",
    ),
    pytest.param(
        "prod",
        instead_of_customer_b(index=3, user_eni_address="10.30.4.220", havip="10.30.4.201"),
        r"tenants\[1\].havip: 10.30.4.201\n *is customer-b's until later",
        id="another tenant's HaVip where an ENI is",
    ),
    pytest.param(
        LAB_PAIR,
        set_in("platform", func_subnet="192.168.80.0/23"),
        "platform.func_subnet: 192.168.80.0/23.*overlaps 192.168.80.0/24",
        id="subnet grows",
    ),
    pytest.param(
        LAB_PAIR,
        in_network(subnet_cidr="172.16.100.0/23"),
        r"tenants\[0\].create.subnet_cidr: 172.16.100.0/23.*overlaps 172.16.101.0/24",
        id="user subnet grows",
    ),
    pytest.param(
        LAB_PAIR,
        set_in("access", operator_cidrs=OPERATORS),
        "access.operator_cidrs: 50 networks.*51, where",
        id="operators",
    ),
    pytest.param(
        LAB_PAIR,
        alpha(cidrs=DESTINATIONS),
        r"tenants\[0\].cidrs: 60 networks.*61, where a security group has room for 60",
        id="destinations",
    ),
    pytest.param(
        "prod",
        instead_of_customer_b(index=3),
        r"tenants\[1\].user_eni_address: 10.30.4.200\n *is customer-b's until later.*"
        r"tenants\[1\].havip: 10.30.4.202\n *is customer-b's until later",
        id="another tenant with its ENIs' addresses",
    ),
    pytest.param(
        "prod",
        instead_of_customer_b(),
        r"tenants\[1\].havip: 10.30.4.202\n *is customer-b's until later",
        id="another name",
    ),
    pytest.param(
        LAB_PAIR, in_zone("us-east-1b"), "availability_zone: us-east-1b.*192.168.80.0/24", id="zone"
    ),
]
ALONE = [
    pytest.param(LAB_SINGLE, become_pair, id="pair"),
    pytest.param(LAB_PAIR, become_single, id="single"),
    pytest.param(LAB_PAIR, LARGER, id="type"),
    pytest.param(LAB_PAIR, set_in("proxy", first_address="192.168.4.20"), id="proxies"),
    pytest.param(LAB_PAIR, alpha(user_eni_address="172.16.101.20"), id="ENIs"),
    pytest.param("prod", lambda c: c["causeway:tenants"].pop(1), id="a tenant goes"),
    pytest.param(LAB_PAIR, get_twin, id="a tenant with the same addresses comes"),
    pytest.param(LAB_PAIR, set_in("access", operator_cidrs=OPERATORS[1:]), id="operators"),
    pytest.param(LAB_PAIR, alpha(cidrs=["172.16.101.0/24", *DESTINATIONS[1:]]), id="destinations"),
]


@pytest.mark.parametrize(("stack", "change", "said"), REFUSED)
def test_two_changes_are_refused(stack: str, change: Change, said: str) -> None:
    with pytest.raises(pulumi.RunError, match=f"(?s){said}.*→ "):
        preview(stack, change)


@pytest.mark.parametrize(("stack", "change"), ALONE)
def test_each_alone_is_not(stack: str, change: Change) -> None:
    preview(stack, change)


def test_what_moves_tenants_and_what_comes_at_once_are_refused_together() -> None:
    with pytest.raises(pulumi.RunError) as refused:
        preview(LAB_PAIR, both(become_single, LARGER, alpha(index=7)))
    said = str(refused.value)
    assert "redundancy: " in said
    assert "tenants[0].index: 7" in said
