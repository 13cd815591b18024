"""Trouble of the API: slow calls, late effects, refusals, for some addresses only."""

from __future__ import annotations

import threading
import time
from functools import partial
from ipaddress import IPv4Address
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud import Condition, Weather
from lab.cloud.late import Late
from lab.errors import LabError
from lab.world import World
from tests.unit.cloud_testing import LabUnderTest, code_of

Json = Any
ASSIGN = "AssignPrivateIpAddresses"
HAVIP = "10.0.1.100"
OTHER = "10.0.1.101"
LATE_S = 1.0  # far more than a busy machine takes to look
DEADLINE_S = 10.0


class Pair:
    """Two interfaces, and who is seen to have an address."""

    def __init__(self, lab: LabUnderTest, *held: str) -> None:
        self.lab = lab
        subnet = lab.subnet()
        self.one, self.two = lab.eni(subnet, "10.0.1.4", *held), lab.eni(subnet, "10.0.1.5")

    def claim(self, eni: str, address: str = HAVIP) -> None:
        """Take it, whoever has it."""
        self.lab.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni, PrivateIpAddresses=[address], AllowReassignment=True
        )

    def seen(self, address: str = HAVIP) -> list[str]:
        """Who has it in the last world that networks follow."""
        enis = self.lab.worlds[-1].enis.values()
        return [eni.id for eni in enis if IPv4Address(address) in eni.private_ips]

    def told(self, eni: str) -> list[str]:
        """What the API says that an interface has."""
        (found,) = self.lab.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
        return [item["PrivateIpAddress"] for item in found["PrivateIpAddresses"]]

    def wait(self, *owner: str, address: str = HAVIP) -> None:
        """Until it is seen to be there."""
        deadline = time.monotonic() + DEADLINE_S
        while self.seen(address) != list(owner):
            assert time.monotonic() < deadline, f"{address} is seen at {self.seen(address)}"
            time.sleep(0.01)


def test_the_effect_of_a_claim_comes_later_than_its_answer(lab: LabUnderTest) -> None:
    pair = Pair(lab, HAVIP)
    lab.cloud.weather.set(ASSIGN, effect_s=LATE_S)
    pair.claim(pair.two)
    answered = time.monotonic()
    assert (pair.seen(), HAVIP in pair.told(pair.two)) == ([pair.one], True)
    lab.vpc()  # another change does not bring it any earlier
    assert pair.seen() == [pair.one]
    pair.wait(pair.two)
    assert time.monotonic() - answered > LATE_S * 0.9
    for world in lab.worlds:  # never on both, never on none
        holders = [eni for eni in world.enis.values() if IPv4Address(HAVIP) in eni.private_ips]
        assert len(holders) == 1 or len(world.enis) < 2


def test_a_late_claim_of_a_free_address_and_the_loss_of_it(lab: LabUnderTest) -> None:
    pair = Pair(lab)
    lab.cloud.weather.set(ASSIGN, effect_s=LATE_S)
    lab.cloud.weather.set("UnassignPrivateIpAddresses", effect_s=LATE_S)
    pair.claim(pair.two)
    assert pair.seen() == []
    pair.wait(pair.two)
    lab.ec2.unassign_private_ip_addresses(NetworkInterfaceId=pair.two, PrivateIpAddresses=[HAVIP])
    assert (pair.seen(), HAVIP in pair.told(pair.two)) == ([pair.two], False)
    pair.wait()


def test_the_last_of_several_late_claims_wins(lab: LabUnderTest) -> None:
    pair = Pair(lab, HAVIP)
    lab.cloud.weather.set(ASSIGN, effect_s=LATE_S)
    pair.claim(pair.two)
    pair.claim(pair.one)
    assert pair.seen() == [pair.one]
    deadline = time.monotonic() + DEADLINE_S
    while lab.cloud._gate._late != Late():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert pair.seen() == [pair.one]
    pair.claim(pair.two)
    lab.cloud.weather.clear()
    pair.claim(pair.one)  # at once, and the late one is lost
    assert (pair.seen(), lab.cloud._gate._late) == ([pair.one], Late())


def test_a_host_that_goes_takes_what_is_late_along(lab: LabUnderTest) -> None:
    pair = Pair(lab, HAVIP)
    lab.cloud.weather.set(ASSIGN, effect_s=LATE_S)
    pair.claim(pair.two)
    lab.ec2.delete_network_interface(NetworkInterfaceId=pair.one)
    assert pair.seen() == []
    pair.wait(pair.two)


