"""A stack's outputs (components/exports.py) as typed data: all that ops knows of a stack before it asks around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ops.errors import OpsError

KNOWN_VERSIONS = (1, 2)
PLATFORM = "platform"  # the HaVip that is the tunnels' remote; the others are named like their tenants


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


class Plan(_Output):
    """What holds for the whole stack."""

    stack: str
    region: str
    redundancy: str
    drillable: bool = False
    havip: str | None = None
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
    """The whole."""

    schema_version: int
    hosts: Mapping[str, Host]
    tenants: Mapping[str, Tenant]
    plan: Plan

    @property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies, in order."""
        return self.named("proxy")

    def named(self, role: str) -> tuple[str, ...]:
        """Names of a role's hosts, in order."""
        return tuple(sorted(name for name, host in self.hosts.items() if host.role == role))

    @property
    def is_pair(self) -> bool:
        """Whether there are HaVips to move."""
        return self.plan.havip is not None

    @property
    def havips(self) -> tuple[HaVip, ...]:
        """All of them, the platform's first; none with a single proxy."""
        if self.plan.havip is None:
            return ()
        tenants = sorted(self.tenants.items())
        return (
            HaVip(PLATFORM, self.plan.havip, "", None),
            *(
                HaVip(name, tenant.havip, tenant.namespace, tenant.user_macs)
                for name, tenant in tenants
                if tenant.havip
            ),
        )

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
