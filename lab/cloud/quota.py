"""How much may run at once: AWS counts vCPUs, and a lab has one machine for all of them."""

from __future__ import annotations

import moto.ec2.models as moto_models

from lab.cloud.backend import LabBackend
from lab.cloud.errors import ec2_error
from lab.cloud.instance_limits import limits_of
from lab.cloud.instance_model import all_instances

COUNTED = ("pending", "running", "stopping")  # a machine that stops is still there


def require_vcpus(backend: LabBackend, instance_type: str, count: int) -> None:
    """Refuse `count` further instances that would not fit the quota, which all regions share."""
    each = limits_of(instance_type).vcpus
    regions = moto_models.ec2_backends[backend.account_id].values()
    instances = [i for region in regions for i in all_instances(region) if i.state in COUNTED]
    used = sum(limits_of(i.instance_type).vcpus for i in instances)
    if used + count * each > backend.vcpu_quota:
        raise ec2_error(
            "InstanceLimitExceeded",
            f"You have requested {count * each} vCPUs ({count} instances of {instance_type}), and {used} are in use. "
            f"The limit is {backend.vcpu_quota}.",
        )
