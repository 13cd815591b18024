"""What an instance type can carry, from moto's copy of AWS's DescribeInstanceTypes."""

from __future__ import annotations

from dataclasses import dataclass

from moto.ec2.models.instance_types import INSTANCE_TYPES

from lab.cloud.errors import ec2_error, invalid_value

UNLIMITED_CREDITS = ("t3", "t3a", "t4g")  # the default of these families; t2's is `standard`


@dataclass(frozen=True, kw_only=True)
class InstanceLimits:
    """Interfaces per instance, and private IPv4 addresses per interface."""

    instance_type: str
    interfaces: int
    addresses: int
    architectures: tuple[str, ...]
    default_credits: str
    cores: int
    threads_per_core: int

    @property
    def vcpus(self) -> int:
        """What the quota counts."""
        return self.cores * self.threads_per_core

    def require_interfaces(self, count: int) -> None:
        """Refuse more interfaces than fit."""
        if count > self.interfaces:
            raise ec2_error(
                "AttachmentLimitExceeded",
                f"Interface count {count} exceeds the limit for {self.instance_type}",
            )

    def require_addresses(self, count: int) -> None:
        """Refuse more addresses on one interface than fit."""
        if count > self.addresses:
            raise ec2_error(
                "PrivateIpAddressLimitExceeded",
                f"Number of private addresses will exceed limit. {self.instance_type} takes {self.addresses} "
                f"per interface, not {count}.",
            )


def limits_of(instance_type: str) -> InstanceLimits:
    """Refuses types that do not exist."""
    if instance_type not in INSTANCE_TYPES:
        raise invalid_value(f"Invalid value '{instance_type}' for InstanceType.")
    about = INSTANCE_TYPES[instance_type]
    credits = "unlimited" if instance_type.split(".")[0] in UNLIMITED_CREDITS else "standard"
    return InstanceLimits(
        instance_type=instance_type,
        interfaces=int(about["NetworkInfo"]["MaximumNetworkInterfaces"]),
        addresses=int(about["NetworkInfo"]["Ipv4AddressesPerInterface"]),
        architectures=tuple(about["ProcessorInfo"]["SupportedArchitectures"]),
        default_credits=credits,
        cores=int(about["VCpuInfo"].get("DefaultCores", about["VCpuInfo"]["DefaultVCpus"])),
        threads_per_core=int(about["VCpuInfo"].get("DefaultThreadsPerCore", 1)),
    )
