"""The resource types that the stand-in knows, by token."""

from __future__ import annotations

from lab.providers.aws.resource import ResourceType
from lab.providers.aws.resources.default_security_group import DefaultSecurityGroup
from lab.providers.aws.resources.eip import Eip
from lab.providers.aws.resources.eip_association import EipAssociation
from lab.providers.aws.resources.iam_instance_profile import InstanceProfile
from lab.providers.aws.resources.iam_role import Role
from lab.providers.aws.resources.iam_role_policy import RolePolicy
from lab.providers.aws.resources.iam_role_policy_attachment import RolePolicyAttachment
from lab.providers.aws.resources.instance import Instance
from lab.providers.aws.resources.internet_gateway import InternetGateway
from lab.providers.aws.resources.key_pair import KeyPair
from lab.providers.aws.resources.nat_gateway import NatGateway
from lab.providers.aws.resources.network_interface import NetworkInterface
from lab.providers.aws.resources.network_interface_attachment import NetworkInterfaceAttachment
from lab.providers.aws.resources.placement_group import PlacementGroup
from lab.providers.aws.resources.route import Route
from lab.providers.aws.resources.route_table import RouteTable
from lab.providers.aws.resources.route_table_association import RouteTableAssociation
from lab.providers.aws.resources.security_group import SecurityGroup
from lab.providers.aws.resources.security_group_rule import SecurityGroupEgressRule, SecurityGroupIngressRule
from lab.providers.aws.resources.subnet import Subnet
from lab.providers.aws.resources.subnet_cidr_reservation import SubnetCidrReservation
from lab.providers.aws.resources.vpc import Vpc
from lab.providers.aws.resources.vpc_endpoint import VpcEndpoint

_TYPES: tuple[type[ResourceType], ...] = (
    DefaultSecurityGroup,
    Eip,
    EipAssociation,
    InstanceProfile,
    Role,
    RolePolicy,
    RolePolicyAttachment,
    Instance,
    InternetGateway,
    KeyPair,
    NatGateway,
    NetworkInterface,
    NetworkInterfaceAttachment,
    PlacementGroup,
    Route,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    SecurityGroupIngressRule,
    SecurityGroupEgressRule,
    Subnet,
    SubnetCidrReservation,
    Vpc,
    VpcEndpoint,
)

RESOURCES: dict[str, ResourceType] = {made.type_name: made() for made in _TYPES}
