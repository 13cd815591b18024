"""Rules about the stack as a whole: its zone, its bastion, its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from components.plan import AccessMode
from components.validation.draft import Draft
from components.validation.problem import Problem, missing

_MOST_TAGS = 40  # AWS takes 50 on a resource; some are Causeway's
_ZONE = re.compile(r"(?P<region>.*?-[0-9]+)(?P<local>-[a-z]+-[0-9]+)?[a-z]")  # of a name that was read
_BASTION_KEYS = ("platform.access_subnet", "access.bastion_instance_type")


def check(draft: Draft) -> Iterator[Problem]:
    """Settings that contradict each other, or leave the stack without a safe way in."""
    yield from _zone_in_region(draft)
    yield from _bastion(draft)
    yield from _keys(draft)
    yield from _same_keys(draft)
    if len(draft.each("tags")) > _MOST_TAGS:
        yield Problem(
            key="tags",
            value=f"{len(draft.each('tags'))} tags",
            rule=f"there may be at most {_MOST_TAGS}: AWS takes 50 on a resource, and some are Causeway's",
            way_out="leave out those that nobody reads",
        )


def _same_keys(draft: Draft) -> Iterator[Problem]:
    """IAM's tag keys do not tell cases apart, and every tag is on a role too."""
    first: dict[str, str] = {}
    for key in draft.each("tags"):
        other = first.setdefault(key.casefold(), key)
        if other != key:
            yield draft.anything_at(key).problem(
                f"is {other} too, to IAM, which takes no notice of case", "leave one out"
            )


def _zone_in_region(draft: Draft) -> Iterator[Problem]:
    region, zone = draft.at("aws:region", str), draft.at("availability_zone", str)
    match = _ZONE.fullmatch(zone.value) if zone else None
    if not region or not zone or not match:
        return
    way_out = f"choose a zone of it, such as {region.value}a"
    if match["region"] != region.value:
        yield zone.problem(f"is not in aws:region, which is {region.value}", way_out)
    elif match["local"]:
        yield zone.problem(
            f"is a local zone of {region.value}: hosts there cannot have the region's Elastic IP addresses, and "
            "Causeway asks for no others",
            way_out,
        )


def _bastion(draft: Draft) -> Iterator[Problem]:
    mode = draft.at("access.mode", AccessMode)
    for key in _BASTION_KEYS if mode else ():
        if mode and mode.value is AccessMode.BASTION and draft.lacks(key):
            example = "192.168.0.0/28" if key == "platform.access_subnet" else "t3.nano"
            yield missing(
                key,
                "is required with access.mode bastion",
                f"add it, such as {key.split('.')[-1]}: {example}",
            )
        if mode and mode.value is AccessMode.PUBLIC and draft.has(key):
            yield draft.anything_at(key).problem(
                "is of no use with access.mode public: there is no bastion then",
                "leave it out, or set access.mode to bastion",
            )


def _keys(draft: Draft) -> Iterator[Problem]:
    if draft.lacks("access.public_key"):
        yield missing(
            "access.public_key",
            "is required: the operator's public key, which goes onto every host",
            'pulumi config set --path causeway:access.public_key "$(cat ~/.ssh/id_ed25519.pub)"',
        )
    given = [key for key in ("private_key", "private_key_file") if draft.has(key)]
    if not given:
        yield missing(
            "private_key_file",
            "a private key is required: hosts are configured by SSH",
            "add private_key_file, or pulumi config set --secret causeway:private_key < KEY_FILE",
        )
    if len(given) == 2:
        yield draft.anything_at("private_key_file").problem(
            "stands beside private_key: which one counts would not be clear", "leave one of the two out"
        )
