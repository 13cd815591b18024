"""The real engine changes a VPC that has a NAT gateway: what only one can hold is given up before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from components.vpc import Reach, SubnetSpec, Vpc, VpcArgs
from lab.engine.context import EngineContext
from lab.engine.events import ProgressEvent
from lab.engine.operations import up
from tests.lab.engine_testing import context
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab
NETWORK = IPv4Network("10.1.0.0/16")


class Stack:
    """One VPC, and what happened in its last change, in order."""

    def __init__(self, base: EngineContext) -> None:
        self._base, self.seen = base, list[str]()

    def up(self, cidr: IPv4Network, access: IPv4Network) -> None:
        self.seen.clear()
        up(replace(self._base, program=_program(cidr, access)), on_event=self._note)

    def _note(self, event: ProgressEvent) -> None:
        if event.phase == "done":
            self.seen.append(f"{event.op} {event.name}")


def _program(cidr: IPv4Network, access: IPv4Network) -> Callable[[], None]:
    def program() -> None:
        hosts = SubnetSpec(cidr=IPv4Network((int(cidr.network_address), 24)), reach=Reach.EGRESS)
        Vpc(
            "platform",
            VpcArgs(
                cidr=cidr,
                availability_zone="us-east-1a",
                subnets={"access": SubnetSpec(cidr=access, reach=Reach.PUBLIC), "func": hosts},
                nat_subnet="access",
                nat_address=access[4],
                tags={},
            ),
        )

    return program


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running_cloud() as cloud:
        made = Stack(context(tmp_path / "pulumi", cloud.aws.config, {}))
        made.up(NETWORK, IPv4Network("10.1.9.0/24"))
        yield made


def test_a_gateway_in_another_subnet_has_the_address_of_the_one_before(stack: Stack) -> None:
    stack.up(NETWORK, IPv4Network("10.1.8.0/24"))
    of_nat = [step for step in stack.seen if step.endswith("platform-nat")]
    assert of_nat[0] == "delete-replaced platform-nat"
    assert of_nat[-1] == "create-replacement platform-nat"


def test_another_vpc_has_a_way_out_of_its_own(stack: Stack) -> None:
    """The one before keeps its own until nothing in it has a public address any more."""
    stack.up(IPv4Network("10.2.0.0/16"), IPv4Network("10.2.9.0/24"))
    of_internet = [step for step in stack.seen if step.endswith("platform-internet")]
    assert of_internet[0] == "create-replacement platform-internet"
    assert of_internet[-1] == "delete-replaced platform-internet"
