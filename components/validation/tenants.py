"""Rules about tenants: who they are, and where AWS lets a proxy have a leg."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from components.plan import AccessMode
from components.validation.draft import Draft
from components.validation.problem import Problem, missing, shown

T = TypeVar("T")

_ALTERNATIVES = "peer the VPCs, or use an endpoint service (PrivateLink)"


def check(draft: Draft) -> Iterator[Problem]:
    """Tenants that cannot be told apart, are given twice or not at all, or lie out of reach."""
    tenants = draft.each("tenants")
    yield from _distinct(draft, [f"{tenant}.name" for tenant in tenants], str, "rename one of them")
    yield from _distinct(
        draft,
        [f"{tenant}.index" for tenant in tenants],
        int,
        "give the newer one an index that no tenant has",
    )
    for tenant in tenants:
        yield from _one_network(draft, tenant)
        yield from _configurable(draft, tenant)
        yield from _same_account(draft, tenant)
        yield from _same_zone(draft, tenant)


def _distinct(draft: Draft, keys: list[str], kind: type[T], way_out: str) -> Iterator[Problem]:
    first_with: dict[T, str] = {}
    for key in keys:
        found = draft.at(key, kind)
        if found and found.value in first_with:
            yield found.problem(f"is also {first_with[found.value]}", way_out)
        elif found:
            first_with[found.value] = key


def _one_network(draft: Draft, tenant: str) -> Iterator[Problem]:
    created = draft.has(f"{tenant}.create")
    subnets = [key for key in ("subnet_id", "subnet_ids") if draft.has(f"{tenant}.{key}")]
    existing = [key for key in ("vpc_id", *subnets) if draft.has(f"{tenant}.{key}")]
    if created and existing:
        for key in (f"{tenant}.{name}" for name in existing):
            several = key == f"{tenant}.subnet_ids"
            yield Problem(
                key=key,
                value=f"{len(draft.each(key))} subnets" if several else shown(draft.anything_at(key).value),
                rule=f"stands beside {tenant}.create: a tenant is either made by the stack or existing",
                way_out=f"leave out create, or {' and '.join(existing)}",
            )
    elif draft.lacks(f"{tenant}.create") and not existing:
        yield missing(
            f"{tenant}.create",
            "a tenant is either made by the stack (create) or existing (vpc_id and subnet_id or subnet_ids)",
            "add create for a network of the stack's own, or vpc_id and subnet_id of the customer's",
        )
    elif not created and len(existing) == 1:
        other = "subnet_id" if existing == ["vpc_id"] else "vpc_id"
        rule = "an existing tenant is given by vpc_id and subnet_id, both"
        yield missing(f"{tenant}.{other}", rule, f"add {other}")
    if len(subnets) == 2:
        yield draft.anything_at(f"{tenant}.subnet_id").problem(
            f"stands beside {tenant}.subnet_ids: either one subnet or several to choose from",
            "leave out one of the two",
        )
    yield from _subnets(draft, tenant)


def _subnets(draft: Draft, tenant: str) -> Iterator[Problem]:
    key = f"{tenant}.subnet_ids"
    yield from draft.empty(
        key, "leaves nothing to choose from", "list subnets of the tenant, one in the stack's zone among them"
    )
    yield from _distinct(draft, draft.each(key), str, "leave one of them out")


def _configurable(draft: Draft, tenant: str) -> Iterator[Problem]:
    mode = draft.at("access.mode", AccessMode)
    if draft.has(f"{tenant}.create") and mode and mode.value is AccessMode.BASTION:
        yield mode.problem(
            f"leaves no way to configure the user instance of {tenant}.create: the bastion is in no tenant's VPC",
            "set access.mode to public, or give the tenant an existing network by vpc_id and subnet_id",
        )


def _same_account(draft: Draft, tenant: str) -> Iterator[Problem]:
    own, theirs = draft.at("account_id", str), draft.at(f"{tenant}.account_id", str)
    if theirs and draft.lacks("account_id"):
        yield theirs.problem(
            "cannot be compared with this stack's account, which is not given",
            "add account_id at the top level, or leave it out here",
        )
    if theirs and own and theirs.value != own.value:
        yield theirs.problem(
            f"is not this stack's account {own.value}: AWS attaches an ENI across VPCs only within one "
            "account, but for accounts that it has authorised",
            f"run the stack in the tenant's account; or else {_ALTERNATIVES}",
        )


def _same_zone(draft: Draft, tenant: str) -> Iterator[Problem]:
    own, theirs = draft.at("availability_zone", str), draft.at(f"{tenant}.availability_zone", str)
    if theirs and own and theirs.value != own.value:
        yield theirs.problem(
            f"is not this stack's zone {own.value}: AWS attaches an ENI only to an instance in the same zone",
            f"name a subnet of the tenant in {own.value}, or run another stack in {theirs.value}; "
            f"or else {_ALTERNATIVES}",
        )
