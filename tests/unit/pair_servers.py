"""A server on loopback that answers each request with a text, for what a pair's proxy asks."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Server:
    """Where it is, and what it was asked."""

    port: int = 0
    requests: list[str] = field(default_factory=list)


async def serve(
    answer: Callable[[str], str],
    client: Callable[[Server], Awaitable[str]],
    *,
    tls: ssl.SSLContext | None = None,
    waits_s: float = 0.0,
    stays_s: float = 0.0,
) -> tuple[str, list[str]]:
    """What the client says, and the requests."""
    server = Server()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.splitlines() if line.startswith("Content-Length:"))
        request = head + (await reader.readexactly(length)).decode()
        server.requests.append(request)
        await asyncio.sleep(waits_s)
        writer.write(answer(request).encode())
        await writer.drain()
        await asyncio.sleep(stays_s)
        writer.close()

    running = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        return await client(server), server.requests
    finally:
        running.close()


def certificate(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for this name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(pem + secret)
        server.load_cert_chain(file.name)
    return server, ssl.create_default_context(cadata=pem.decode())
