"""What conntrackd's counts tell of its link."""

from __future__ import annotations

import pytest
from pair_links import Links, packets_from_the_other

SAID = """UDP traffic device=sync1 status=RUNNING role=ACTIVE:
                 272 Bytes sent                  224 Bytes recv
                  17 Pckts sent                   19 Pckts recv
                   0 Error send                    0 Error recv

"""


def test_packets_that_came_are_found_in_what_conntrackd_says() -> None:
    assert packets_from_the_other(SAID) == "19"
    assert packets_from_the_other("can't connect: is conntrackd running?") == ""


@pytest.mark.parametrize(
    ("counts", "silent", "doubtful"),
    [
        (["1"], False, True),  # nothing to compare with
        (["1", "16"], False, False),
        (["1", "1"], True, True),
        (["1", "16", "16"], False, True),  # this machine may have stood still
        (["1", "16", "16", "16"], True, True),
        (["1", "16", "16", "17"], False, False),
        (["1", "1", "2"], False, False),
        (["90", "2"], False, False),  # begun anew
        (["1", "16", "", ""], True, True),  # conntrackd itself says nothing
        (["1", "", "16"], False, False),
    ],
)
def test_a_link_is_silent_after_two_looks_in_vain(counts: list[str], silent: bool, doubtful: bool) -> None:
    links = Links()
    for count in counts:
        links.are_seen({"tenant-alpha": count})
    assert (links.silent, links.are_doubtful) == (["tenant-alpha"] if silent else [], doubtful)


def test_who_is_gone_is_forgotten() -> None:
    links = Links()
    for _ in range(2):
        links.are_seen({"tenant-alpha": "1", "tenant-beta": "1"})
    links.are_seen({"tenant-alpha": "1"})
    assert links.silent == ["tenant-alpha"]
    links.are_seen({"tenant-alpha": "1", "tenant-beta": "1"})
    assert links.silent == ["tenant-alpha"]
