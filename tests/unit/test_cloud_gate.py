"""The world follows each call, or the call has not been; trouble of the API itself."""

from __future__ import annotations

import threading
from collections.abc import Collection
from functools import partial

import pytest
from botocore.exceptions import ClientError

from lab.cloud import Condition
from lab.errors import LabError
from lab.world import World
from tests.unit.cloud_testing import LabUnderTest, code_of, endpoint, session

BROKEN = LabError("the fabric is broken", hint="mend it")


class Refusal:
    """An on_change that fails for worlds of a kind, and remembers all that it followed."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.followed: list[World] = []
        self.error: Exception | None = None
        lab.follow = self

    def __call__(self, world: World) -> None:
        if self.error is not None:
            error, self.error = self.error, None  # going back works again
            raise error
        self.followed.append(world)


def test_the_world_has_followed_when_a_call_is_answered(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    assert vpc in lab.worlds[-1].vpcs
    assert lab.world == lab.worlds[-1]


def test_a_call_that_changes_nothing_is_not_followed(lab: LabUnderTest) -> None:
    lab.vpc()
    before = len(lab.worlds)
    lab.ec2.describe_vpcs()
    lab.ec2.create_internet_gateway()  # attached to nothing
    assert len(lab.worlds) == before


def test_a_launch_that_cannot_be_followed_has_not_been(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    before, refusal = lab.world, Refusal(lab)
    refusal.error = BROKEN
    with pytest.raises(Exception, match=r"InsufficientInstanceCapacity.*the fabric is broken. mend it"):
        lab.instance(subnet, address="10.0.1.9")
    assert lab.world == before
    assert refusal.followed == [before]
    assert lab.ec2.describe_instances()["Reservations"] == []
    assert lab.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert lab.ec2.describe_volumes()["Volumes"] == []
    lab.instance(subnet, address="10.0.1.9")


def test_a_move_that_cannot_be_followed_has_not_been(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    one, other = lab.eni(subnet, "10.0.1.4", "10.0.1.100"), lab.eni(subnet, "10.0.1.5")
    refusal = Refusal(lab)
    refusal.error = BROKEN
    move = partial(
        lab.ec2.assign_private_ip_addresses,
        NetworkInterfaceId=other,
        PrivateIpAddresses=["10.0.1.100"],
        AllowReassignment=True,
    )
    assert code_of(move) == "InternalError"
    assert [len(lab.world.enis[e].private_ips) for e in (one, other)] == [2, 1]
    move()
    assert [len(lab.world.enis[e].private_ips) for e in (one, other)] == [1, 2]


def test_an_unexpected_failure_is_undone_too(lab: LabUnderTest) -> None:
    before, refusal = lab.world, Refusal(lab)
    refusal.error = ValueError("unexpected")
    assert code_of(lab.vpc) == "InternalError"
    assert lab.world == before
    assert len(lab.ec2.describe_vpcs()["Vpcs"]) == 1  # the default one


def test_after_a_failed_return_the_next_call_brings_the_whole_world(lab: LabUnderTest) -> None:
    followed: list[World] = []

    def broken(_world: World) -> None:
        raise BROKEN

    lab.follow = broken  # also on the way back
    assert code_of(lab.vpc) == "InternalError"
    lab.follow = followed.append
    lab.ec2.create_internet_gateway()  # changes nothing in the world
    assert followed == [World()]


def test_changes_come_one_at_a_time_and_reads_do_not_wait(lab: LabUnderTest) -> None:
    inside, leave, seen = threading.Event(), threading.Event(), threading.Semaphore(0)
    at_once: list[int] = []
    running = [0]

    def slow(_world: World) -> None:
        running[0] += 1
        at_once.append(running[0])
        inside.set()
        assert leave.wait(timeout=10.0)
        running[0] -= 1

    def make() -> None:
        lab.vpc()
        seen.release()

    lab.follow = slow
    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert inside.wait(timeout=10.0)
    assert len(lab.ec2.describe_vpcs()["Vpcs"]) >= 2  # answered in the middle of a change
    assert not seen.acquire(blocking=False)
    leave.set()
    for thread in threads:
        thread.join()
    assert at_once == [1, 1, 1]
    assert len(lab.world.vpcs) == 3


def test_bad_weather(lab: LabUnderTest) -> None:
    lab.cloud.weather.set("CreateVpc", unavailable=True)
    assert code_of(lab.vpc) == "Unavailable"
    assert lab.world.vpcs == {}
    lab.ec2.describe_vpcs()
    lab.cloud.weather.set(unavailable=True)
    assert code_of(lab.ec2.describe_vpcs) == "Unavailable"
    lab.cloud.weather.clear()
    lab.vpc()


def test_a_delayed_call_holds_up_no_other(lab: LabUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    weather, reached, failed = lab.cloud.weather, threading.Event(), threading.Event()
    weather.set("CreateVpc", delay_s=600.0)
    condition_of = weather.at

    def at(action: str, addresses: Collection[str] = ()) -> Condition:
        if action == "CreateVpc":
            reached.set()
        return condition_of(action, addresses)

    def make() -> None:
        try:
            lab.vpc()
        except ClientError:
            failed.set()

    monkeypatch.setattr(weather, "at", at)
    thread = threading.Thread(target=make)
    thread.start()
    assert reached.wait(timeout=10.0)
    lab.ec2.create_internet_gateway()
    assert lab.world.vpcs == {}
    lab.cloud.stop()  # ends the wait, too
    thread.join(timeout=10.0)
    assert failed.is_set()
    lab.cloud = lab.replacement()


def test_unknown_calls_and_services_are_said(lab: LabUnderTest) -> None:
    assert code_of(lambda: lab.ec2.describe_fast_launch_images()) == "UnsupportedOperation"
    sqs = session().client("sqs", endpoint_url=endpoint())
    assert code_of(lambda: sqs.list_queues()) == "400"


def test_one_cloud_at_a_time(lab: LabUnderTest) -> None:
    with pytest.raises(RuntimeError, match="stop the other Cloud first"):
        LabUnderTest()
    lab.vpc()


def test_a_new_cloud_begins_empty(lab: LabUnderTest) -> None:
    lab.vpc()
    lab.cloud.stop()
    lab.cloud = lab.replacement()
    assert lab.world.vpcs == {}
    assert len(lab.ec2.describe_vpcs()["Vpcs"]) == 1
