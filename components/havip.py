"""An address of a pair: no host's own, and AWS's to give to nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class HaVipArgs:
    """Which address, in which subnet: the platform's, or a tenant's, an existing one too."""

    address: IPv4Address
    subnet_id: pulumi.Input[str]


class HaVip(pulumi.ComponentResource):
    """Reserved, so that AWS hands it to nobody who asks for any address. The active proxy claims it.

    It is an input of no instance and no interface: an update after a failover would take it away from whoever
    holds it then.
    """

    reservation: pulumi.Resource

    def __init__(self, name: str, args: HaVipArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:HaVip", name, None, opts)
        self.reservation = aws.ec2.SubnetCidrReservation(
            f"{name}-reservation",
            subnet_id=args.subnet_id,
            cidr_block=f"{args.address}/32",
            reservation_type="explicit",
            description=f"Causeway: {name}, claimed by the active proxy",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
