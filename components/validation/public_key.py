"""Reader of the operator's public key: one that EC2 and sshd take, and that nobody factors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from components.validation.leaf import Leaf, MisfitError

_TYPES = ("ssh-ed25519", "ssh-rsa")  # what EC2 takes as a key pair
_ED25519_BYTES = 32
_LEAST_RSA_BITS = 2048


def _public_key(value: object) -> str:
    if not isinstance(value, str) or "PRIVATE KEY" in value:
        raise MisfitError(
            "must be a public key in OpenSSH's format, on one line",
            "give the content of the file that ends in .pub, such as ~/.ssh/id_ed25519.pub",
        )
    line = value.strip()
    kind, _, rest = line.partition(" ")
    if kind not in _TYPES or not line.isprintable():
        raise MisfitError(
            f"must be a public key that EC2 takes: {' or '.join(_TYPES)}, then the key, on one line",
            "make one: ssh-keygen -t ed25519; then give the content of its .pub file",
        )
    parts = list(_parts(rest.partition(" ")[0]))
    if not parts or parts[0] != kind.encode() or not _is_whole(kind, parts[1:]):
        raise MisfitError(
            f"is not a complete {kind} key: what follows the type does not decode to one",
            "copy the whole line of the .pub file",
        )
    if kind == "ssh-rsa" and (bits := int.from_bytes(parts[2], "big").bit_length()) < _LEAST_RSA_BITS:
        raise MisfitError(
            f"is an RSA key of {bits} bits: only from {_LEAST_RSA_BITS} bits on is RSA safe",
            "make another: ssh-keygen -t ed25519; then give the content of its .pub file",
        )
    return line


def _parts(encoded: str) -> Iterator[bytes]:
    """What a key's body consists of, each with its length before it (RFC 4251, 5); nothing of a broken body."""
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return
    parts = []
    while body:
        length = int.from_bytes(body[:4], "big")
        if len(body) < 4 + length:
            return
        parts.append(body[4 : 4 + length])
        body = body[4 + length :]
    yield from parts


def _is_whole(kind: str, numbers: list[bytes]) -> bool:
    """One number of 32 bytes for ed25519 (RFC 8709, 4), exponent and modulus for RSA (RFC 4253, 6.6)."""
    if kind == "ssh-rsa":
        return len(numbers) == 2 and all(any(number) for number in numbers)
    return [len(number) for number in numbers] == [_ED25519_BYTES]


PUBLIC_KEY = Leaf(_public_key, {"type": "string", "pattern": f"^({'|'.join(_TYPES)}) [A-Za-z0-9+/=]+( .*)?$"})
