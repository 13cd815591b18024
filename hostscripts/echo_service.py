#!/usr/bin/env python3
"""Stands for a customer's service: tells every HTTP client its address as seen here, and echoes TCP and UDP.

    echo_service.py HTTP_PORT TCP_PORT UDP_PORT

Any request → {"client": "172.16.101.10", "host": "user-alpha"}. Runs without privileges on python3-minimal,
which has neither json nor http.server.
"""

import socket
import sys
import threading
from collections.abc import Callable

CHUNK_BYTES = 1 << 18
REQUEST_BYTES = 1 << 16  # more than any client's headers
IDLE_S = 30
BACKLOG = 128


def tell(connection: socket.socket, client: str) -> None:
    """Answer one HTTP request with the client's address, which NAT on the way decides."""
    connection.settimeout(IDLE_S)
    request = b""
    while b"\r\n\r\n" not in request and len(request) < REQUEST_BYTES:
        part = connection.recv(4096)
        if not part:
            return
        request += part
    body = f'{{"client": "{client}", "host": "{socket.gethostname()}"}}\n'
    head = (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n"
    )
    connection.sendall(f"{head}\r\n{body}".encode())


def echo(connection: socket.socket, _client: str) -> None:
    """Send back what comes, until the client has no more."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while count := connection.recv_into(buffer):
        connection.sendall(buffer[:count])


def echo_datagrams(server: socket.socket) -> None:
    """Send every datagram back to where it came from, for ever."""
    while True:
        try:
            data, client = server.recvfrom(CHUNK_BYTES)
            server.sendto(data, client)
        except OSError as error:  # an ICMP error about an answer to a client that went away
            print(f"UDP: {error}", file=sys.stderr)


def converse(talk: Callable[[socket.socket, str], None], connection: socket.socket, client: str) -> None:
    """One connection, in its own thread."""
    with connection:
        try:
            talk(connection, client)
        except OSError as error:  # the client went away, as clients do
            print(f"{client}: {error}", file=sys.stderr)


def serve(server: socket.socket, talk: Callable[[socket.socket, str], None]) -> None:
    """Accept for ever, one thread per connection."""
    while True:
        connection, (client, _) = server.accept()
        threading.Thread(target=converse, args=(talk, connection, client), daemon=True).start()


def main() -> None:
    """All services; a port that is taken ends the process, so that systemd says so."""
    web_port, tcp_port, udp_port = map(int, sys.argv[1:])
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", udp_port))
    web, tcp = (socket.create_server(("", port), backlog=BACKLOG) for port in (web_port, tcp_port))
    threading.Thread(target=echo_datagrams, args=(datagrams,), daemon=True).start()
    threading.Thread(target=serve, args=(tcp, echo), daemon=True).start()
    serve(web, tell)


if __name__ == "__main__":
    main()
