"""Trouble that somebody made on purpose, in a line each, so that none of it is forgotten."""

from __future__ import annotations

from typing import Any

EVERY_ACTION = "*"  # of lab.cloud.weather, which is slow to import
Json = Any


def weather_line(place: Json) -> str:
    """One condition of the API's weather."""
    what = "every action" if place["action"] == EVERY_ACTION else place["action"]
    parts = (
        "unavailable" if place["unavailable"] else "",
        f"refused with {place['refusal']}" if place["refusal"] else "",
        f"{place['delay_s']:g} s slow" if place["delay_s"] else "",
        f"effect {place['effect_s']:g} s late" if place["effect_s"] else "",
    )
    where = f" {place['address']}" if place["address"] else ""
    return f"{what}{where}: {', '.join(part for part in parts if part)}"


def block_line(block: Json) -> str:
    """What is dropped."""
    arrow = "→" if block["one_way"] else "↔"
    between = f"{block['host']} {arrow} {block['peer']}" if block["peer"] else block["host"]
    return f"{between}: {'everything' if block['protocol'] is None else 'protocol ' + str(block['protocol'])}"
