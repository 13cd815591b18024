"""What the stack was before this run, by its own outputs.

The engine keeps a program's outputs even where a resource failed, but for those that wait for that resource: then it
keeps the old ones, all of them. So in a run that changes the redundancy, the kind of tunnel or the address of the API's
endpoint, that output waits until it is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pulumi

from components.plan import Redundancy, Role, TunnelKind

# A function of the engine itself: in previews too, and without a resource, as a StackReference would be one.
_READ = "pulumi:pulumi:readStackOutputs"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tenant's `index`, and what was made of it: the number of its pair, and the slot of its ENI on the proxies."""

    index: int
    pair: int
    slot: int


@dataclass(frozen=True, kw_only=True)
class Path:
    """What a tenant's open connections stand on.

    `network`: its name; None if it was not said. `own_cidrs`: those of `cidrs` that no other tenant has a part of:
    pods reach these alone. `eni_addresses`: by proxy, but for those that AWS is to choose;
    `enis_made_for`: likewise, what each was made for (`components.user_eni`), as far as it was said.
    `vpc`, `subnet`: of a network that the stack made. `func_addresses`: in the overlay, by func host. `container_cidr`
    and `bridge`: None without containers.
    """

    network: str | None
    vpc: IPv4Network | None
    subnet: IPv4Network | None
    cidrs: tuple[IPv4Network, ...]
    own_cidrs: tuple[IPv4Network, ...]
    eni_addresses: Mapping[str, IPv4Address]
    enis_made_for: Mapping[str, str] = field(default_factory=dict)
    havip: IPv4Address | None
    func_addresses: Mapping[str, IPv4Address]
    container_cidr: IPv4Network | None
    bridge: str | None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A host."""

    role: Role
    address: IPv4Address
    instance_type: str
    image: str
    made_from: str | None = None  # of a proxy, as `components.replacement` says it


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where a host's SSH was, as whom, and the bastion in front of it, if any."""

    host: str
    user: str
    via: str | None


@dataclass(frozen=True, kw_only=True)
class Previous:
    """`redundancy`: None before the first update. `proxies`: how to log in to each, by name.

    `user` and `public_key`: the operator's, None if not said; `operator_cidrs`: likewise. `subnets`: the platform's, by
    setting.

    `tunnel`: likewise; `hears_both`: whether hosts of then take in both kinds of GRE. `places`: where each tenant is,
    by its name, as `paths` and `machines` are; `havips`: by pair; `tenants_per_pair`: None if it was not said.
    `ground`: what everything stands on, by the name of the output. `api_endpoint`: the address of the stack's own.
    """

    redundancy: Redundancy | None = None
    proxies: Mapping[str, Login] = field(default_factory=dict)
    user: str | None = None
    public_key: str | None = None
    operator_cidrs: tuple[IPv4Network, ...] = ()
    subnets: Mapping[str, IPv4Network] = field(default_factory=dict)
    tunnel: TunnelKind | None = None
    hears_both: bool = True
    places: Mapping[str, Place] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)
    havips: Mapping[int, IPv4Address] = field(default_factory=dict)
    api_endpoint: IPv4Address | None = None
    pod_cidr: IPv4Network | None = None
    ground: Mapping[str, str] = field(default_factory=dict)
    tenants_per_pair: int | None = None

    def path_at(self, pair: int, slot: int) -> Path | None:
        """Of the tenant that had the place: who comes after it, in the same update, gets its ENIs."""
        names = (name for name, place in self.places.items() if (place.pair, place.slot) == (pair, slot))
        return self.paths.get(next(names, ""))


def known_as(
    before: StrEnum | IPv4Address | None, now: StrEnum | IPv4Address, changed: Sequence[pulumi.Resource]
) -> pulumi.Input[str]:
    """An output for the next run to know this one by: in a run that changes it, once all of `changed` is there."""
    if before in (None, now):
        return str(now)
    return pulumi.Output.all(*(resource.urn for resource in changed)).apply(lambda _: str(now))


