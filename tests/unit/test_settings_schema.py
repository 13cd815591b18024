"""The JSON schema is the settings', and the stack files are as it says, with every key explained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.host_state import packages_state
from components.planning import make_plan
from components.schema import SCHEMA_FILE, schema_text, stack_schema
from components.settings import load_settings
from tests.unit.settings_cases import base, put

STACKS = sorted(SCHEMA_FILE.parent.glob("Pulumi.*.yaml"))
each_stack = pytest.mark.parametrize("file", STACKS, ids=lambda file: file.name)


def errors(stack: object) -> list[str]:
    schema = yaml.safe_load(schema_text())
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(stack)]


def stack_file(config: dict[str, Any]) -> dict[str, Any]:
    return {"config": {key if ":" in key else f"causeway:{key}": value for key, value in config.items()}}


def test_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m components.schema"


def test_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(yaml.safe_load(schema_text()))


def test_every_key_has_a_description() -> None:
    schema = stack_schema()
    groups = [schema["properties"]["config"], *schema["definitions"].values()]
    for group in groups:
        for key, described in group["properties"].items():
            reference = described.get("$ref", "").rpartition("/")[2]
            assert described.get("description") or schema["definitions"][reference]["description"], key


@each_stack
def test_stack_files_are_valid(file: Path) -> None:
    stack = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert not errors(stack)
    config = stack["config"]
    config["causeway:access"]["public_key"] = base()["access"]["public_key"]
    config.setdefault("causeway:private_key_file", "~/.ssh/id_ed25519")
    make_plan(load_settings(config), file.name)


@each_stack
def test_every_key_of_a_stack_file_is_commented(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    explained = False
    for line in lines:
        text = line.strip().removeprefix("- ")
        is_comment = text.startswith("#")
        opens = text == "config:" or (text.startswith("causeway:") and text.endswith(":"))
        assert is_comment or opens or explained, f"{file.name}: no comment above: {line}"
        explained = is_comment


def test_what_an_image_must_have_is_what_hosts_are_told_to_have() -> None:
    text = (SCHEMA_FILE.parent / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    listed = re.search(r"lists \((.*); for a pair's proxies also (.*?)\)", re.sub(r"\s+#\s", " ", text))
    assert listed is not None
    of_all, of_proxies = (set(names.split(", ")) for names in listed.groups())
    pair = make_plan(load_settings(base("pair")), "test")
    assert of_all == set(packages_state(pair, pair.func_hosts[0])["packages"])
    assert of_all | of_proxies == set(packages_state(pair, pair.proxies[0])["packages"])


@pytest.mark.parametrize("name", ["created", "pair", "existing"])
def test_valid_configurations_satisfy_the_schema(name: str) -> None:
    assert not errors(stack_file(base(name)))


def test_schema_takes_what_pulumi_makes_of_numbers_and_booleans() -> None:
    assert not errors(stack_file({**base(), "underlay_mtu": "1500", "install_packages": "false"}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("platform.vpc_cidr", "192.168.0.0"),
        ("platform.vpc_cdir", "192.168.0.0/16"),
        ("func_hosts.count", 0),
        ("func_hosts.count", "many"),
        ("install_packages", "sometimes"),
        ("func_hots", {}),
        ("access.mode", "vpn"),
        ("redundancy", "triple"),
        ("proxy.havip", "shared"),
        ("proxy.advert_ms", 25),
        ("api", {"way": "nat"}),
        ("api", {"endpoint_address": "192.168.4.200"}),
        ("private_key", "in plain text"),
        ("tags", {"aws:x": "y"}),
        ("tenants[0].name", "Alpha"),
        ("tenants[0].vpc_id", None),
        ("tenants[0].overlay", {}),
    ],
)
def test_schema_refuses(key: str, value: object) -> None:
    config = base()
    put(config, key, value)
    assert errors(stack_file(config))


def test_editors_understand_the_patterns() -> None:
    """They take them for JavaScript's, which has no flags within a pattern."""
    assert "(?i" not in schema_text()
