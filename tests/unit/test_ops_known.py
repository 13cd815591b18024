"""What a standby does not know of the active one's connections."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ops.drill.known import unknown_connections

LINE = (
    "tcp      6 {left} ESTABLISHED src=10.0.0.3 dst=172.16.101.4 sport={port} dport=7007 "
    "src=172.16.101.4 dst=172.16.101.100 sport=7007 dport={seen} [ASSURED] mark=0 use=1\n"
)


def stack(**listed: list[str]) -> Any:
    """Hosts that list so, the first time and the second; the last one for good."""

    def succeed(host: str, _line: str) -> str:
        answers = listed[host.replace("-", "_")]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    return SimpleNamespace(hosts=SimpleNamespace(succeed=succeed))


def entry(port: int, seen: int | None = None, left: int = 431999) -> str:
    return LINE.format(port=port, seen=port if seen is None else seen, left=left)


def test_the_same_is_known_however_long_it_has_to_live() -> None:
    asked = stack(proxy_0=[entry(1) + entry(2)], proxy_1=[entry(2, left=7) + entry(1)])
    assert unknown_connections(asked, "tenant-alpha", "proxy-1", "proxy-0") == (2, [])


def test_one_that_lacks_or_has_another_translation_is_not_known() -> None:
    asked = stack(proxy_0=[entry(1) + entry(2) + entry(3)], proxy_1=[entry(1) + entry(2, seen=1024)])
    count, unknown = unknown_connections(asked, "tenant-alpha", "proxy-1", "proxy-0")
    assert count == 3
    assert ["sport=2 " in unknown[0], "sport=3 " in unknown[1]] == [True, True]


def test_one_that_came_or_went_meanwhile_does_not_count() -> None:
    asked = stack(proxy_0=[entry(1) + entry(2), entry(2) + entry(3)], proxy_1=[entry(2)])
    assert unknown_connections(asked, "tenant-alpha", "proxy-1", "proxy-0") == (1, [])
