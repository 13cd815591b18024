"""A stack's outputs (components/exports.py) as typed data: all that ops knows of a stack before it asks around."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ops.errors import OpsError

KNOWN_VERSIONS = (1, 2, 3)
PLATFORM = "platform"  # the HaVip that is the tunnels' remote; the others are named like their tenants
FIRST_PAIR = 0


class _Output(BaseModel):
    """Outputs that a later program adds do not matter here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Ssh(_Output):
    """Where a host's sshd answers; `via` is the bastion's address."""

    host: str
    port: int
    user: str
    via: str | None


class Host(_Output):
    """One instance. Without `ssh` there is no way in."""

    role: str
    instance_id: str
    instance_type: str
    private_address: str
    ssh: Ssh | None


class UserEni(_Output):
    """A proxy's leg in a tenant's subnet."""

    id: str
    mac: str
    private_address: str


class UserInstance(_Output):
    """What a tenant's connections end at, where the stack made one."""

    name: str
    address: str


class Containers(_Output):
    """What a tenant's containers hang on, on every func host. `mtu` in bytes."""

    bridge: str
    cidr: str
    gateway: str
    mtu: int


class Tenant(_Output):
    """A customer. `user_enis` by proxy; without `havip` its SNAT address is the user ENI's own.

    `own_cidrs`: those of `cidrs` that no other tenant has a part of.
    """

    namespace: str
    tunnel_device: str
    user_device: str
    user_enis: Mapping[str, UserEni]
    user_instance: UserInstance | None
    havip: str | None = None
    cidrs: tuple[str, ...] = ()
    own_cidrs: tuple[str, ...] = ()
    func_overlay_addresses: Mapping[str, str] = {}
    containers: Containers | None = None

    @property
    def user_macs(self) -> frozenset[str]:
        """Of its user ENIs."""
        return frozenset(eni.mac.lower() for eni in self.user_enis.values())


class Pair(_Output):
    """Proxies that serve the same tenants. `havip`: the tunnels' remote; None: there is one proxy."""

    number: int
    proxies: tuple[str, ...]
    havip: str | None
    tenants: tuple[str, ...]

    @property
    def label(self) -> str:
        """For a person. The first one, mostly the only one, has no number."""
        return f"pair {self.number}" if self.number else "pair"


class Plan(_Output):
    """What holds for the whole stack. `havip`: of programs that knew of one pair, which had no `pairs`."""

    stack: str
    region: str
    redundancy: str
    drillable: bool = False
    havip: str | None = None
    pairs: tuple[Pair, ...] = ()
    platform_cidr: str = ""
    pod_cidr: str | None = None


@dataclass(frozen=True)
class HaVip:
    """An address of the pair, and where on a proxy it lives: `namespace` is empty for the root one.

    Two tenants may have the same. `macs`: of the interfaces that it may be on; None: of the proxies' own ones.
    """

    name: str
    address: str
    namespace: str
    macs: frozenset[str] | None

    def may_be_on(self, mac: str, user_macs: frozenset[str]) -> bool:
        """Whether it is this one, where an interface has its address. `user_macs`: of all user ENIs."""
        return mac not in user_macs if self.macs is None else mac in self.macs


class Outputs(_Output):
    """The whole. `told`: by host and concern the digest of the state that the stack means it to have."""

    schema_version: int
    hosts: Mapping[str, Host]
    tenants: Mapping[str, Tenant]
    plan: Plan
    told: Mapping[str, Mapping[str, str]] = {}

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """In order."""
        if self.plan.pairs:
            return self.plan.pairs
        tenants = tuple(sorted(self.tenants))
        only = Pair(number=FIRST_PAIR, proxies=self.named("proxy"), havip=self.plan.havip, tenants=tenants)
        return (only,)

    def of_pair(self, number: int) -> Outputs:
        """The same as if this were the only pair: its proxies and tenants, and all other hosts.

        OpsError: there is none of that number.
        """
        chosen = next((pair for pair in self.pairs if pair.number == number), None)
        if chosen is None:
            numbers = ", ".join(str(pair.number) for pair in self.pairs)
            raise OpsError(f"there is no pair {number}", hint=f"there are: {numbers}")
        others = {name for pair in self.pairs if pair.number != number for name in pair.proxies}
        return self.model_copy(
            update={
                "hosts": {name: host for name, host in self.hosts.items() if name not in others},
                "tenants": {name: each for name, each in self.tenants.items() if name in chosen.tenants},
                "plan": self.plan.model_copy(update={"pairs": (chosen,)}),
            }
        )

    @property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies, in order."""
        return tuple(name for pair in self.pairs for name in pair.proxies)

    def named(self, role: str) -> tuple[str, ...]:
        """Names of a role's hosts, in order."""
        return tuple(sorted(name for name, host in self.hosts.items() if host.role == role))

    @property
    def is_pair(self) -> bool:
        """Whether there are HaVips to move."""
        return any(pair.havip is not None for pair in self.pairs)

    @property
    def havips(self) -> tuple[HaVip, ...]:
        """All of them, a pair's platform one first; none with single proxies."""
        return tuple(havip for pair in self.pairs for havip in self._havips(pair))

    def _havips(self, pair: Pair) -> Iterator[HaVip]:
        if pair.havip is None:
            return
        yield HaVip(f"{PLATFORM}-{pair.number}" if pair.number else PLATFORM, pair.havip, "", None)
        for name in sorted(pair.tenants):
            tenant = self.tenants[name]
            if tenant.havip:
                yield HaVip(name, tenant.havip, tenant.namespace, tenant.user_macs)

    @property
    def user_macs(self) -> frozenset[str]:
        """Of all user ENIs."""
        return frozenset().union(*(tenant.user_macs for tenant in self.tenants.values()))


def parse_outputs(data: Mapping[str, Any], source: str) -> Outputs:
    """Raises OpsError for what is none of this program's outputs."""
    if not data:
        raise OpsError(f"{source} has no outputs", hint="bring it up first")
    version = data.get("schema_version")
    if version not in KNOWN_VERSIONS:
        raise OpsError(
            f"{source} has outputs of version {version!r}, which this program does not know",
            hint=f"use the checkout that it was brought up with; known here: {', '.join(map(str, KNOWN_VERSIONS))}",
        )
    try:
        return Outputs.model_validate(data)
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise OpsError(
            f"{source} has outputs of another shape: {what}",
            hint="was its last `up` interrupted? run it again",
        ) from error
