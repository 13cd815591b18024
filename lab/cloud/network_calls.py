"""The calls about VPCs, subnets, gateways and routes: mostly what must not be deleted yet."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import chain

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response

from lab.cloud.errors import dependency, ec2_error, invalid_value, missing, unsupported
from lab.cloud.nat_gateway import nat_gateway
from lab.cloud.rules import canonical_cidr
from lab.cloud.tags import forget_tags

SMALLEST, LARGEST = 28, 16  # prefix lengths of subnets, and of what is added to VPCs


class NetworkResponses(EC2Response):
    """VPC, subnet, internet gateway, route table."""

    def create_vpc(self) -> ActionResult:
        """IPv4 only."""
        if self._get_param("AmazonProvidedIpv6CidrBlock") or self._get_param("Ipv6CidrBlock"):
            raise unsupported("IPv6")
        self._canonical_cidr()
        return super().create_vpc()

    def associate_vpc_cidr_block(self) -> ActionResult:
        """IPv4 only, /16 to /28, beside what the VPC has."""
        if self._get_param("AmazonProvidedIpv6CidrBlock") or self._get_param("Ipv6CidrBlock"):
            raise unsupported("IPv6")
        network = self._canonical_cidr()
        if not LARGEST <= network.prefixlen <= SMALLEST:
            raise ec2_error("InvalidVpc.Range", f"The CIDR '{network}' is invalid.")
        vpc = self.ec2_backend.get_vpc(self._get_param("VpcId"))
        for association in vpc.get_cidr_block_association_set():
            gone = association["cidr_block_state"]["state"] == "disassociated"
            if not gone and network.overlaps(IPv4Network(association["cidr_block"])):
                raise ec2_error(
                    "InvalidVpc.Range",
                    f"The CIDR '{network}' conflicts with {association['cidr_block']}, which {vpc.id} has",
                )
        return super().associate_vpc_cidr_block()

    def delete_vpc(self) -> ActionResult:
        """With its default group, ACL and main route table, and only if it has nothing else."""
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        backend.get_vpc(vpc_id)
        groups = [g for g in backend.groups[vpc_id].values() if not g.is_default]
        gateways = [g for g in backend.internet_gateways.values() if g.vpc is not None and g.vpc.id == vpc_id]
        subnets = [s for s in _subnets(backend) if s.vpc_id == vpc_id]
        tables = [
            t for t in backend.route_tables.values() if t.vpc_id == vpc_id and not t.main_association_id
        ]
        if subnets or groups or gateways or tables:
            raise dependency(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        of_vpc = list(backend.groups[vpc_id].values())
        acls = [a for a in backend.network_acls.values() if a.vpc_id == vpc_id]
        main = [t for t in backend.route_tables.values() if t.vpc_id == vpc_id]
        for thing in (*of_vpc, *acls, *main):
            forget_tags(backend, str(thing.id))
        result = super().delete_vpc()
        for acl in acls:
            backend.network_acls.pop(acl.id, None)
        backend.groups.pop(vpc_id, None)
        forget_tags(backend, vpc_id)
        return result

    def create_subnet(self) -> ActionResult:
        """/16 to /28, in a zone of the region."""
        if self._get_param("Ipv6CidrBlock") or self._get_param("Ipv6Native"):
            raise unsupported("IPv6")
        network = self._canonical_cidr()
        if not LARGEST <= network.prefixlen <= SMALLEST:
            raise ec2_error("InvalidSubnet.Range", f"The CIDR '{network}' is invalid.")
        zones = self.ec2_backend.describe_availability_zones()
        zone = self._get_param("AvailabilityZone")
        if zone is not None and zone not in {z.name for z in zones}:
            raise invalid_value(
                f"Value ({zone}) for parameter availabilityZone is invalid. "
                f"Subnets can currently only be created in the following availability zones: "
                f"{', '.join(z.name for z in zones)}."
            )
        return super().create_subnet()

    def delete_subnet(self) -> ActionResult:
        """Only without interfaces; its place in a route table goes too."""
        backend, subnet_id = self.ec2_backend, self._get_param("SubnetId")
        subnet = backend.get_subnet(subnet_id)
        if any(eni.subnet_id == subnet_id for eni in backend.enis.values()):
            raise dependency(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        for table in backend.route_tables.values():
            for association, target in list(table._associations.items()):
                if target == subnet_id:
                    del table._associations[association]
        for acl in backend.network_acls.values():
            for key, held in list(acl._associations.items()):
                if held.subnet_id == subnet_id:
                    del acl._associations[key]
        for reservation in subnet._cidr_reservations:
            forget_tags(backend, reservation.id)
        forget_tags(backend, subnet_id)
        return super().delete_subnet()

    def detach_internet_gateway(self) -> ActionResult:
        """Only when no interface of the VPC has a public address."""
        vpc_id = self._get_param("VpcId")
        if any(eni.vpc_id == vpc_id and eni.public_ips for eni in self.ec2_backend.enis.values()):
            raise dependency(
                f"Network {vpc_id} has some mapped public address(es). "
                "Please unmap those public address(es) before detaching the gateway."
            )
        return super().detach_internet_gateway()

    def attach_internet_gateway(self) -> ActionResult:
        """One per VPC."""
        vpc_id = self._get_param("VpcId")
        for gateway in self.ec2_backend.internet_gateways.values():
            if gateway.vpc is not None and gateway.vpc.id == vpc_id:
                raise ec2_error(
                    "Resource.AlreadyAssociated", f"resource {vpc_id} is already associated with {gateway.id}"
                )
        return super().attach_internet_gateway()

    def delete_internet_gateway(self) -> ActionResult:
        """Its tags go too."""
        result = super().delete_internet_gateway()
        forget_tags(self.ec2_backend, self._get_param("InternetGatewayId"))
        return result

    def delete_route_table(self) -> ActionResult:
        """Never the main one."""
        table = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
        if table.main_association_id:
            raise dependency(f"The routeTable '{table.id}' has dependencies and cannot be deleted.")
        result = super().delete_route_table()
        forget_tags(self.ec2_backend, table.id)
        return result

    def associate_route_table(self) -> ActionResult:
        """A subnet has at most one table of its own, and of its own VPC."""
        backend = self.ec2_backend
        table = backend.get_route_table(self._get_param("RouteTableId"))
        if subnet_id := self._get_param("SubnetId"):
            if backend.get_subnet(subnet_id).vpc_id != table.vpc_id:
                raise invalid_value(
                    f"route table {table.id} and subnet {subnet_id} belong to different networks"
                )
            for other in backend.route_tables.values():
                for association, target in other._associations.items():
                    if target == subnet_id and other is not table:
                        raise ec2_error(
                            "Resource.AlreadyAssociated",
                            f"the association for route table {table.id} conflicts with {association}",
                        )
        return super().associate_route_table()

    def create_route(self) -> ActionResult:
        """To an internet gateway, a NAT gateway or an interface of the VPC; the lab knows no other targets."""
        table = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
        destination = self._check_route(table)
        if any(r.destination_cidr_block == destination and not r.local for r in table.routes):
            raise ec2_error("RouteAlreadyExists", f"The route identified by {destination} already exists.")
        if any(r.destination_cidr_block == destination and r.local for r in table.routes):
            raise invalid_value(f"A route for the VPC's own {destination} cannot be replaced in the lab")
        return super().create_route()

    def replace_route(self) -> ActionResult:
        """As `create_route`."""
        self._check_route(self.ec2_backend.get_route_table(self._get_param("RouteTableId")))
        return super().replace_route()

    def _canonical_cidr(self) -> IPv4Network:
        """The prefix that the call names, without the host bits that it may have: AWS clears them."""
        cidr = self._get_param("CidrBlock")
        if not cidr:
            raise missing("cidrBlock")
        try:
            network = IPv4Network(cidr, strict=False)
        except ValueError:
            raise invalid_value(
                f"Value ({cidr}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
            ) from None
        self._get_params()["CidrBlock"] = str(network)
        return network

    def _check_route(self, table: RouteTable) -> str:
        params = self._get_params()
        if not params.get("DestinationCidrBlock"):
            raise unsupported("routes for other destinations than IPv4 prefixes")
        destination = canonical_cidr(params["DestinationCidrBlock"])
        params["DestinationCidrBlock"] = destination
        gateway_id, eni_id = params.get("GatewayId"), params.get("NetworkInterfaceId")
        nat_id = params.get("NatGatewayId")
        if params.get("InstanceId"):
            enis = [
                e
                for e in self.ec2_backend.enis.values()
                if e.instance and e.instance.id == params["InstanceId"]
            ]
            if len(enis) != 1:
                raise ec2_error(
                    "InvalidInstanceID", f"{params['InstanceId']} needs exactly one network interface"
                )
            eni_id = params["NetworkInterfaceId"] = enis[0].id
            del params["InstanceId"]
        if eni_id:
            if self.ec2_backend.get_network_interface(eni_id).vpc_id != table.vpc_id:
                raise invalid_value(
                    f"route table {table.id} and interface {eni_id} belong to different networks"
                )
        elif nat_id:
            if nat_gateway(self.ec2_backend, nat_id, "InvalidNatGatewayID.NotFound").vpc_id != table.vpc_id:
                raise invalid_value(
                    f"route table {table.id} and NAT gateway {nat_id} belong to different networks"
                )
        elif gateway_id and gateway_id.startswith("igw-"):
            gateway = self.ec2_backend.get_internet_gateway(gateway_id)
            if gateway.vpc is None or gateway.vpc.id != table.vpc_id:
                raise invalid_value(
                    f"route table {table.id} and network gateway {gateway_id} belong to different networks"
                )
        else:
            raise unsupported("routes to other targets than internet gateways, NAT gateways and interfaces")
        return destination


def _subnets(backend: EC2Backend) -> list[Subnet]:
    return list(chain.from_iterable(by_id.values() for by_id in backend.subnets.values()))
