"""What a pair's proxy asks of AWS: the instance metadata (IMDSv2), and EC2's AssignPrivateIpAddresses.

The standard library alone, because a host has no more; each call is one connection with a deadline.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

METADATA_TAKES_S, CONNECTION_TAKES_S, CLAIM_TAKES_S = 2.0, 1.0, 4.0
TOKEN_LASTS_S = 21600
ANSWER_BYTES = 1 << 16
EC2_VERSION = "2016-11-15"
ROLE = re.compile(r"[A-Za-z0-9+=,.@_-]{1,128}")
KEY, SECRET, TOKEN = (
    re.compile(r"[A-Za-z0-9]+"),
    re.compile(r"[A-Za-z0-9/+=]+"),
    re.compile(r"[A-Za-z0-9/+=_-]+"),
)
LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *([0-9]{1,9})(?=\r\n|$)")
DATE = re.compile(r"\r\n[Dd]ate: *(\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT)(?=\r\n|$)")
DATE_FORMAT = "%a, %d %b %Y %H:%M:%S GMT"
CLOCK_MAY_BE_OFF_S = 60.0  # AWS refuses what was signed five minutes ago, or is to be
CODE = re.compile(r"<Code>([A-Za-z.]{1,60})</Code>")


class MetadataError(Exception):
    """Silent, or an answer that is none."""


@dataclass(frozen=True)
class Credentials:
    """Of the instance's role."""

    key: str
    secret: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """Of an HTTP server."""

    status: int
    body: str
    head: str = ""


async def http(
    host: str,
    port: int,
    request: str,
    deadline_s: float,
    tls: ssl.SSLContext | None = None,
    connect_to: str | None = None,
) -> Answer:
    """Send a request with HTTP/1.0 and read the answer to its end. OSError, TimeoutError, ValueError."""
    async with asyncio.timeout(deadline_s):
        async with asyncio.timeout(min(CONNECTION_TAKES_S, deadline_s)):
            reader, writer = await connection(host, port, tls, connect_to)
        try:
            writer.write(request.encode())
            head, _, body = (await read_answer(reader)).decode("utf-8", "replace").partition("\r\n\r\n")
        finally:
            writer.transport.abort()  # whatever it still had to say
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not re.fullmatch(r"\d{3}", words[1]):
        raise ValueError("no answer of a web server")
    return Answer(int(words[1]), body, head)


def date_of(head: str) -> datetime | None:
    """What the server's clock says, or None."""
    found = DATE.search(head)
    try:
        return datetime.strptime(found[1], DATE_FORMAT).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


