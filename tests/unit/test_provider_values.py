"""Property values on the wire, and what counts as a change."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc

from lab.providers.plugin.diff import Change, ChangeKind, diff
from lab.providers.plugin.schema import Kind, Prop
from lab.providers.plugin.values import (
    ASSET_SIGNATURE,
    OUTPUT_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_STRING,
    UNKNOWN_STRINGS,
    Asset,
    Secret,
    decode_map,
    encode_map,
    is_known,
)


def struct(values: dict[str, Any]) -> Struct:
    return json_format.ParseDict(values, Struct())


def test_the_signatures_are_the_sdks() -> None:
    assert rpc._special_sig_key == SIGNATURE_KEY
    assert rpc._special_secret_sig == SECRET_SIGNATURE
    assert rpc._special_asset_sig == ASSET_SIGNATURE
    assert rpc._special_output_value_sig == OUTPUT_SIGNATURE
    assert UNKNOWN_STRING == rpc.UNKNOWN


def test_plain_values_survive_the_way_there_and_back() -> None:
    values = {"s": "x", "n": 1.5, "b": False, "l": ["a", {"k": 1.0}], "m": {"x": {"y": "z"}}, "e": ""}
    assert decode_map(encode_map(values)) == values


def test_none_is_as_if_not_given() -> None:
    assert decode_map(struct({"a": None, "b": {"c": None}})) == {"b": {}}
    assert decode_map(encode_map({"a": None, "b": 1})) == {"b": 1.0}


@pytest.mark.parametrize("sentinel", sorted(UNKNOWN_STRINGS))
def test_every_kind_of_unknown_is_unknown(sentinel: str) -> None:
    decoded = decode_map(struct({"a": sentinel, "b": ["x", sentinel]}))
    assert decoded == {"a": UNKNOWN, "b": ["x", UNKNOWN]}
    assert not is_known(decoded)
    assert encode_map({"a": UNKNOWN})["a"] == UNKNOWN_STRING


def test_secrets_and_outputs_are_unwrapped() -> None:
    secret = {SIGNATURE_KEY: SECRET_SIGNATURE, "value": {"k": "v"}}
    output = {SIGNATURE_KEY: OUTPUT_SIGNATURE, "value": secret, "secret": True}
    pending = {SIGNATURE_KEY: OUTPUT_SIGNATURE, "dependencies": ["urn"]}
    assert decode_map(struct({"s": secret, "o": output, "p": pending})) == {
        "s": {"k": "v"},
        "o": {"k": "v"},
        "p": UNKNOWN,
    }


def test_a_functions_secret_is_marked() -> None:
    encoded = json_format.MessageToDict(encode_map({"value": Secret("hush")}))
    assert encoded == {"value": {SIGNATURE_KEY: SECRET_SIGNATURE, "value": "hush"}}


def test_assets_keep_their_hash() -> None:
    asset = Asset(ASSET_SIGNATURE, "abc", path="/tmp/x")
    assert decode_map(encode_map({"source": asset})) == {"source": asset}


PROPS = {
    "name": Prop(replaces=True),
    "tags": Prop(kind=Kind.STRING_MAP),
    "groups": Prop(kind=Kind.STRING_SET),
    "zone": Prop(computed=True, replaces=True),
    "disk": Prop(kind=Kind.OBJECT, fields={"size": Prop(kind=Kind.INT), "encrypted": Prop(replaces=True)}),
    "policy": Prop(kind=Kind.DOCUMENT),
    "source": Prop(kind=Kind.ASSET),
}
UPDATE, ADD, DELETE = ChangeKind.UPDATE, ChangeKind.ADD, ChangeKind.DELETE


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"name": "a"}, {"name": "a"}, []),
        ({"name": "a"}, {"name": "b"}, [Change("name", UPDATE, True)]),
        ({"name": "a"}, {"name": UNKNOWN}, [Change("name", UPDATE, True)]),
        ({"tags": {"a": "1", "b": "2"}}, {"tags": {"a": "1", "b": "3"}}, [Change("tags.b", UPDATE, False)]),
        ({"tags": {"a": "1"}}, {"tags": {"x:y": "1"}}, [
            Change("tags.a", DELETE, False), Change('tags["x:y"]', ADD, False)]),
        ({}, {"tags": {"a": "1"}}, [Change("tags", ADD, False)]),
        ({"tags": {"a": "1"}}, {}, [Change("tags", DELETE, False)]),
        ({"groups": ["a", "b"]}, {"groups": ["b", "a"]}, []),
        ({"groups": ["a", "b"]}, {"groups": ["a", UNKNOWN]}, [Change("groups", UPDATE, False)]),
        ({"zone": "a"}, {}, []),
        ({"zone": "a"}, {"zone": "b"}, [Change("zone", UPDATE, True)]),
        ({"disk": {"size": 8.0}}, {"disk": {"size": 9.0}}, [Change("disk.size", UPDATE, False)]),
        ({"disk": {"encrypted": "n"}}, {"disk": {"encrypted": "y"}}, [Change("disk.encrypted", UPDATE, True)]),
        ({"policy": '{"a": [1]}'}, {"policy": {"a": [1.0]}}, []),
        ({"policy": '{"a": 1}'}, {"policy": '{"a": 2}'}, [Change("policy", UPDATE, False)]),
        ({"source": Asset("s", "1", path="/a")}, {"source": Asset("s", "1", path="/b")}, []),
        ({"source": Asset("s", "1")}, {"source": Asset("s", "2")}, [Change("source", UPDATE, False)]),
    ],
)  # fmt: skip
def test_changes(old: dict[str, Any], new: dict[str, Any], changes: list[Change]) -> None:
    assert diff(PROPS, old, new) == changes


def test_a_change_belongs_to_a_top_level_property() -> None:
    assert [Change(path, UPDATE, False).key for path in ("a", "b.c", 'd["x.y"]', "e[0].f")] == [
        "a",
        "b",
        "d",
        "e",
    ]
