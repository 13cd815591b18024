"""AWS Signature Version 4, from the side that verifies it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from botocore.utils import normalize_url_path
from moto.core.request import Request

ALGORITHM = "AWS4-HMAC-SHA256"
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
TOLERANCE = timedelta(minutes=15)
LONGEST = timedelta(days=7)  # of a presigned URL
MUST_SIGN = ("host", "x-amz-date", "x-amz-target")  # those of them that are there; the last names the action
UNRESERVED = "-_.~"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a request says of itself; none of it is to be believed before `matches`."""

    access_key_id: str
    region: str
    service: str
    time: datetime
    signed_headers: tuple[str, ...]
    digest: str  # hex
    token: str = ""
    lifetime: timedelta | None = None  # of a presigned URL

    def in_time(self, now: datetime) -> bool:
        """Made at most 15 minutes before or after now, or as long ago as a presigned URL allows."""
        return self.time - TOLERANCE <= now <= self.time + (self.lifetime or TOLERANCE)

    def matches(self, request: Request, secret: str) -> bool:
        """Whether the request was signed with this secret, and is as it was then."""
        present = [name for name in MUST_SIGN if name in request.headers]
        if not set(present) <= set(self.signed_headers):
            return False
        canonical = hashlib.sha256(_canonical(request, self.signed_headers)).hexdigest()
        scope = (f"{self.time:%Y%m%d}", self.region, self.service, "aws4_request")
        to_sign = "\n".join((ALGORITHM, self.time.strftime(TIME_FORMAT), "/".join(scope), canonical))
        key = f"AWS4{secret}".encode()
        for part in scope:
            key = hmac.digest(key, part.encode(), "sha256")
        made = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return hmac.compare_digest(made.encode(), self.digest.encode())


def service_of(request: Request) -> str:
    """The service that a request was signed for, or says so; empty: it is not signed."""
    parts = _stated(request).get("Credential", "").split("/")
    return parts[3] if len(parts) == 5 else ""


def read_signature(request: Request) -> Signature | None:
    """The signature in the Authorization header or in a presigned URL; None: a part of it is missing."""
    stated = _stated(request)
    try:
        access_key_id, date, region, service, end = stated["Credential"].split("/")
        time = datetime.strptime(stated["Date"], TIME_FORMAT).replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(stated["Expires"])) if "Expires" in stated else None
        read = Signature(
            access_key_id=access_key_id,
            region=region,
            service=service,
            time=time,
            signed_headers=tuple(stated["SignedHeaders"].split(";")),
            digest=stated["Signature"],
            token=stated.get("Security-Token", ""),
            lifetime=lifetime,
        )
    except (KeyError, ValueError, OverflowError):
        return None
    in_bounds = lifetime is None or timedelta(0) < lifetime <= LONGEST
    return read if end == "aws4_request" and date == f"{time:%Y%m%d}" and in_bounds else None


def _stated(request: Request) -> Mapping[str, str]:
    """The parts of the signature by their names in the header and, without X-Amz-, in a presigned URL."""
    algorithm, _, parts = request.headers.get("Authorization", "").partition(" ")
    if not algorithm:
        prefix = "X-Amz-"
        return {k.removeprefix(prefix): v for k, v in request.args.items() if k.startswith(prefix)}
    if algorithm != ALGORITHM:
        return {}
    named = {name.strip(): value for name, _, value in (part.partition("=") for part in parts.split(","))}
    for name in ("Date", "Security-Token"):
        if (value := request.headers.get(f"X-Amz-{name}")) is not None:
            named[name] = value
    return named


def _canonical(request: Request, signed_headers: tuple[str, ...]) -> bytes:
    lines = [
        request.method,
        quote(normalize_url_path(request.raw_path), safe="/~"),
        _canonical_query(request.query_string.decode("latin-1")),
        *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed_headers),
        "",
        ";".join(signed_headers),
        hashlib.sha256(request.get_data()).hexdigest(),
    ]
    return "\n".join(lines).encode("latin-1")  # what WSGI makes of the bytes of a header


def _canonical_query(query: str) -> str:
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded if name != "X-Amz-Signature")


def _encoded(text: str) -> str:
    return quote(unquote(text, "latin-1"), safe=UNRESERVED, encoding="latin-1")
