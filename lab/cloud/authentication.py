"""Who is let in: whoever signed with a key of this lab, within AWS's limits of time."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime

from moto.core.request import Request

from lab.cloud.credentials import Key
from lab.cloud.refusals import Reason, Refusal
from lab.cloud.signature import Signature, read_signature, service_of


class Authentication:
    """`key_of` gives the key of an access key id, None: there is none."""

    def __init__(
        self,
        key_of: Callable[[str], Key | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key_of = key_of
        self._now = now

    def signature_of(self, request: Request) -> Signature | Refusal:
        """The signature of a request, verified; or why it is refused."""
        signature = read_signature(request)
        if signature is None:
            return Refusal(service_of(request), Reason.INCOMPLETE)
        reason = self._objection(request, signature)
        return signature if reason is None else Refusal(signature.service, reason)

    def _objection(self, request: Request, signature: Signature) -> Reason | None:
        key, now = self._key_of(signature.access_key_id), self._now()
        if key is None or not hmac.compare_digest(key.token.encode(), signature.token.encode()):
            return Reason.UNKNOWN
        if not signature.matches(request, key.secret):
            return Reason.MISMATCH
        if not signature.in_time(now):
            return Reason.LATE
        return Reason.TOKEN_EXPIRED if key.expiration is not None and key.expiration <= now else None
