"""Property values on the wire and as plain Python.

Plain: str, float, bool, None, list, dict; besides them `UNKNOWN` (in a preview, not yet known) and `Asset`.
Secrets do not show: decoding unwraps them, and `like_secret` marks in an answer what was secret in the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct, Value

Plain = Any

# Signatures and sentinels of Pulumi's wire format (sdk/go/common/resource/plugin/rpc.go, sig/sig.go).
SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_STRINGS: Final = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class Unknown(Enum):
    """The value of an output that does not exist yet."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Asset:
    """A file, text or directory; `hash` is of its content. Kept as the engine sent it."""

    signature: str
    hash: str
    path: str | None = None
    text: str | None = None
    uri: str | None = None

    @property
    def is_archive(self) -> bool:
        """Whether it is a tree of files."""
        return self.signature == ARCHIVE_SIGNATURE


@dataclass(frozen=True)
class Secret:
    """A value that the engine must keep encrypted."""

    value: Plain


def decode_map(struct: Struct) -> dict[str, Plain]:
    """Properties from the wire; nulls are left out, as if they had not been given."""
    return {key: _decode(value) for key, value in struct.fields.items() if not value.HasField("null_value")}


def encode_map(values: Mapping[str, Plain]) -> Struct:
    """Properties to the wire; None is left out."""
    return Struct(fields={key: _encode(value) for key, value in values.items() if value is not None})


def like_secret(
    values: Mapping[str, Plain], given: Struct, derived: Mapping[str, str] | None = None
) -> dict[str, Plain]:
    """Values with those marked that were secret in `given`, at any depth.

    `derived` names properties that are made from others, as in `{"tagsAll": "tags"}`, and so share their secrets.
    """
    marked = {
        key: _like(value, given.fields[key]) if key in given.fields else value
        for key, value in values.items()
    }
    for key, source in (derived or {}).items():
        if key in marked and source in given.fields and _has_secret(given.fields[source]):
            marked[key] = Secret(marked[key])
    return marked


def _like(value: Plain, given: Value) -> Plain:
    if value is None:
        return None
    fields = given.struct_value.fields
    if SIGNATURE_KEY not in fields and isinstance(value, dict):
        return like_secret(value, given.struct_value)
    return Secret(value) if _has_secret(given) else value


def _has_secret(given: Value) -> bool:
    fields = given.struct_value.fields
    if SIGNATURE_KEY in fields and fields[SIGNATURE_KEY].string_value == SECRET_SIGNATURE:
        return True
    return any(map(_has_secret, (*fields.values(), *given.list_value.values)))


def is_known(value: Plain) -> bool:
    """Whether no part of it is unknown."""
    if isinstance(value, dict):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return value is not UNKNOWN


def _decode(value: Value) -> Plain:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
    if kind == "number_value":
        return value.number_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE_KEY in fields:
            return _decode_special(fields[SIGNATURE_KEY].string_value, fields)
        return decode_map(value.struct_value)
    return None


def _decode_special(signature: str, fields: Mapping[str, Value]) -> Plain:
    if signature == SECRET_SIGNATURE:
        return _decode(fields["value"])
    if signature == OUTPUT_SIGNATURE:
        return _decode(fields["value"]) if "value" in fields else UNKNOWN
    if signature in (ASSET_SIGNATURE, ARCHIVE_SIGNATURE):
        known = {key: fields[key].string_value for key in ("hash", "path", "text", "uri") if key in fields}
        return Asset(signature, **{"hash": "", **known})
    if signature == RESOURCE_SIGNATURE:
        return _decode(fields["id"]) if "id" in fields else fields["urn"].string_value
    raise ValueError(f"a value of unknown kind {signature}")


def _encode(value: Plain) -> Value:
    if value is None:
        return Value(null_value=0)
    if value is UNKNOWN:
        return Value(string_value=UNKNOWN_STRING)
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=float(value))
    if isinstance(value, str):
        return Value(string_value=str(value))
    if isinstance(value, list | tuple):
        return Value(list_value=ListValue(values=[_encode(item) for item in value]))
    if isinstance(value, Mapping):
        return Value(struct_value=encode_map(value))
    if isinstance(value, Secret):
        return _encode({SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value})
    if isinstance(value, Asset):
        parts = {"hash": value.hash, "path": value.path, "text": value.text, "uri": value.uri}
        return _encode({SIGNATURE_KEY: value.signature, **parts})
    raise TypeError(f"a {type(value).__name__} cannot be a property's value")
