"""The real engine and a proxy's source/dest check: made without it, and one from before is left as it was (ADR 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.host import Host, HostArgs, Image, LoginKey, Place
from components.plan import HostPlan, Role
from lab.engine.context import EngineContext
from lab.engine.operations import ALL, Scope, up
from lab.providers.aws.client import Aws
from tests.lab.engine_testing import KEYS, context
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab
MADE_ANEW = Scope(replace=["**proxy-0-instance"])


class Proxy:
    """A proxy with a user ENI, from before there was `any_source`."""

    def __init__(self, base: EngineContext, cloud: Aws) -> None:
        self._base, self._cloud = base, cloud
        self.up(any_source=False)

    def up(self, scope: Scope = ALL, *, any_source: bool = True) -> dict[str, list[str]]:
        """What changed, by operation."""
        return up(replace(self._base, program=_program(any_source=any_source)), scope).summary

    def check(self) -> bool:
        """Whether it is on."""
        return bool(self._instance()["SourceDestCheck"])

    def switch_off(self) -> None:
        """As an operator does, by the CLI."""
        (eni,) = (
            eni for eni in self._instance()["NetworkInterfaces"] if eni["Attachment"]["DeviceIndex"] == 0
        )
        self._cloud.ec2(
            "modify_network_interface_attribute",
            NetworkInterfaceId=eni["NetworkInterfaceId"],
            SourceDestCheck={"Value": False},
        )

    def _instance(self) -> Any:
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        (reservation,) = self._cloud.ec2("describe_instances", Filters=running)["Reservations"]
        return reservation["Instances"][0]


def _program(*, any_source: bool) -> Callable[[], None]:
    def program() -> None:
        ami = aws.ssm.get_parameter(name="/aws/service/debian/release/13/latest/amd64").insecure_value
        vpc = aws.ec2.Vpc("net", cidr_block="10.1.0.0/16")
        subnet = aws.ec2.Subnet(
            "subnet", vpc_id=vpc.id, cidr_block="10.1.1.0/24", availability_zone="us-east-1a"
        )
        group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, description="proxy")
        key = aws.ec2.KeyPair("key", key_name="key", public_key=KEYS[0])
        place = Place(
            image=Image(ami=ami, pinned=False),
            key=LoginKey(name="key", pair=key),
            subnet=SimpleNamespace(id=subnet.id, ready=()),  # type: ignore[arg-type]
            group=SimpleNamespace(id=group.id, rules=()),  # type: ignore[arg-type]
            public=False,
            tags={},
        )
        plan = HostPlan(
            name="proxy-0",
            role=Role.PROXY,
            index=0,
            address=IPv4Address("10.1.1.10"),
            instance_type="t3.small",
        )
        host = Host("proxy-0", HostArgs(host=plan, place=place, any_source=any_source))
        eni = aws.ec2.NetworkInterface("eni", subnet_id=subnet.id)
        aws.ec2.NetworkInterfaceAttachment(
            "attachment",
            instance_id=host.instance_id,
            network_interface_id=eni.id,
            device_index=1,
            opts=pulumi.ResourceOptions(delete_before_replace=True),
        )

    return program


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with running_cloud() as cloud:
        yield Proxy(context(tmp_path / "pulumi", cloud.aws.config, {}), cloud.aws)


def test_one_from_before_is_left_as_it_was(proxy: Proxy) -> None:
    assert proxy.up() == {}
    assert proxy.check() is True


def test_one_from_before_that_is_made_anew_has_it_off(proxy: Proxy) -> None:
    assert proxy.up(MADE_ANEW)["replace"] == ["attachment", "proxy-0-instance"]
    assert proxy.check() is False


def test_what_an_operator_switched_off_stays_off(proxy: Proxy) -> None:
    proxy.switch_off()
    assert proxy.up() == {}
    assert proxy.up(Scope(refresh=True)) == {}
    assert proxy.check() is False