async def connection(
    host: str, port: int, tls: ssl.SSLContext | None, connect_to: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To a server that proves its name, if there is TLS; by `connect_to`, if its name is not to be looked up."""
    return await asyncio.open_connection(
        connect_to or host, port, ssl=tls, server_hostname=host if tls else None
    )


def reason_of(error: OSError) -> str:
    """Why there is no connection, the same for each of the server's addresses."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "no TLS"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return os.strerror(error.errno) if error.errno else "no answer"


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """To its end: what the server says of it, or that it closes, or as much as any honest answer has."""
    answer, size = b"", ANSWER_BYTES
    while len(answer) < size:
        part = await reader.read(ANSWER_BYTES)
        if not part:
            break
        answer += part
        head, end, _ = answer.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if end else None
        if length:
            size = min(len(head) + len(end) + int(length[1]), ANSWER_BYTES)
    return answer


@dataclass
class Metadata:
    """The instance metadata service; `host` is 169.254.169.254."""

    host: str
    ahead_s: float = (
        0.0  # this clock is, of AWS's, by the last credentials' answer; 0: by less than is of any account
    )
    _token: str = ""

    async def local_ipv4s(self, macs: Iterable[str]) -> dict[str, set[str] | None]:
        """The private addresses that AWS has at each of these NICs. None: it knows no such NIC."""
        unique = sorted(set(macs))
        texts = await asyncio.gather(
            *(self._get(f"meta-data/network/interfaces/macs/{mac}/local-ipv4s") for mac in unique)
        )
        return {
            mac: None if text is None else set(text.split()) for mac, text in zip(unique, texts, strict=True)
        }

    async def credentials(self) -> Credentials:
        """Those of the instance's role. What is not of the right form is refused."""
        path = "meta-data/iam/security-credentials/"
        role = ((await self._get(path)) or "").partition("\n")[0].rstrip("/")
        if not ROLE.fullmatch(role):
            raise MetadataError("the instance has no role")
        try:
            answer = await self._answer(path + role)
            self.ahead_s = ahead(date_of(answer.head), datetime.now(UTC))
            told = json.loads(answer.body)
            found = [str(told[name]) for name in ("AccessKeyId", "SecretAccessKey", "Token")]
        except (ValueError, KeyError, TypeError):
            raise MetadataError("no credentials") from None
        if not all(form.fullmatch(text) for form, text in zip((KEY, SECRET, TOKEN), found, strict=True)):
            raise MetadataError("credentials of another form")
        return Credentials(*found)

    async def _get(self, path: str) -> str | None:
        """The text, or None where there is nothing at this path."""
        answer = await self._answer(path)
        return answer.body if answer.status == 200 else None

    async def _answer(self, path: str) -> Answer:
        """With status 200, or 404 where there is nothing at this path."""
        for _ in range(2):
            token = self._token or await self._new_token()
            answer = await self._ask("GET", path, {"X-aws-ec2-metadata-token": token})
            if answer.status in (200, 404):
                return answer
            self._token = ""
            if answer.status != 401:
                break
        raise MetadataError(f"HTTP {answer.status}")

    async def _new_token(self) -> str:
        seconds = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LASTS_S)}
        answer = await self._ask("PUT", "api/token", seconds)
        token = answer.body.strip()
        if answer.status != 200 or not TOKEN.fullmatch(token):
            raise MetadataError(f"no token: HTTP {answer.status}")
        self._token = token
        return token

    async def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        lines = [f"{method} /latest/{path} HTTP/1.0", f"Host: {self.host}", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            return await http(self.host, 80, "\r\n".join(lines) + "\r\n\r\n", METADATA_TAKES_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise MetadataError(str(error) or "no answer") from error


@dataclass
class Ec2:
    """The API at a URL. `connect_to`: the address to use instead of what its name means."""

    url: str
    region: str
    connect_to: str | None = None
    ahead_s: float = 0.0  # this clock is, of AWS's; requests are signed by that one

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc

    async def is_reached(self) -> str:
        """ "" if a connection can be made, else why not. Nothing is asked: AssignPrivateIpAddresses has no dry run."""
        try:
            async with asyncio.timeout(CONNECTION_TAKES_S):
                _, writer = await connection(self._host, self._port, self._tls, self.connect_to)
        except (OSError, TimeoutError) as error:
            return reason_of(error)
        writer.transport.abort()
        return ""

    async def claim(self, eni_id: str, address: str, credentials: Credentials) -> str:
        """Have the address at the ENI from now on, wherever it was. "" is a yes, else why not."""
        body = urlencode(
            {
                "Action": "AssignPrivateIpAddresses",
                "Version": EC2_VERSION,
                "NetworkInterfaceId": eni_id,
                "PrivateIpAddress.1": address,
                "AllowReassignment": "true",
            }
        )
        headers = signed(self._authority, self.region, body, credentials, self._now())
        lines = ["POST / HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items())]
        request = "\r\n".join([*lines, "Connection: close", f"Content-Length: {len(body)}", "", body])
        try:
            answer = await http(self._host, self._port, request, CLAIM_TAKES_S, self._tls, self.connect_to)
        except (OSError, TimeoutError, ValueError) as error:
            return f"no answer ({error})" if str(error) else "no answer"
        if answer.status == 200:
            return ""
        code = CODE.search(answer.body)
        return f"HTTP {answer.status}" + (f" {code[1]}" if code else "")

    def _now(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=self.ahead_s)


def ahead(theirs: datetime | None, ours: datetime) -> float:
    """By how many seconds our clock is ahead of theirs; 0.0: so little that nothing comes of it, or not known."""
    found = 0.0 if theirs is None else (ours - theirs).total_seconds()
    return found if abs(found) > CLOCK_MAY_BE_OFF_S else 0.0


def signed(
    authority: str, region: str, body: str, credentials: Credentials, at: datetime, service: str = "ec2"
) -> dict[str, str]:
    """The headers of `POST /` with a form as its body, signed by AWS's Signature Version 4."""
    time, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": authority,
        "x-amz-date": time,
        "x-amz-security-token": credentials.token,
    }
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    request = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body.encode()).hexdigest()])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    credential = f"Credential={credentials.key}/{scope}"
    return headers | {
        "authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    }
