#!/usr/bin/env python3
"""Stands for a customer's service: tells every HTTP client its address as seen here, and echoes TCP and UDP.

    echo_service.py HTTP_PORT TCP_PORT UDP_PORT

Any request → {"client": "172.16.101.10", "host": "user-alpha"}. Runs without privileges on python3-minimal,
which has neither json nor http.server. One thread and one epoll for thousands of connections: no client's error, and
no lack of descriptors, ends more than one of them.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
import time

CHUNK_BYTES = 1 << 16  # what is read at once, and so the most that is kept for a client that does not read
REQUEST_BYTES = 1 << 16  # more than any client's headers
DATAGRAM_BYTES = 1 << 16
HTTP_IDLE_S = 30
ECHO_IDLE_S = 3600  # longer than any drill's silent connections; who vanished without a word goes in the end
BACKLOG = 1024
AT_ONCE = 64  # new connections, or datagrams, before others have their turn
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Talk:
    """One TCP connection. It is read only while nothing waits to be sent, which bounds what is kept of it."""

    def __init__(self, listener: Listener, connection: socket.socket, client: str) -> None:
        self.listener = listener
        self.connection = connection
        self.client = client
        self.unsent = b""
        self.is_last = False  # the connection ends once everything is sent
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ready(self) -> None:
        """Something can be read or sent, or is over. OSError: the connection is."""
        if self.unsent:
            self.send(self.unsent)
            return
        data = self.connection.recv(CHUNK_BYTES)
        if data:
            self.hear(data)
        else:
            self.listener.end(self)

    def hear(self, data: bytes) -> None:
        """Echo."""
        self.send(data)

    def send(self, data: bytes) -> None:
        """As much as goes now, the rest when it can."""
        waited = bool(self.unsent)
        try:
            self.unsent = data[self.connection.send(data) :]
        except BlockingIOError:
            self.unsent = data
        if self.is_last and not self.unsent:
            self.listener.end(self)
        elif waited != bool(self.unsent):
            mask = select.EPOLLOUT if self.unsent else select.EPOLLIN
            self.listener.service.poll.modify(self.connection, mask)


class WebTalk(Talk):
    """One HTTP request, which is answered with the client's address: NAT on the way decides that."""

    request = b""

    def hear(self, data: bytes) -> None:
        self.request += data
        if b"\r\n\r\n" not in self.request and len(self.request) < REQUEST_BYTES:
            return
        body = f'{{"client": "{self.client}", "host": "{socket.gethostname()}"}}\n'
        head = (
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n"
        )
        self.is_last = True
        self.send(f"{head}\r\n{body}".encode())


class Listener:
    """A TCP port, and its open connections: `talks` says when something last happened, the longest ago first."""

    def __init__(self, service: Service, port: int, kind: type[Talk], idle_s: float) -> None:
        self.service = service
        self.kind = kind
        self.idle_s = idle_s
        self.talks: dict[Talk, float] = {}
        self.socket = socket.create_server(("", port), backlog=BACKLOG)
        self.socket.setblocking(False)
        service.watch(self.socket, self)

    def ready(self) -> None:
        """Accept. A client that was gone before is none."""
        for _ in range(AT_ONCE):
            try:
                connection, (client, _port) = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in NO_ROOM:
                    self.service.make_room(error)
                    return
                continue
            talk = self.kind(self, connection, client)
            self.service.watch(connection, talk)
            self.talks[talk] = time.monotonic()

    def heard_of(self, talk: Talk) -> None:
        """Something happens on it."""
        if self.talks.pop(talk, None) is not None:
            self.talks[talk] = time.monotonic()

    def end(self, talk: Talk) -> None:
        """It is over."""
        if self.talks.pop(talk, None) is not None:
            self.service.forget(talk.connection)
            talk.connection.close()

    def end_idle(self, now: float) -> None:
        """Those that nothing happened on for too long."""
        while self.talks and (longest := next(iter(self.talks))) and self.talks[longest] < now - self.idle_s:
            self.end(longest)


class Datagrams:
    """The UDP echo: every datagram goes back to where it came from."""

    def __init__(self, service: Service, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", port))
        self.socket.setblocking(False)
        service.watch(self.socket, self)

    def ready(self) -> None:
        """Echo. What cannot be sent is lost, as datagrams may be."""
        for _ in range(AT_ONCE):
            try:
                data, client = self.socket.recvfrom(DATAGRAM_BYTES)
                self.socket.sendto(data, client)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error about an answer to a client that went away
                complain(f"UDP: {error}")


class Service:
    """All ports, in one thread."""

    def __init__(self, web_port: int, tcp_port: int, udp_port: int) -> None:
        self.poll = select.epoll()
        self.handlers: dict[int, Talk | Listener | Datagrams] = {}
        Datagrams(self, udp_port)
        web = Listener(self, web_port, WebTalk, HTTP_IDLE_S)
        self.listeners = (web, Listener(self, tcp_port, Talk, ECHO_IDLE_S))

    def watch(self, sock: socket.socket, handler: Talk | Listener | Datagrams) -> None:
        """Have it told of what comes."""
        self.poll.register(sock, select.EPOLLIN)
        self.handlers[sock.fileno()] = handler

    def forget(self, sock: socket.socket) -> None:
        """Tell nobody any more."""
        del self.handlers[sock.fileno()]
        self.poll.unregister(sock)

    def make_room(self, error: OSError) -> None:
        """For a new connection, by the end of the one on which nothing has happened for longest."""
        longest = [(moment, talk) for one in self.listeners for talk, moment in list(one.talks.items())[:1]]
        if not longest:
            raise error  # others have taken everything: systemd starts anew
        _, talk = min(longest, key=lambda one: one[0])
        complain(f"{talk.client}: ended for want of room: {error}")
        talk.listener.end(talk)

    def run(self) -> None:
        """For ever."""
        while True:
            for fd, _mask in self.poll.poll(1.0, 512):
                handler = self.handlers.get(fd)
                if isinstance(handler, Talk):
                    self.converse(handler)
                elif handler is not None:
                    handler.ready()
            for listener in self.listeners:
                listener.end_idle(time.monotonic())

    def converse(self, talk: Talk) -> None:
        """Whatever comes of it is this connection's alone."""
        talk.listener.heard_of(talk)
        try:
            talk.ready()
        except BlockingIOError:
            pass  # the event was of another connection, which had the descriptor before
        except (OSError, MemoryError) as error:  # the client went away, as clients do
            complain(f"{talk.client}: {error}")
            talk.listener.end(talk)


def complain(text: str) -> None:
    """To the journal; where that is gone, nobody hears it."""
    try:  # noqa: SIM105 - contextlib is one import more
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass


def main() -> None:
    """All services; a port that is taken ends the process, so that systemd says so."""
    web_port, tcp_port, udp_port = map(int, sys.argv[1:])
    Service(web_port, tcp_port, udp_port).run()


if __name__ == "__main__":
    main()
