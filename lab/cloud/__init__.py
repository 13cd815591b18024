"""The lab's AWS API: EC2, and as much of IAM, STS and SSM as programs need beside it.

    client ──HTTP──▶ api.Api ──▶ gate.Gate ──▶ responses.Ec2 (moto, with what it lacks put right)
                                   │
                                   └─▶ snapshot.snapshot ──▶ World ──▶ on_change: fabric, metadata, machines

A call that changes something is answered when the world has followed; if it cannot follow, the call is
undone. One account; every region answers, and all regions' resources are in the one World.
"""

from lab.cloud.moto_version import import_moto, require_moto

require_moto()
import_moto()

from lab.cloud.cloud import Cloud  # noqa: E402 - nothing of moto before its version was checked
from lab.cloud.credentials import RoleCredentials  # noqa: E402
from lab.cloud.weather import Condition, Weather  # noqa: E402

__all__ = ["Cloud", "Condition", "RoleCredentials", "Weather"]
