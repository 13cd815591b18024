"""A stack file and what the lab overrides in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab.engine.stack_config import stack_config
from lab.errors import LabError

FILE = """
config:
  aws:region: us-east-1
  causeway:func_hosts: {count: 1, first_address: 192.168.80.8}
  causeway:tenants:
    - name: alpha
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "Pulumi.lab.yaml"
    made.write_text(FILE)
    return made


@pytest.mark.parametrize(
    ("key", "value", "where", "expected"),
    [
        ("func_hosts.count", 3, "causeway:func_hosts", {"count": 3, "first_address": "192.168.80.8"}),
        (
            "causeway:func_hosts.count",
            3,
            "causeway:func_hosts",
            {"count": 3, "first_address": "192.168.80.8"},
        ),
        ("tenants[0].name", "beta", "causeway:tenants", [{"name": "beta"}]),
        ("tenants[1].name", "beta", "causeway:tenants", [{"name": "alpha"}, {"name": "beta"}]),
        ("access.mode", "public", "causeway:access", {"mode": "public"}),
        ("redundancy", "single", "causeway:redundancy", "single"),
        ("aws:region", "eu-west-1", "aws:region", "eu-west-1"),
        ("tenants", [], "causeway:tenants", []),
    ],
)
def test_overrides(file: Path, key: str, value: Any, where: str, expected: Any) -> None:
    config = stack_config(file, "causeway", {key: value})
    assert config[where] == expected
    others = {"aws:region", "causeway:func_hosts", "causeway:tenants"} - {where}
    assert {k: config[k] for k in others} == {k: stack_config(file, "causeway", {})[k] for k in others}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("tenants[5].name", "tenants[5].name: 5 does not fit what the stack file has there"),
        ("func_hosts[0]", "0 does not fit"),
        ("func_hosts.count.more", "'more' does not fit"),
        ("func_hosts..count", "not a path of a setting"),
        ("", "not a path of a setting"),
    ],
)
def test_overrides_that_do_not_fit(file: Path, key: str, message: str) -> None:
    with pytest.raises(LabError, match=re.escape(message)):
        stack_config(file, "causeway", {key: 1})


def test_a_missing_stack_file_names_those_there_are(file: Path) -> None:
    with pytest.raises(LabError) as caught:
        stack_config(file.with_name("Pulumi.nope.yaml"), "causeway", {})
    assert caught.value.hint == "stacks that have one: lab"


def test_a_stack_file_that_is_no_yaml(file: Path) -> None:
    file.write_text("config: [")
    with pytest.raises(LabError, match="is no YAML"):
        stack_config(file, "causeway", {})


def test_encrypted_values_must_be_overridden(file: Path) -> None:
    file.write_text(FILE + "  causeway:access: {private_key: {secure: AAAB}}\n")
    with pytest.raises(LabError, match=r"causeway:access\.private_key is encrypted"):
        stack_config(file, "causeway", {})
    assert stack_config(file, "causeway", {"access.private_key": "x"})["causeway:access"] == {
        "private_key": "x"
    }