def previous_stack() -> Previous:
    """Nothing where the state cannot be asked: what is made of it must not keep an update from running."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        outputs = pulumi.runtime.invoke(_READ, {"name": name}).value["outputs"]
    except Exception as error:  # the SDK has no narrower one
        pulumi.log.warn(f"how the stack was before this update is not known: {error}")
        return Previous()
    return _previous(outputs)


def _previous(outputs: Mapping[str, Any]) -> Previous:
    plan, access = outputs.get("plan", {}), outputs.get("access", {})
    before = plan.get("redundancy")
    per_pair = plan.get("tenants_per_pair")
    api_endpoint, pods = plan.get("api_endpoint"), plan.get("pod_cidr")
    # Before there was a choice (schema_version 3) it was GRE, and hosts took in nothing else.
    tunnel = plan.get("tunnel", TunnelKind.GRE) if plan else None
    return Previous(
        hears_both="tunnel" in plan or not plan,
        places={name: _place(tenant) for name, tenant in outputs.get("tenants", {}).items()},
        paths={name: _path(tenant) for name, tenant in outputs.get("tenants", {}).items()},
        machines={name: _machine(host) for name, host in outputs.get("hosts", {}).items()},
        api_endpoint=None if api_endpoint is None else IPv4Address(api_endpoint),
        pod_cidr=None if pods is None else IPv4Network(pods),
        ground={key: plan[key] for key in ("region", "availability_zone", "platform_cidr") if key in plan},
        havips={
            int(pair["number"]): IPv4Address(pair["havip"])
            for pair in plan.get("pairs", ())
            if pair.get("havip") is not None
        },
        tenants_per_pair=None if per_pair is None else int(per_pair),
        tunnel=None if tunnel is None else TunnelKind(tunnel),
        redundancy=None if before is None else Redundancy(before),
        user=access.get("user"),
        public_key=access.get("public_key"),
        operator_cidrs=tuple(IPv4Network(cidr) for cidr in access.get("operator_cidrs", ())),
        subnets={key: IPv4Network(subnet) for key, subnet in plan.get("subnets", {}).items()},
        proxies={
            name: Login(host=host["ssh"]["host"], user=host["ssh"]["user"], via=host["ssh"].get("via"))
            for name, host in outputs.get("hosts", {}).items()
            if host["role"] == Role.PROXY and host["ssh"] is not None
        },
    )


def _place(tenant: Mapping[str, Any]) -> Place:
    """As exported; before there were several pairs (schema_version 2), all were on the first, at their index."""
    index = int(tenant["index"])
    return Place(index=index, pair=int(tenant.get("pair", 0)), slot=int(tenant.get("slot", index)))


def _path(tenant: Mapping[str, Any]) -> Path:
    havip, created = tenant.get("havip"), tenant.get("created")
    enis: Mapping[str, Any] = tenant.get("user_enis", {})
    containers = tenant.get("containers")  # since schema_version 3
    addresses: Mapping[str, str] = tenant["func_overlay_addresses"]
    return Path(
        network=tenant.get("network"),
        vpc=None if created is None else IPv4Network(created["vpc_cidr"]),
        subnet=None if created is None else IPv4Network(created["subnet_cidr"]),
        cidrs=tuple(IPv4Network(cidr) for cidr in tenant["cidrs"]),
        own_cidrs=tuple(IPv4Network(cidr) for cidr in tenant.get("own_cidrs", ())),  # since there are pods
        eni_addresses={proxy: IPv4Address(eni["private_address"]) for proxy, eni in enis.items()},
        enis_made_for={proxy: eni["made_for"] for proxy, eni in enis.items() if "made_for" in eni},
        havip=None if havip is None else IPv4Address(havip),
        func_addresses={host: IPv4Address(address) for host, address in addresses.items()},
        container_cidr=None if containers is None else IPv4Network(containers["cidr"]),
        bridge=None if containers is None else containers["bridge"],
    )


def _machine(host: Mapping[str, Any]) -> Machine:
    return Machine(
        role=Role(host["role"]),
        address=IPv4Address(host["private_address"]),
        instance_type=host["instance_type"],
        image=host["image"],
        made_from=host.get("made_from"),
    )
