"""When keepalived is taken for hanging."""

from __future__ import annotations

import socket
import sys

import pytest
from pair_hang import Hang, adverts_wait

OWN = "192.168.4.5"
LOCAL = f"{int.from_bytes(socket.inet_aton(OWN), sys.byteorder):08X}"
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops"
LINE = " 112: {}:{} 00000000:0000 07 00000000:{} 00:00000000 00000000     0        0 1811494 2 0000000000000000 0"
EMPTY, FULL = "00000000", "00001040"


@pytest.mark.parametrize(
    ("sockets", "waits"),
    [
        ([(LOCAL, "0070", FULL)], True),
        ([("00000000", "0070", EMPTY), (LOCAL, "0070", FULL)], True),
        ([(LOCAL, "0070", EMPTY)], False),
        ([("00000000", "0070", FULL)], False),  # the watcher's own
        ([("0404A8C0", "0070", FULL)], False),
        ([(LOCAL, "0001", FULL)], False),
        ([], False),
    ],
)
def test_adverts_wait_at_the_socket_of_keepalived(sockets: list[tuple[str, str, str]], waits: bool) -> None:
    text = "\n".join([HEAD, *(LINE.format(*words) for words in sockets), ""])
    assert adverts_wait(text, OWN, 112) is waits


def seen(hang: Hang, begin: float, end: float, *, adverts_wait: bool, should_lead: bool) -> list[float]:
    """Looked at four times a second; when it was to be restarted."""
    times = [begin + step / 4 for step in range(int((end - begin) * 4))]
    return [now for now in times if hang.is_seen(adverts_wait=adverts_wait, should_lead=should_lead, now=now)]


def test_one_that_is_well_is_never_restarted() -> None:
    hang = Hang(3.0, 0.0)
    assert seen(hang, 0, 60, adverts_wait=False, should_lead=False) == []
    for second in range(60, 120, 3):  # it waits, or nobody is heard, for not quite so long
        assert seen(hang, second, second + 2.75, adverts_wait=True, should_lead=True) == []
        assert seen(hang, second + 2.75, second + 3, adverts_wait=False, should_lead=False) == []
    assert hang.why == ""


@pytest.mark.parametrize(
    ("adverts_wait", "should_lead", "why"),
    [
        (True, False, "it does not read the other one's adverts"),
        (False, True, "nobody is active, and it does not take over"),
    ],
)
def test_one_that_hangs_is_restarted_and_is_said_to_hang_until_it_speaks(
    adverts_wait: bool, should_lead: bool, why: str
) -> None:
    hang = Hang(3.0, 0.0)
    restarted = seen(hang, 0, 60, adverts_wait=adverts_wait, should_lead=should_lead)
    assert restarted == [3.25, 18.25, 48.25]
    assert hang.why == why
    hang.has_spoken(60.0)
    assert hang.why == ""


def test_one_that_goes_on_by_itself_is_said_to_hang_no_more() -> None:
    hang = Hang(3.0, 0.0)
    assert seen(hang, 0, 4, adverts_wait=True, should_lead=False) == [3.25]
    assert hang.why
    assert seen(hang, 4, 8, adverts_wait=False, should_lead=False) == []
    assert hang.why == ""
