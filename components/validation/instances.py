"""Rules about instance types: known ones, of one architecture, with ENIs that take what they have to."""

from __future__ import annotations

from collections.abc import Iterator

from components.instance_types import INSTANCE_TYPES, Architecture, InstanceType
from components.validation.draft import At, Draft
from components.validation.pair import proxies
from components.validation.problem import Problem

_ADDRESSES = 2  # on an ENI of a pair's active proxy


def check(draft: Draft) -> Iterator[Problem]:
    """Instance types that cannot do their work."""
    types, unreadable = known_types(draft)
    used = list(_used(draft))
    for instance_type in used:
        if instance_type.value not in types and instance_type.value not in unreadable:
            yield instance_type.problem(
                "is not an instance type that Causeway knows", _known_like(instance_type.value)
            )
    yield from _one_architecture([each for each in used if each.value in types], types)
    proxy = draft.at("proxy.instance_type", str)
    if proxy and proxy.value in types:
        yield from _havips_fit(draft, proxy, types)


def known_types(draft: Draft) -> tuple[dict[str, InstanceType], set[str]]:
    """The table with the stack's own entries, and the names of those that cannot be read."""
    types, unreadable = dict(INSTANCE_TYPES), set()
    for entry in draft.each("instance_types"):
        name = entry.removeprefix("instance_types[").removesuffix("]")
        architecture = draft.at(f"{entry}.architecture", Architecture)
        enis = draft.at(f"{entry}.enis", int)
        addresses = draft.at(f"{entry}.addresses_per_eni", int)
        if architecture and enis and addresses:
            types[name] = InstanceType(architecture.value, enis.value, addresses.value)
        else:
            types.pop(name, None)
            unreadable.add(name)
    return types, unreadable


def _used(draft: Draft) -> Iterator[At[str]]:
    keys = ["func_hosts.instance_type", "proxy.instance_type", "access.bastion_instance_type"]
    keys += [f"{tenant}.create.instance_type" for tenant in draft.each("tenants")]
    for key in keys:
        if found := draft.at(key, str):
            yield found


def _known_like(name: str) -> str:
    family = name.split(".", 1)[0]
    sizes = [known.split(".", 1)[1] for known in INSTANCE_TYPES if known.startswith(f"{family}.")]
    if sizes:
        known = f"known sizes of {family} are: {', '.join(sizes)}"
    else:
        families = dict.fromkeys(known.split(".", 1)[0] for known in INSTANCE_TYPES)
        known = f"known families are: {', '.join(families)}"
    described = "{architecture: …, enis: …, addresses_per_eni: …}"
    return f"{known}; or describe it: instance_types: {{{name}: {described}}}"


def _one_architecture(used: list[At[str]], types: dict[str, InstanceType]) -> Iterator[Problem]:
    """All hosts boot one image. The proxy is the measure: the others are easier to change."""
    measure = next((each for each in used if each.key == "proxy.instance_type"), used[0] if used else None)
    for instance_type in used:
        if not measure:
            return
        wanted, found = types[measure.value].architecture, types[instance_type.value].architecture
        if found != wanted:
            yield instance_type.problem(
                f"is {found}, but {measure.key} {measure.value} is {wanted}: all hosts use one image",
                f"choose types of one architecture, here for example {_example(wanted)}",
            )


def _example(architecture: Architecture) -> str:
    return "t3.small" if architecture is Architecture.AMD64 else "t4g.small"


def _havips_fit(draft: Draft, proxy: At[str], types: dict[str, InstanceType]) -> Iterator[Problem]:
    """The active proxy has, on each of its ENIs, the ENI's own address and a HaVip."""
    limit = types[proxy.value].addresses_per_eni
    if proxies(draft) > 1 and limit < _ADDRESSES:
        yield proxy.problem(
            f"takes {limit} IPv4 address on an ENI, and the proxies of a pair need {_ADDRESSES}: the ENI's own and the "
            "HaVip",
            "choose another type, or set redundancy to single",
        )
