"""Which calls change something, and which of EC2's the lab has."""

from __future__ import annotations

READING = ("Describe", "Get", "List", "Search", "Decode", "Simulate", "AssumeRole", "Generate")

EC2_CHANGING = frozenset(
    [
        "CreateVpc",
        "DeleteVpc",
        "ModifyVpcAttribute",
        "AssociateVpcCidrBlock",
        "DisassociateVpcCidrBlock",
        "CreateSubnet",
        "DeleteSubnet",
        "ModifySubnetAttribute",
        "CreateSubnetCidrReservation",
        "DeleteSubnetCidrReservation",
        "CreateInternetGateway",
        "DeleteInternetGateway",
        "AttachInternetGateway",
        "DetachInternetGateway",
        "CreateNatGateway",
        "DeleteNatGateway",
        "CreatePlacementGroup",
        "DeletePlacementGroup",
        "CreateVpcEndpoint",
        "ModifyVpcEndpoint",
        "DeleteVpcEndpoints",
        "CreateRouteTable",
        "DeleteRouteTable",
        "AssociateRouteTable",
        "DisassociateRouteTable",
        "ReplaceRouteTableAssociation",
        "CreateRoute",
        "ReplaceRoute",
        "DeleteRoute",
        "CreateSecurityGroup",
        "DeleteSecurityGroup",
        "ModifySecurityGroupRules",
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "RunInstances",
        "StartInstances",
        "StopInstances",
        "RebootInstances",
        "TerminateInstances",
        "ModifyInstanceAttribute",
        "ModifyInstanceMetadataOptions",
        "ModifyInstanceCreditSpecification",
        "CreateNetworkInterface",
        "DeleteNetworkInterface",
        "AttachNetworkInterface",
        "DetachNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
        "ResetNetworkInterfaceAttribute",
        "AssignPrivateIpAddresses",
        "UnassignPrivateIpAddresses",
        "AllocateAddress",
        "ReleaseAddress",
        "AssociateAddress",
        "DisassociateAddress",
        "CreateKeyPair",
        "ImportKeyPair",
        "DeleteKeyPair",
        "CreateTags",
        "DeleteTags",
        "AssociateIamInstanceProfile",
        "DisassociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
    ]
)


def reads(action: str) -> bool:
    """Whether a call leaves everything as it is."""
    return action.startswith(READING)


def supported(service: str, action: str) -> bool:
    """Of EC2's changing calls only those whose effect the lab's network and machines can show."""
    return service != "ec2" or reads(action) or action in EC2_CHANGING