def test_the_public_side_of_a_late_address(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    lab.gateway(vpc)
    subnet = lab.subnet(vpc=vpc)
    one, two = lab.eni(subnet, "10.0.1.4", HAVIP), lab.eni(subnet, "10.0.1.5")
    elastic = lab.ec2.allocate_address(Domain="vpc")
    lab.ec2.associate_address(
        AllocationId=elastic["AllocationId"], NetworkInterfaceId=one, PrivateIpAddress=HAVIP
    )
    lab.cloud.weather.set(ASSIGN, effect_s=60.0)
    lab.ec2.assign_private_ip_addresses(
        NetworkInterfaceId=two, PrivateIpAddresses=[HAVIP], AllowReassignment=True
    )
    seen = lab.world
    assert seen.enis[one].public_ips == {IPv4Address(HAVIP): IPv4Address(elastic["PublicIp"])}
    assert seen.enis[two].public_ips == {}


def test_only_the_effect_of_an_address_s_move_can_be_late() -> None:
    for action in ("RunInstances", "*"):
        with pytest.raises(LabError, match="cannot be late"):
            Weather().set(action, effect_s=1.0)


@pytest.mark.parametrize(
    ("code", "status"), [("RequestLimitExceeded", 503), ("UnauthorizedOperation", 403), ("Whatever", 400)]
)
def test_one_address_of_several_is_refused(lab: LabUnderTest, code: str, status: int) -> None:
    pair = Pair(lab, HAVIP, OTHER)
    lab.cloud.weather.set(ASSIGN, address=HAVIP, refusal=code)
    with pytest.raises(ClientError) as caught:
        pair.claim(pair.two)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert pair.seen() == [pair.one]
    both = partial(
        lab.ec2.assign_private_ip_addresses,
        NetworkInterfaceId=pair.two,
        PrivateIpAddresses=[OTHER, HAVIP],
        AllowReassignment=True,
    )
    assert code_of(both) == code
    assert pair.seen(OTHER) == [pair.one]
    pair.claim(pair.two, OTHER)
    assert pair.seen(OTHER) == [pair.two]
    lab.cloud.weather.clear(ASSIGN, HAVIP)
    pair.claim(pair.two)
    assert pair.seen() == [pair.two]


def test_one_interface_of_several_is_refused(lab: LabUnderTest) -> None:
    """Of two that claim the same address, as tenants with the same addresses have them."""
    pair = Pair(lab)
    lab.cloud.weather.set(ASSIGN, address=pair.two, refusal="UnauthorizedOperation")
    assert code_of(partial(pair.claim, pair.two)) == "UnauthorizedOperation"
    pair.claim(pair.one)
    assert pair.seen() == [pair.one]


def test_conditions_add_up() -> None:
    weather = Weather()
    weather.set(delay_s=5.0)
    weather.set(ASSIGN, delay_s=1.8, effect_s=1.0)
    weather.set(ASSIGN, address=HAVIP, refusal="RequestLimitExceeded")
    weather.set(address=OTHER, delay_s=9.0)
    slow = Condition(delay_s=1.8, effect_s=1.0)
    assert weather.at("DescribeVpcs") == Condition(delay_s=5.0)
    assert weather.at(ASSIGN) == slow
    assert weather.at(ASSIGN, [HAVIP]) == Condition(delay_s=1.8, effect_s=1.0, refusal="RequestLimitExceeded")
    assert weather.at(ASSIGN, [OTHER]).delay_s == 9.0
    listed = [(place["action"], place["address"]) for place in weather.report()]
    assert listed == [("*", ""), ("*", OTHER), (ASSIGN, ""), (ASSIGN, HAVIP)]
    weather.clear(ASSIGN)
    assert weather.at(ASSIGN, [HAVIP]) == Condition(delay_s=5.0)
    weather.clear()
    assert (weather.report(), weather.at(ASSIGN, [OTHER])) == ([], Condition())


def test_a_network_that_cannot_follow_late_follows_with_the_next_change(lab: LabUnderTest) -> None:
    pair = Pair(lab, HAVIP)
    follow, refused = lab.follow, threading.Event()

    def broken(_world: World) -> None:
        refused.set()
        raise LabError("the fabric is broken", hint="mend it")

    lab.cloud.weather.set(ASSIGN, effect_s=LATE_S)
    pair.claim(pair.two)
    lab.follow = broken
    assert refused.wait(DEADLINE_S)
    lab.follow = follow
    lab.vpc()
    assert pair.seen() == [pair.two]


def test_claims_from_two_sides_at_once(lab: LabUnderTest) -> None:
    pair = Pair(lab, HAVIP)
    rounds, threads = 20, []

    def contend(eni: str) -> None:
        for _ in range(rounds):
            pair.claim(eni)

    for eni in (pair.one, pair.two):
        threads.append(threading.Thread(target=contend, args=(eni,)))
    begin = len(lab.worlds)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [
        [eni.id for eni in world.enis.values() if IPv4Address(HAVIP) in eni.private_ips]
        for world in lab.worlds[begin:]
    ]
    assert all(len(owner) == 1 for owner in seen)
    assert [HAVIP in pair.told(eni) for eni in (pair.one, pair.two)] == [
        pair.seen() == [pair.one],
        pair.seen() == [pair.two],
    ]
    pair.claim(pair.two)
    assert pair.seen() == [pair.two]
