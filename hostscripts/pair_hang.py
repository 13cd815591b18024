"""Whether keepalived hangs, which systemd does not see, and when it is restarted.

One that is well reads each advert at once, whatever state it is in, at its start too; and if nobody is heard it becomes
master. Of two proxies the other one sees that the active one's hangs, so only one that is not active asks here.
"""

from __future__ import annotations

import socket
import sys

RESTART_S, RESTART_MAX_S = 15.0, 300.0  # between two of them: twice as long each time
FORGIVEN_AFTER_S = 600.0


class Hang:
    """`after_s`: more than the other one's silence that makes a master, and than keepalived takes to start."""

    def __init__(self, after_s: float, now: float) -> None:
        self.after_s = after_s
        self.why = ""  # it is taken for hanging
        self._restarts, self._restarted_at, self._next_at = 0, now, now
        self.is_given_time(now)

    def is_given_time(self, now: float) -> None:
        """It has said something, or was restarted, or this machine stood still."""
        self._given_at = self._read_at = self._idle_at = now

    def has_spoken(self, now: float) -> None:
        """So it does not hang."""
        self.why = ""
        self.is_given_time(now)

    def is_seen(self, *, adverts_wait: bool, should_lead: bool, now: float) -> bool:
        """Whether it is to be restarted now. `should_lead`: nobody is heard, and nothing keeps it from taking over."""
        if not adverts_wait:
            self._read_at = now
        if not should_lead:
            self._idle_at = now
        why = ""
        if now - self._read_at > self.after_s:
            why = "it does not read the other one's adverts"
        elif now - self._idle_at > self.after_s:
            why = "nobody is active, and it does not take over"
        if why or now - self._given_at > self.after_s:
            self.why = why
        if now - self._restarted_at > FORGIVEN_AFTER_S:
            self._restarts = 0
        if not why or now < self._next_at:
            return False
        self._next_at = now + min(RESTART_S * 2**self._restarts, RESTART_MAX_S)
        self._restarts, self._restarted_at = self._restarts + 1, now
        self.is_given_time(now)
        return True


def adverts_wait(sockets: str, own: str, protocol: int) -> bool:
    """Whether the socket bound to that address has something to read. `sockets`: /proc/net/raw."""
    local = f"{int.from_bytes(socket.inet_aton(own), sys.byteorder):08X}:{protocol:04X}"
    for line in sockets.splitlines():
        words = line.split()
        if len(words) > 4 and words[1] == local and int(words[4].partition(":")[2], 16):
            return True
    return False
