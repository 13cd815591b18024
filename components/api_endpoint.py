"""The EC2 API inside the platform VPC, at a fixed address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

import pulumi
import pulumi_aws as aws

from components.claim_role import ACTION
from components.tags import tagged

_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ACTION, "Resource": "*"}],
}


@dataclass(frozen=True, kw_only=True)
class ApiEndpointArgs:
    """`service`: as AWS names it, such as com.amazonaws.eu-central-1.ec2. `before`: the address until now, if known."""

    service: str
    address: IPv4Address
    before: IPv4Address | None
    vpc_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    group_id: pulumi.Input[str]
    tags: Mapping[str, str]


class ApiEndpoint(pulumi.ComponentResource):
    """A way to the API that needs neither internet nor DNS, and lets nothing through but claims of addresses."""

    def __init__(self, name: str, args: ApiEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:ApiEndpoint", name, None, opts)
        self.endpoint: pulumi.Resource = aws.ec2.VpcEndpoint(
            f"{name}-endpoint",
            vpc_id=args.vpc_id,
            service_name=args.service,
            vpc_endpoint_type="Interface",
            subnet_ids=[args.subnet_id],
            subnet_configurations=[
                aws.ec2.VpcEndpointSubnetConfigurationArgs(subnet_id=args.subnet_id, ipv4=str(args.address))
            ],
            security_group_ids=[args.group_id],
            private_dns_enabled=False,  # proxies connect to the address; other hosts' way to the API stays as it is
            policy=json.dumps(_POLICY),
            tags=tagged(args.tags, name),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Not moved in place: until its turn each proxy claims at the address that it knows.
                replace_on_changes=["subnetConfigurations"],
                # Unless the new one has to have the old one's address, both are there meanwhile.
                delete_before_replace=args.before in (None, args.address),
            ),
        )
        self.register_outputs({})
