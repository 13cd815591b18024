"""A network interface: what moto's lacks."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.utils import generate_dns_from_ip

from lab.cloud.elastic_address import ElasticIp
from lab.cloud.public_addresses import PublicAddresses
from lab.cloud.tags import tags_of

View = dict[str, Any]


class Interface(NetworkInterface):
    """Has its own groups only. Public addresses are elastic, or an automatic one on the primary address."""

    auto_public_ip: str | None = None
    interface_type = "interface"  # or `nat_gateway`, `vpc_endpoint`
    service = ""  # of a VPC endpoint: the name of what answers here, as com.amazonaws.us-east-1.ec2
    wants_public_ip = False  # whether a start of the instance brings an automatic public address

    # moto would draw public addresses at random, and at every start.
    def start(self) -> None:
        """See `start_public`."""

    def stop(self) -> None:
        """See `stop_public`."""

    def check_auto_public_ip(self) -> None:
        """See `start_public`."""

    def start_public(self, pool: PublicAddresses) -> None:
        """The instance starts: an automatic public address, unless the interface has an elastic one."""
        alone = self.instance is not None and len(self.instance.nics) == 1
        if self.wants_public_ip and alone and self.public_ip is None:
            self.auto_public_ip = pool.take()

    def stop_public(self, pool: PublicAddresses) -> None:
        """The instance stops: an automatic address goes back, an elastic one stays."""
        if self.auto_public_ip is not None:
            pool.give_back(self.auto_public_ip)
            self.auto_public_ip = None

    @property
    def group_set(self) -> list[SecurityGroup]:
        """Its own groups; moto adds those of the instance."""
        return self._group_set

    @property
    def addresses(self) -> list[str]:
        """Private addresses, the primary one first."""
        others = [i["PrivateIpAddress"] for i in self.private_ip_addresses]
        return [str(self.private_ip_address), *(a for a in others if a != self.private_ip_address)]

    @property
    def elastic_ips(self) -> dict[str, ElasticIp]:
        """By the private address that they stand for."""
        return {str(e.private_ip_address): e for e in self.ec2_backend.addresses if e.eni is self}

    @property
    def public_ips(self) -> dict[str, str]:
        """Public address by private one."""
        automatic = {str(self.private_ip_address): self.auto_public_ip} if self.auto_public_ip else {}
        return {**automatic, **{private: str(e.public_ip) for private, e in self.elastic_ips.items()}}

    @property
    def public_ip(self) -> str | None:
        """Of the primary address."""
        return self.public_ips.get(str(self.private_ip_address))

    @public_ip.setter
    def public_ip(self, _value: str | None) -> None:
        """moto sets what is derived here."""

    @property
    def managed(self) -> bool:
        """Whether it is part of something of AWS's, which alone may change it."""
        return self.interface_type != "interface"

    @property
    def instance_id(self) -> str | None:
        """Where it is attached."""
        return self.instance.id if self.instance else None

    def association_view(self, address: str) -> View | None:
        """The public side of one of its addresses."""
        public = self.public_ips.get(address)
        if public is None:
            return None
        elastic = self.elastic_ips.get(address)
        return {
            "PublicIp": public,
            "PublicDnsName": generate_dns_from_ip(public),
            "IpOwnerId": self.owner_id if elastic else "amazon",
            "AllocationId": elastic.allocation_id if elastic else None,
            "AssociationId": elastic.association_id if elastic else None,
        }

    def public_view(self, address: str) -> View | None:
        """As `association_view`, the part that DescribeInstances shows."""
        view = self.association_view(address)
        return view and {key: view[key] for key in ("PublicIp", "PublicDnsName", "IpOwnerId")}

    def address_views(self) -> list[View]:
        """All private addresses."""
        return [
            {
                "PrivateIpAddress": address,
                "Primary": address == self.private_ip_address,
                "PrivateDnsName": private_dns_name(address, self.ec2_backend.region_name),
                "Association": self.association_view(address),
            }
            for address in self.addresses
        ]

    def group_views(self) -> list[View]:
        """Its security groups."""
        return [{"GroupId": group.id, "GroupName": group.name} for group in self._group_set]

    def attachment_view(self) -> View | None:
        """Where it is attached, None: nowhere."""
        if self.instance is None:
            return None
        return {
            "AttachmentId": self.attachment_id,
            "AttachTime": self.attach_time,
            "DeleteOnTermination": bool(self.delete_on_termination),
            "DeviceIndex": self.device_index,
            "NetworkCardIndex": 0,
            "InstanceId": self.instance.id,
            "InstanceOwnerId": self.owner_id,
            "Status": "attached",
        }

    def view(self) -> View:
        """As DescribeNetworkInterfaces shows it."""
        return {
            **self._common_view(),
            "Association": self.association_view(str(self.private_ip_address)),
            "Attachment": self.attachment_view(),
            "AvailabilityZone": self.availability_zone,
            "RequesterId": self.owner_id,
            "RequesterManaged": self.managed,
            "TagSet": tags_of(self.ec2_backend, self.id),
        }

    def instance_view(self) -> View:
        """As DescribeInstances shows it."""
        attachment = self.attachment_view() or {}
        for key in ("InstanceId", "InstanceOwnerId"):
            attachment.pop(key, None)
        return {
            **self._common_view(),
            "Association": self.public_view(str(self.private_ip_address)),
            "Attachment": attachment,
            "PrivateIpAddresses": [
                {**view, "Association": self.public_view(view["PrivateIpAddress"])}
                for view in self.address_views()
            ],
        }

    def _common_view(self) -> View:
        return {
            "NetworkInterfaceId": self.id,
            "Description": self.description,
            "Groups": self.group_views(),
            "InterfaceType": self.interface_type,
            "Ipv6Addresses": [],
            "MacAddress": self.mac_address,
            "OwnerId": self.owner_id,
            "PrivateDnsName": private_dns_name(str(self.private_ip_address), self.ec2_backend.region_name),
            "PrivateIpAddress": self.private_ip_address,
            "PrivateIpAddresses": self.address_views(),
            "SourceDestCheck": self.source_dest_check,
            "Status": "in-use" if self.instance or self.managed else "available",
            "SubnetId": self.subnet_id,
            "VpcId": self.vpc_id,
        }


def private_dns_name(address: str, region: str) -> str:
    """The name that AWS's resolver has for an address."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"
