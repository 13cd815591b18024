"""IAM policies: what they allow, and that doubt is never in a caller's favour."""

from __future__ import annotations

import fnmatch
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cloud.policy import Call, Decision, decide

Json = Any
ENI = "arn:aws:ec2:us-east-1:123456789012:network-interface/eni-1"
VPC = "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"
ASSIGN = Call(
    action="ec2:AssignPrivateIpAddresses",
    resource=ENI,
    keys={
        "ec2:Vpc": [VPC],
        "ec2:Region": ["us-east-1"],
        "aws:ResourceTag/Role": ["Proxy"],
        "aws:PrincipalTag/Role": ["Proxy"],
        "aws:PrincipalTag/Odd": ["Pro*"],
        "aws:TagKeys": ["Name", "Role"],
        "ec2:Subnet": [],
        "aws:SecureTransport": ["false"],
    },
    families=("aws:ResourceTag/",),
)


def document(*statements: Json, version: str = "2012-10-17") -> Json:
    return {"Version": version, "Statement": list(statements)}


def statement(effect: str = "Allow", **changes: Json) -> Json:
    whole = {"Effect": effect, "Action": "ec2:*", "Resource": "*", **changes}
    return {key: value for key, value in whole.items() if value is not None}


def allows(*statements: Json, call: Call = ASSIGN) -> bool:
    return decide([document(*statements)], call) is Decision.ALLOW


def denies(*statements: Json) -> bool:
    return decide([document(*statements)], ASSIGN) is Decision.DENY


def test_nothing_is_allowed_by_itself() -> None:
    assert decide([], ASSIGN) is Decision.NONE
    assert decide([document()], ASSIGN) is Decision.NONE
    assert decide([document(statement(Action="s3:*"))], ASSIGN) is Decision.NONE


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("ec2:AssignPrivateIpAddresses", True),
        ("EC2:assignprivateipaddresses", True),
        ("ec2:Assign*", True),
        ("ec2:?ssignPrivateIpAddresses", True),
        ("*", True),
        (["s3:Get*", "ec2:Assign*"], True),
        ("ec2:Unassign*", False),
        ("ec2:Assign", False),
        ("ec2:Assign?", False),
        ("ec2:[A-Z]*", False),
        ("", False),
    ],
)
def test_actions(pattern: Json, matches: bool) -> None:
    assert allows(statement(Action=pattern)) is matches
    assert allows(statement(Action=None, NotAction=pattern)) is not matches
    assert denies(statement(), statement("Deny", Action=pattern)) is matches
    assert denies(statement(), statement("Deny", Action=None, NotAction=pattern)) is not matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (ENI, True),
        ("*", True),
        ("arn:aws:ec2:*:*:network-interface/*", True),
        ("arn:aws:ec2:*:123456789012:network-interface/eni-?", True),
        ("arn:aws:ec2:us-east-1:*:*", True),
        ([VPC, ENI], True),
        ("arn:aws:ec2:*:network-interface/eni-1:x:y", False),
        ("arn:aws:ec2:*:*:network-interface/ENI-1", False),
        ("arn:aws:ec2:eu-*:*:network-interface/*", False),
        ("arn:aws:ec2:*:*:instance/*", False),
        ("arn:aws:ec2:*:*:network-interface/eni-1${*}", False),
    ],
)
def test_resources(pattern: Json, matches: bool) -> None:
    assert allows(statement(Resource=pattern)) is matches
    assert allows(statement(Resource=None, NotResource=pattern)) is not matches
    assert denies(statement(), statement("Deny", Resource=pattern)) is matches


