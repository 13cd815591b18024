"""Tokens and zone ids, without a network."""

from __future__ import annotations

import pytest

from lab.metadata.document import zone_id
from lab.metadata.tokens import Tokens


class Clock:
    """Time that a test turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_expires() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    token = tokens.issue("i-a", 60)
    clock.now += 59.9
    assert tokens.valid(token, "i-a")
    clock.now += 0.2
    assert not tokens.valid(token, "i-a")


def test_a_token_is_of_one_service_and_one_instance() -> None:
    token = Tokens().issue("i-a", 60)
    assert not Tokens().valid(token, "i-a")
    tokens = Tokens()
    token = tokens.issue("i-a", 60)
    assert not tokens.valid(token, "i-b")
    flipped = ("A" if token[0] != "A" else "B") + token[1:]
    assert not tokens.valid(flipped, "i-a")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("us-east-1a", "use1-az1"),
        ("eu-central-1c", "euc1-az3"),
        ("ap-northeast-2b", "apne2-az2"),
        ("ap-southeast-1a", "apse1-az1"),
    ],
)
def test_zone_ids_look_like_aws_s(zone: str, expected: str) -> None:
    assert zone_id(zone) == expected
