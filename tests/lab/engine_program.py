"""The program of the engine's tests. Its configuration says what it makes."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_aws as aws

config = pulumi.Config()
if config.get_bool("fails"):
    raise pulumi.RunError("the configuration has 2 problems:\n  one\n  two")
vpc = aws.ec2.Vpc(
    "net",
    cidr_block="10.1.0.0/16",
    tags={"Name": config.require("name")},
    **({"ipv6_cidr_block": "fd00::/56"} if config.get_bool("unknown_property") else {}),
)
subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.1.1.0/24", availability_zone="us-east-1a")
table = aws.ec2.RouteTable("table", vpc_id=vpc.id)
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
aws.ec2.Route("default", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
aws.ec2.RouteTableAssociation("routing", subnet_id=subnet.id, route_table_id=table.id)
group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, description="test")
aws.vpc.SecurityGroupIngressRule(
    "gre", security_group_id=group.id, ip_protocol="47", referenced_security_group_id=group.id
)
key = aws.ec2.KeyPair(
    "key",
    key_name="test",
    public_key=config.require("public_key"),
    opts=pulumi.ResourceOptions(delete_before_replace=True),
)
image = aws.ssm.get_parameter(name="/aws/service/debian/release/13/latest/amd64")
eni = aws.ec2.NetworkInterface(
    "eni",
    subnet_id=subnet.id,
    private_ips=["10.1.1.50"],
    security_groups=[group.id],
    tags={"token": pulumi.Output.secret(Path(config.require("token_file")).read_text())},
    opts=pulumi.ResourceOptions(ignore_changes=["private_ips", "private_ips_count", "private_ip_lists"]),
)
for index in range(config.require_int("hosts")):
    host = aws.ec2.Instance(
        f"host-{index}",
        ami=image.insecure_value,
        instance_type="t3.small",
        subnet_id=subnet.id,
        private_ip=f"10.1.1.{10 + index}",
        vpc_security_group_ids=[group.id],
        key_name="test",
        tags={"Name": f"host-{index}"},
        opts=pulumi.ResourceOptions(depends_on=[key], delete_before_replace=True, ignore_changes=["ami"]),
    )
    if index == 0:
        aws.ec2.NetworkInterfaceAttachment(
            "attachment",
            instance_id=host.id,
            network_interface_id=eni.id,
            device_index=1,
            opts=pulumi.ResourceOptions(delete_before_replace=True),
        )
        pulumi.export("host", host.id)
pulumi.export("mac", eni.mac_address)
pulumi.export("token", pulumi.Output.secret(Path(config.require("token_file")).read_text()))
