"""The real engine changes both instances of a pair: one after the other, and each makes way before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import replacement
from components.previous import Login, previous_stack
from components.replacement import MARK, UNPLANNED, Replacements
from components.way_in import Done, WayIn
from lab.engine.context import EngineContext
from lab.engine.events import ProgressEvent
from lab.engine.operations import ALL, Scope, destroy, preview, up
from lab.errors import LabError
from tests.lab.engine_testing import context, exported_host
from tests.unit.provider_cloud import running_cloud

pytestmark = pytest.mark.lab
SPARED_S = 0.5  # how long a proxy's step takes here: long enough to see who waits for whom


class Pair:
    """Two instances like those of a pair, an address each that stands for its last Command, and what happened."""

    def __init__(self, base: EngineContext) -> None:
        self._base = base
        self.seen: list[str] = []
        self.asked: list[str] = []
        self.refuses = ""

    def up(self, scope: Scope = ALL, **settings: Any) -> dict[str, list[str]]:
        """Run the program; what is seen are steps and ends of changes, in order."""
        self.seen.clear()
        self.asked.clear()
        return up(replace(self._base, program=self._program(**settings)), scope, on_event=self._note).summary

    def preview(self, scope: Scope, **settings: Any) -> list[str]:
        """Warnings of a preview."""
        self.asked.clear()
        warnings: list[str] = []

        def note(event: ProgressEvent) -> None:
            if event.severity == "warning":
                warnings.append(event.message)

        preview(replace(self._base, program=self._program(**settings)), scope, on_event=note)
        return warnings

    def destroy(self) -> None:
        """Without the program."""
        destroy(self._base)

    def run_script(self, way: WayIn, script: str, *, within_s: float) -> Done:
        """In place of SSH."""
        assert "makes_way" in script
        assert within_s > SPARED_S
        time.sleep(SPARED_S)
        self.seen.append(f"asked {way.host}")
        self.asked.append(way.host)
        return Done(
            status=int(way.host == self.refuses), said="no switch" if way.host == self.refuses else "switched"
        )

    def _note(self, event: ProgressEvent) -> None:
        if event.phase == "done" and event.op in ("update", "delete-replaced", "create-replacement"):
            self.seen.append(f"{event.op} {event.name}")

    def _program(
        self, *, made_from: str = "one", size: str = "t3.small", broken: bool = False
    ) -> Callable[[], None]:
        def program() -> None:
            turns = Replacements(_Access(), previous_stack().proxies)  # type: ignore[arg-type]
            image = aws.ssm.get_parameter(name="/aws/service/debian/release/13/latest/amd64")
            vpc = aws.ec2.Vpc("net", cidr_block="10.1.0.0/16")
            subnet = aws.ec2.Subnet(
                "subnet", vpc_id=vpc.id, cidr_block="10.1.1.0/24", availability_zone="us-east-1a"
            )
            for index in range(2):
                name = f"proxy-{index}"
                role = aws.iam.Role(
                    f"{name}-role",
                    assume_role_policy='{"Version": "2012-10-17", "Statement": []}',
                    tags={MARK: f"{made_from} {size}"},
                    opts=pulumi.ResourceOptions(hooks=turns.of_role(name, "proxy-0" if index else None, ())),
                )
                host = aws.ec2.Instance(
                    name,
                    ami=image.insecure_value,
                    instance_type=size,
                    subnet_id=subnet.id,
                    private_ip=f"10.1.1.{10 + index}",
                    user_data=made_from,
                    user_data_replace_on_change=True,
                    opts=pulumi.ResourceOptions(
                        delete_before_replace=True, depends_on=[role], hooks=turns.of_instance(name)
                    ),
                )
                ready = aws.ec2.Eip(
                    f"{name}-ready",
                    domain="nowhere" if broken and index == 0 else "vpc",
                    tags={"for": f"{made_from} {size}"},
                    opts=pulumi.ResourceOptions(depends_on=[host]),
                )
                turns.note(_Host(name), ready)  # type: ignore[arg-type]
            hosts = {f"proxy-{index}": exported_host("proxy", "there") for index in range(2)}
            pulumi.export("hosts", hosts)

        return program


class _Host:
    def __init__(self, name: str) -> None:
        self.plan = self
        self.name = name


class _Access:
    async def way_in(self, host: _Host, _: Login | None) -> WayIn:
        return WayIn(host=host.name, user="admin", private_key="key")


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    with running_cloud() as cloud:
        made = Pair(context(tmp_path / "pulumi", cloud.aws.config, {}))
        monkeypatch.setattr(replacement, "run_script", made.run_script)
        made.up()
        assert made.asked == [], "the first instances make way for nobody"
        yield made


def test_replaced_instances_go_one_after_the_other(pair: Pair) -> None:
    assert pair.up() == {}
    assert pair.up(made_from="two")["replace"] == ["proxy-0", "proxy-1"]
    turn = ["asked {}", "update {}-role", "delete-replaced {}", "create-replacement {}", "update {}-ready"]
    assert pair.seen == [step.format(proxy) for proxy in ("proxy-0", "proxy-1") for step in turn]


def test_instances_of_another_type_go_one_after_the_other(pair: Pair) -> None:
    pair.up(size="t3.medium")
    turn = ["asked {}", "update {}-role", "update {}", "update {}-ready"]
    assert pair.seen == [step.format(proxy) for proxy in ("proxy-0", "proxy-1") for step in turn]


def test_who_cannot_make_way_stays_and_so_does_the_other(pair: Pair) -> None:
    pair.refuses = "proxy-0"
    with pytest.raises(LabError, match="proxy-0 is left as it is: no switch"):
        pair.up(made_from="two")
    assert pair.seen == ["asked proxy-0"]
    pair.refuses = ""
    assert pair.up(made_from="two")["replace"] == ["proxy-0", "proxy-1"]


def test_one_that_does_not_come_back_spares_the_other(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacement, "READY_WITHIN_S", 4.0)
    # Where its failure takes longer than that, the other one's patience is what ends first.
    with pytest.raises(LabError, match=r"proxy-0-ready|proxy-0 did not become ready"):
        pair.up(made_from="two", broken=True)
    assert pair.asked == ["proxy-0"]
    assert not any("proxy-1" in step for step in pair.seen)


def test_one_whose_role_is_replaced_with_it_makes_way(pair: Pair) -> None:
    both = Scope(replace=["**proxy-0-role", "**::proxy-0"])
    assert pair.preview(both) == []
    assert pair.asked == []
    assert pair.up(both)["replace"] == ["proxy-0", "proxy-0-role"]
    assert pair.seen[:4] == [
        "asked proxy-0",
        "create-replacement proxy-0-role",
        "delete-replaced proxy-0",
        "create-replacement proxy-0",
    ]


def test_a_preview_warns_of_an_instance_that_is_replaced_unasked(pair: Pair) -> None:
    alone = Scope(replace=["**::proxy-0"])
    assert pair.preview(alone) == [UNPLANNED.format(proxy="proxy-0")]
    pair.up(alone)
    assert pair.asked == []
    assert pair.preview(ALL, made_from="two") == []


def test_a_stack_is_destroyed_without_its_program(pair: Pair) -> None:
    pair.destroy()
    assert pair.asked == []
