"""Runs on a func host: open TCP connections to an echo server, used all the time, until standard input ends.

    python3 -c SCRIPT ADDRESS PORT COUNT

Says `open` once all are, and at the end one line of JSON: how many still echo, how many were reset, and the longest
time that one waited for its echo, in seconds.
"""

import json
import select
import socket
import sys
import time

PERIOD_S = 0.1  # of each; all together far from what an emulated guest can do
LAST_WORD_S = 30.0


def main() -> None:
    """Echo until told to end, then once more each."""
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    open_ones: list[socket.socket] = [socket.create_connection((address, port), 30) for _ in range(count)]
    waiting: dict[socket.socket, float] = {}
    due = {connection: time.monotonic() + n * PERIOD_S / count for n, connection in enumerate(open_ones)}
    lost: dict[socket.socket, str] = {}
    longest, end = 0.0, 0.0
    print("open", flush=True)
    while not end or (waiting and time.monotonic() < end):
        now = time.monotonic()
        for connection, when in due.items():
            if not end and when <= now and connection not in waiting and connection not in lost:
                send(connection, waiting, lost)
        watched = [c for c in open_ones if c not in lost]
        if not end and select.select([sys.stdin], [], [], 0)[0]:
            for connection in watched:
                if connection not in waiting:
                    send(connection, waiting, lost)
            end = time.monotonic() + LAST_WORD_S
        readable: list[socket.socket] = select.select(watched, [], [], 0.01)[0]
        for ready in readable:
            try:
                echoed = ready.recv(1)
            except OSError as error:
                echoed, lost[ready] = b"", type(error).__name__
            if not echoed:
                lost.setdefault(ready, "closed")
                waiting.pop(ready, None)
                continue
            longest = max(longest, time.monotonic() - waiting.pop(ready))
            due[ready] = time.monotonic() + PERIOD_S
    print(
        json.dumps(
            {"alive": count - len(lost) - len(waiting), "lost": list(lost.values()), "longest_s": longest}
        ),
        flush=True,
    )


def send(
    connection: socket.socket, waiting: dict[socket.socket, float], lost: dict[socket.socket, str]
) -> None:
    """One byte, unless the connection is gone."""
    try:
        connection.send(b"x")
        waiting[connection] = time.monotonic()
    except OSError as error:
        lost[connection] = type(error).__name__


main()
