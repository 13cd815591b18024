"""A proxy's second leg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.plan import HostPlan, TenantPlan
from components.previous import Path
from components.tags import tagged

CHOSEN = "chosen by AWS"


@dataclass(frozen=True, kw_only=True)
class UserEniArgs:
    """Which tenant's, in which of its subnets, on which proxy."""

    tenant: TenantPlan
    subnet_id: pulumi.Input[str]
    group_id: pulumi.Input[str]
    proxy: HostPlan
    instance_id: pulumi.Input[str]
    reserved: Sequence[pulumi.Resource]  # addresses that AWS must not choose for it
    was: Path | None  # of who had the place, before this update
    any_source: bool  # whether packets may leave it with addresses that AWS does not have at it
    tags: Mapping[str, str]


def made_for(tenant: TenantPlan, proxy: HostPlan, was: Path | None) -> str:
    """The address that its setting names, or that there is none. Another one takes another interface.

    One that has got the address already, or shall keep what it has, goes on as what it was made for.
    """
    wanted = tenant.user_eni_addresses[proxy.side]
    is_there = was is not None and was.network == tenant.network.name and proxy.name in was.enis_made_for
    if was is not None and is_there and wanted in (None, was.eni_addresses[proxy.name]):
        return was.enis_made_for[proxy.name]
    return CHOSEN if wanted is None else str(wanted)


class UserEni(pulumi.ComponentResource):
    """A network interface inside the tenant's subnet, owned by the platform and, by `attach`, on a proxy.

    It outlives the proxy: a replaced instance gets the same interface, with the same MAC and addresses.
    Addresses that come and go by API calls are left alone.
    """

    made_for: str
    eni_id: pulumi.Output[str]
    arn: pulumi.Output[str]
    mac_address: pulumi.Output[str]
    private_ip: pulumi.Output[str]

    def __init__(self, name: str, args: UserEniArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:UserEni", name, None, opts)
        self._name, self._args = name, args
        self.made_for = made_for(args.tenant, args.proxy, args.was)
        eni = self._make_eni(name, args)
        self.eni_id, self.arn = eni.id, eni.arn
        self.mac_address, self.private_ip = eni.mac_address, eni.private_ip
        self.register_outputs({"macAddress": self.mac_address})

    def _make_eni(self, name: str, args: UserEniArgs) -> aws.ec2.NetworkInterface:
        address, proxy_name = args.tenant.user_eni_addresses[args.proxy.side], args.proxy.name
        return aws.ec2.NetworkInterface(
            f"{name}-eni",
            subnet_id=args.subnet_id,
            private_ips=[str(address)] if address else None,
            security_groups=[args.group_id],
            source_dest_check=not args.any_source,
            description=f"Causeway: tenant {args.tenant.name} on {proxy_name}",
            tags=tagged(
                args.tags,
                f"{proxy_name}-{args.tenant.name}",
                role="user-eni",
                proxy=proxy_name,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.reserved),
                # The provider would unassign every address that the program does not name.
                ignore_changes=["private_ips", "private_ips_count", "private_ip_lists"],
                # So another primary address, which needs another interface, has to be noticed here.
                replacement_trigger=self.made_for,
            ),
        )

    def attach(self, ready: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """Attach it to the proxy, once the proxy is `ready`: with what the tenant sends it is on its own."""
        attachment: pulumi.Resource = aws.ec2.NetworkInterfaceAttachment(
            f"{self._name}-attachment",
            instance_id=self._args.instance_id,
            network_interface_id=self.eni_id,
            device_index=self._args.tenant.slot,
            opts=pulumi.ResourceOptions(
                parent=self,
                # An interface is on one instance at a time, a device index holds one interface.
                delete_before_replace=True,
                depends_on=list(ready),
            ),
        )
        return attachment
