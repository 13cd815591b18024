"""Readers of single values: text, numbers, networks. Each raises `MisfitError` with rule and way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from components.validation.leaf import Leaf, MisfitError

_NETWORK = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})/(\d{1,2})", re.ASCII)
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)


def whole_number(least: int, most: int, why: str, *, step: int = 1) -> Leaf:
    """A whole number within bounds, of which `step` is a divisor too; `why` says where the rule comes from."""
    multiple = "" if step == 1 else f" that is a multiple of {step}"
    rule = f"must be a whole number from {least} to {most}{multiple}: {why}"

    def parse(value: object) -> int:
        # The digits are bounded: Python makes no number of very many, nor text of a very large number.
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise MisfitError(rule, f"write a number without quotes, such as {least}")
        if not least <= number <= most:
            raise MisfitError(rule, f"the nearest that is allowed is {least if number < least else most}")
        if number % step:
            below = number - number % step
            raise MisfitError(rule, f"did you mean {below} or {below + step}?")
        return number

    # Pulumi quotes what it rewrites at the top level of a stack file.
    schema = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": least, "maximum": most}
    return Leaf(parse, schema if step == 1 else {**schema, "multipleOf": step})


def _boolean(value: object) -> bool:
    # The ordinary way from a stack file to the program makes text of it.
    known: Mapping[object, bool] = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in known:
        return known[value]
    raise MisfitError("must be true or false", "write one of the two, without quotes")


def text(pattern: str, rule: str, way_out: str) -> Leaf:
    """Text that matches the pattern as a whole."""
    compiled = re.compile(pattern)

    def parse(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise MisfitError(rule, way_out)
        return value

    return Leaf(parse, {"type": "string", "pattern": f"^(?:{pattern})$"})


def choice(options: type[StrEnum], instead: Mapping[str, tuple[str, str]] | None = None) -> Leaf:
    """One of the enumeration's values; `instead` has rule and way out for some wrong ones."""
    values = [str(option) for option in options]

    def parse(value: object) -> StrEnum:
        if isinstance(value, str) and value in values:
            return options(value)
        if isinstance(value, str) and instead and value in instead:
            raise MisfitError(*instead[value])
        raise MisfitError(f"must be one of: {', '.join(values)}", f"write {' or '.join(values)}")

    return Leaf(parse, {"type": "string", "enum": values})


def _network(value: object) -> IPv4Network:
    match = _NETWORK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise MisfitError(
            "must be an IPv4 network: an address, a slash and the prefix length",
            _with_prefix(value) or "write it like 10.0.0.0/24",
        )
    address, length = _octets(match[1], "write a network like 10.0.0.0/24"), int(match[2])
    if length > 32:
        raise MisfitError("the prefix length must be from 0 to 32", f"write it like {address}/24")
    aligned = IPv4Network((address, length), strict=False)
    if aligned.network_address != address:
        raise MisfitError(
            f"is not aligned: the address has bits set behind the prefix of {length} bits",
            f"did you mean {aligned}?",
        )
    return aligned


def _with_prefix(value: object) -> str | None:
    is_address = isinstance(value, str) and _ADDRESS.fullmatch(value) is not None
    return (
        f"add the prefix length, such as {value}/24; {value}/32 is this one address" if is_address else None
    )


def _address(value: object) -> IPv4Address:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        bare = value.split("/")[0] if isinstance(value, str) else ""
        raise MisfitError(
            "must be an IPv4 address, without a prefix length",
            f"did you mean {bare}?" if _ADDRESS.fullmatch(bare) else "write it like 10.0.0.4",
        )
    return _octets(value, "write an address like 10.0.0.4")


def _octets(value: str, way_out: str) -> IPv4Address:
    try:
        return IPv4Address(value)
    except AddressValueError:
        raise MisfitError(
            "each of the four numbers must be from 0 to 255, without leading zeros", way_out
        ) from None


BOOLEAN = Leaf(_boolean, {"enum": [True, False, "true", "false"]})  # quoted: as above
NETWORK = Leaf(_network, {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$"})
ADDRESS = Leaf(_address, {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3}){3}$"})
