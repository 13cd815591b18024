"""What an instance type decides for Causeway: its architecture and how many ENIs and addresses it takes.

The table holds the usual families; a stack adds to it, or overrides it, with `instance_types` in its
settings. Source of the numbers: EC2's DescribeInstanceTypes. Types with two network cards count the ENIs of
the first only, because user ENIs are attached to that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Architecture(StrEnum):
    """Debian's names, which are also those of its images."""

    AMD64 = "amd64"
    ARM64 = "arm64"


@dataclass(frozen=True)
class InstanceType:
    """Limits of one type. The first ENI is the host's own, the others can be user ENIs."""

    architecture: Architecture
    enis: int
    addresses_per_eni: int

    @property
    def spare_enis(self) -> int:
        """How many tenants a proxy of this type serves; also the highest device index of a user ENI."""
        return self.enis - 1


_Limits = tuple[int, int]  # ENIs, IPv4 addresses of each

_BURSTABLE: dict[str, _Limits] = {
    "nano": (2, 2),
    "micro": (2, 2),
    "small": (3, 4),
    "medium": (3, 6),
    "large": (3, 12),
    "xlarge": (4, 15),
    "2xlarge": (4, 15),
}
_COMMON: dict[str, _Limits] = {
    "large": (3, 10),
    "xlarge": (4, 15),
    "2xlarge": (4, 15),
    "4xlarge": (8, 30),
    "8xlarge": (8, 30),
    "12xlarge": (8, 30),
    "16xlarge": (15, 50),
}
_GRAVITON: dict[str, _Limits] = {"medium": (2, 4), **_COMMON, "metal": (15, 50)}
_INTEL: dict[str, _Limits] = {**_COMMON, "24xlarge": (15, 50), "32xlarge": (15, 50), "metal": (15, 50)}

_FAMILIES: dict[str, tuple[Architecture, dict[str, _Limits]]] = {
    "t3": (Architecture.AMD64, _BURSTABLE),
    "t3a": (Architecture.AMD64, {**_BURSTABLE, "small": (2, 4)}),
    "t4g": (Architecture.ARM64, _BURSTABLE),
    "c5n": (
        Architecture.AMD64,
        {
            "large": (3, 10),
            "xlarge": (4, 15),
            "2xlarge": (4, 15),
            "4xlarge": (8, 30),
            "9xlarge": (8, 30),
            "18xlarge": (15, 50),
            "metal": (15, 50),
        },
    ),
    "c6i": (Architecture.AMD64, _INTEL),
    "c6in": (Architecture.AMD64, {**_INTEL, "32xlarge": (8, 50), "metal": (8, 50)}),  # two network cards
    "c7g": (Architecture.ARM64, _GRAVITON),
    "c7gn": (Architecture.ARM64, _GRAVITON),
    "m6i": (Architecture.AMD64, _INTEL),
    "m7g": (Architecture.ARM64, _GRAVITON),
}

INSTANCE_TYPES: Mapping[str, InstanceType] = {
    f"{family}.{size}": InstanceType(architecture, enis, addresses)
    for family, (architecture, sizes) in _FAMILIES.items()
    for size, (enis, addresses) in sizes.items()
}