def test_a_call_about_no_resource_needs_every_resource() -> None:
    call = Call(action="ec2:DescribeInstances")
    assert allows(statement(), call=call)
    assert not allows(statement(Resource=ENI), call=call)
    assert not allows(statement(Resource="arn:aws:ec2:*:*:*"), call=call)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"ec2:Region": "us-east-1"}}, True),
        ({"StringEquals": {"EC2:region": ["x", "us-east-1"]}}, True),
        ({"StringEquals": {"ec2:Region": "us-*"}}, False),
        ({"StringNotEquals": {"ec2:Region": ["x", "us-east-1"]}}, False),
        ({"StringNotEquals": {"ec2:Region": ["x", "y"]}}, True),
        ({"StringLike": {"ec2:Region": "us-*"}}, True),
        ({"StringNotLike": {"ec2:Region": "us-*"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:ResourceTag/Role": "proxy"}}, True),
        ({"StringEquals": {"aws:ResourceTag/Role": "proxy"}}, False),
        ({"StringEquals": {"aws:ResourceTag/Role": "Proxy", "ec2:Region": "x"}}, False),
        ({"ArnEquals": {"ec2:Vpc": "arn:aws:ec2:*:*:vpc/vpc-1"}}, True),
        ({"ArnLike": {"ec2:Vpc": "arn:aws:ec2:*:vpc/vpc-1:x:y"}}, False),
        ({"ArnNotLike": {"ec2:Vpc": "arn:aws:ec2:*:*:vpc/vpc-2"}}, True),
        ({"ArnNotEquals": {"ec2:Vpc": VPC}}, False),
        ({"Bool": {"aws:SecureTransport": False}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        # Keys that are not there.
        ({"StringEquals": {"ec2:Subnet": "x"}}, False),
        ({"StringEqualsIfExists": {"ec2:Subnet": "x"}}, True),
        ({"StringEqualsIfExists": {"ec2:Region": "x"}}, False),
        ({"StringNotEquals": {"aws:ResourceTag/Other": "x"}}, True),
        ({"ArnLike": {"ec2:Subnet": "arn:aws:ec2:*:*:*"}}, False),
        ({"Null": {"ec2:Subnet": "true"}}, True),
        ({"Null": {"ec2:Subnet": False}}, False),
        ({"Null": {"ec2:Region": "false"}}, True),
        # Keys with several values.
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["Name", "Role", "x"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["Name"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["Name"]}}, True),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["Name"]}}, True),
        ({"ForAnyValue:StringEquals": {"ec2:Subnet": "x"}}, False),
        ({"ForAllValues:StringEquals": {"ec2:Subnet": "x"}}, True),
        # Variables.
        ({"StringEquals": {"aws:ResourceTag/Role": "${aws:PrincipalTag/Role}"}}, True),
        ({"StringLike": {"aws:ResourceTag/Role": "${aws:PrincipalTag/Odd}"}}, False),
        ({"StringLike": {"aws:ResourceTag/Role": "${*}"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:ResourceTag/Role": "${aws:principaltag/role}"}}, True),
    ],
)
def test_conditions(condition: Json, holds: bool) -> None:
    assert allows(statement(Condition=condition)) is holds
    assert denies(statement(), statement("Deny", Condition=condition)) is holds


@pytest.mark.parametrize(
    "part",
    [
        {"Condition": {"StringEquals": {"ec2:Colour": "red"}}},
        {"Condition": {"StringEqualsIfExists": {"ec2:Colour": "red"}}},
        {"Condition": {"StringNotEquals": {"ec2:Colour": "red"}}},
        {"Condition": {"Null": {"ec2:Colour": "true"}}},
        {"Condition": {"Null": {"ec2:Subnet": "maybe"}}},
        {"Condition": {"NumericLessThan": {"ec2:Region": "1"}}},
        {"Condition": {"NotBool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"ForSomeValues:StringEquals": {"ec2:Region": "us-east-1"}}},
        {"Condition": {"StringEquals": {"aws:TagKeys": "Name"}}},
        {"Condition": {"StringEquals": {"ec2:Region": "${aws:Colour}"}}},
        {"Condition": {"StringEquals": {"ec2:Region": "${ec2:Subnet}"}}},
        {"Condition": {"ArnLike": {"ec2:Vpc": "vpc-1"}}},
        {"Resource": "arn:aws:ec2:*"},
        {"Resource": None},
        {"Action": None},
        {"NotAction": "s3:*"},
        {"Principal": "*"},
    ],
)
def test_what_is_not_understood_is_against_the_caller(part: Json, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not allows(statement(**part))
    assert "is not understood" in caplog.text
    assert denies(statement(), statement("Deny", **part))
    # What does not matter is not asked.
    assert not denies(statement(), statement("Deny", **{**part, "Condition": {"Bool": {"ec2:Region": "x"}}}))


def test_variables_have_a_meaning_only_since_2012() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/Role": "${aws:PrincipalTag/Role}"}}
    old = document(statement(Condition=condition), version="2008-10-17")
    assert decide([old], ASSIGN) is Decision.NONE


def test_an_effect_that_is_no_effect_denies() -> None:
    assert denies(statement(), statement("allow"))


PATTERNS = st.text(alphabet="ab*?.[]^$+(", max_size=6)
STATEMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "Effect": st.sampled_from(["Allow", "Deny"]),
            "Action": st.sampled_from(["*", "ec2:*", "ec2:Assign*", "s3:*"]),
            "Resource": st.sampled_from(["*", ENI, VPC]),
            "Condition": st.sampled_from(
                [
                    {},
                    {"StringEquals": {"ec2:Region": "us-east-1"}},
                    {"StringEquals": {"ec2:Region": "x"}},
                    {"StringEquals": {"ec2:Colour": "x"}},
                ]
            ),
        }
    ),
    max_size=5,
)


@given(statements=STATEMENTS, order=st.randoms())
def test_neither_order_nor_documents_matter(statements: list[Json], order: Any) -> None:
    together = decide([document(*statements)], ASSIGN)
    shuffled = list(statements)
    order.shuffle(shuffled)
    assert decide([document(one) for one in shuffled], ASSIGN) is together


@given(statements=STATEMENTS)
def test_a_denial_always_wins(statements: list[Json]) -> None:
    assert denies(*statements, statement("Deny"))
    assert allows(*statements, statement()) is not denies(*statements)


@given(statements=STATEMENTS)
def test_doubt_never_allows(statements: list[Json]) -> None:
    certain = [s for s in statements if s["Effect"] == "Deny" or "ec2:Colour" not in str(s)]
    assert allows(*statements) == allows(*certain)


@given(pattern=PATTERNS, value=st.text(alphabet="ab.[]^$+(", max_size=6))
def test_only_two_characters_are_wildcards(pattern: str, value: str) -> None:
    call = Call(action="s:A", keys={"k": [value]})
    found = allows(statement(Action="*", Condition={"StringLike": {"k": pattern}}), call=call)
    assert found is fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))
