"""Session tokens of IMDSv2: signed, so that nothing has to be remembered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import secrets
import struct
import time
from collections.abc import Callable

MAX_TTL_S = 21600  # six hours, AWS's limit
MAC_BYTES = 20


class Tokens:
    """Issues and checks tokens; a token is good for one instance, on all its interfaces, until it expires."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def issue(self, instance_id: str, ttl_s: int) -> str:
        """A new token."""
        body = struct.pack("!Q", math.ceil(self._clock() + ttl_s)) + secrets.token_bytes(8)
        return base64.urlsafe_b64encode(body + self._sign(instance_id, body)).decode()

    def valid(self, token: str, instance_id: str) -> bool:
        """Whether the token was issued here, to this instance, and has not expired."""
        try:
            raw = base64.urlsafe_b64decode(token)
        except ValueError:
            return False
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if not hmac.compare_digest(mac, self._sign(instance_id, body)):
            return False
        (expires,) = struct.unpack_from("!Q", body)
        return bool(self._clock() < expires)

    def _sign(self, instance_id: str, body: bytes) -> bytes:
        return hmac.digest(self._key, instance_id.encode() + b"\0" + body, hashlib.sha256)[:MAC_BYTES]
