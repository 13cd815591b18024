"""An elastic IP address that stands for one private address of an interface."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddress

from lab.cloud.tags import tags_of


class ElasticIp(ElasticAddress):
    """moto's always stands for the primary address."""

    eni: Any
    private: str | None = None

    @property
    def private_ip_address(self) -> str | None:
        """None: not associated."""
        return self.private if self.eni else None

    @property
    def instance_id(self) -> str:
        """Of the interface that it stands for, if that is attached."""
        return self.eni.instance.id if self.eni and self.eni.instance else ""

    @property
    def allocation(self) -> dict[str, Any]:
        """As AllocateAddress shows it."""
        keys = ("PublicIp", "AllocationId", "Domain", "PublicIpv4Pool", "NetworkBorderGroup")
        return {key: self.view()[key] for key in keys}

    def view(self) -> dict[str, Any]:
        """As DescribeAddresses shows it."""
        associated = self.eni is not None
        return {
            "PublicIp": self.public_ip,
            "AllocationId": self.allocation_id,
            "Domain": "vpc",
            "PublicIpv4Pool": "amazon",
            "NetworkBorderGroup": self.ec2_backend.region_name,
            "AssociationId": self.association_id if associated else None,
            "InstanceId": self.instance_id or None,
            "NetworkInterfaceId": self.network_interface_id or None,
            "NetworkInterfaceOwnerId": self.network_interface_owner_id,
            "PrivateIpAddress": self.private_ip_address,
            "Tags": tags_of(self.ec2_backend, str(self.allocation_id)),
        }
