"""HTTP of the metadata service: one connection of one ENI."""

from __future__ import annotations

import logging
import re
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from lab.metadata import document
from lab.metadata.tokens import MAX_TTL_S
from lab.metadata.tree import find
from lab.world import Instance, World

if TYPE_CHECKING:
    from lab.metadata.service import Metadata

log = logging.getLogger(__name__)

TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
TOKEN_TTL = "X-aws-ec2-metadata-token-ttl-seconds"  # noqa: S105
TOKEN_PATH = "/latest/api/token"  # noqa: S105
VERSIONS = ("1.0", "2021-07-15", "latest")
VERSION = re.compile(r"/(latest|1\.0|\d{4}-\d{2}-\d{2})(/.*)?")
DEFAULT_TTL = 64  # hops
IDLE_S = 10.0


class Handler(BaseHTTPRequestHandler):
    """Answers as EC2's service does; `server` and `eni_id` say for whom."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "EC2ws", ""
    timeout = IDLE_S
    wbufsize = -1  # an answer is one segment: no waiting for a delayed ACK between head and body
    disable_nagle_algorithm = True

    def __init__(
        self, connection: socket.socket, peer: tuple[str, int], metadata: Metadata, eni_id: str
    ) -> None:
        self._metadata = metadata
        self._eni_id = eni_id
        super().__init__(connection, peer, metadata)  # type: ignore[arg-type] # only ever handed through

    def do_GET(self) -> None:
        """A value or a listing."""
        self._hop_limit(DEFAULT_TTL)
        world, instance = self._metadata.caller(self._eni_id)
        if instance is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        token = self.headers.get(TOKEN)
        if token is None and instance.imds_token_required:
            return self._refuse(HTTPStatus.UNAUTHORIZED)
        if token is not None and not self._metadata.tokens.valid(token, instance.id):
            return self._refuse(HTTPStatus.UNAUTHORIZED)
        found = self._find(world, instance)
        return self._refuse(HTTPStatus.NOT_FOUND) if found is None else self._answer(found)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_PUT(self) -> None:
        """A session token. Its answer alone has the instance's hop limit, so that no token gets farther."""
        _, instance = self._metadata.caller(self._eni_id)
        if instance is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        self._hop_limit(instance.imds_hop_limit)
        if self.path != TOKEN_PATH:
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
        if self.headers.get("X-Forwarded-For") is not None:  # an open proxy, asked by a stranger
            return self._refuse(HTTPStatus.FORBIDDEN)
        ttl = self.headers.get(TOKEN_TTL, "")
        if not (ttl.isascii() and ttl.isdigit() and 1 <= int(ttl) <= MAX_TTL_S):
            return self._refuse(HTTPStatus.BAD_REQUEST)
        return self._answer(self._metadata.tokens.issue(instance.id, int(ttl)).encode(), {TOKEN_TTL: ttl})

    def _not_allowed(self) -> None:
        self._hop_limit(DEFAULT_TTL)
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    do_POST = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _not_allowed  # noqa: N815

    def _find(self, world: World, instance: Instance) -> bytes | None:
        path = self.path.partition("?")[0]
        if not path.strip("/"):
            return "\n".join(VERSIONS).encode()
        versioned = VERSION.fullmatch(path)
        if versioned is None:
            return None
        tree = document.root(world, instance, self._metadata.credentials_for, self._metadata.console_key)
        return find(tree, versioned[2] or "/")

    def _answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._respond(HTTPStatus.OK, body, headers or {})

    def _refuse(self, status: HTTPStatus) -> None:
        self._respond(status, f"{status.value} - {status.phrase}\n".encode(), {})

    def _respond(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.headers.get("Content-Length", "0") != "0":  # a body that nobody reads
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hop_limit(self, hops: int) -> None:
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are of interest to those who look for them."""
        log.debug("%s: " + format, self._eni_id, *args)
