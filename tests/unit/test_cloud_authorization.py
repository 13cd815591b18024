"""Role sessions and IAM users do what their policies allow, and nothing else."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.unit.cloud_testing import LabUnderTest, code_of
from tests.unit.test_cloud_identity import TRUST, client
from tests.unit.test_cloud_signature import Signer, post

Json = Any
DENIED = "UnauthorizedOperation"


def policy(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Json, resource: Json = "*", **condition: Json) -> Json:
    whole = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**whole, "Condition": condition} if condition else whole


def deny(action: Json, resource: Json = "*") -> Json:
    return {**allow(action, resource), "Effect": "Deny"}


def role(lab: LabUnderTest, *statements: Json, instance: str = "i-1") -> Json:
    """EC2's client of a session of a role that may do this."""
    iam = client("iam")
    iam.create_role(RoleName="proxy", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "Group", "Value": "a"}])
    if statements:
        iam.put_role_policy(RoleName="proxy", PolicyName="own", PolicyDocument=policy(*statements))
    return session(lab, instance)


def session(lab: LabUnderTest, instance: str = "i-1", service: str = "ec2") -> Json:
    keys = lab.cloud.credentials_for("proxy", instance)
    return client(service, keys.access_key_id, keys.secret_access_key, keys.token)


def arn(eni: str) -> str:
    return f"arn:aws:ec2:us-east-1:123456789012:network-interface/{eni}"


def assign(ec2: Json, eni: str, address: str = "10.0.1.100") -> Json:
    return partial(ec2.assign_private_ip_addresses, NetworkInterfaceId=eni, PrivateIpAddresses=[address])


def test_a_role_without_policies_may_only_ask_who_it_is(lab: LabUnderTest) -> None:
    ec2 = role(lab)
    assert code_of(ec2.describe_vpcs) == DENIED
    assert code_of(partial(ec2.create_vpc, CidrBlock="10.0.0.0/16")) == DENIED
    assert code_of(session(lab, service="iam").list_roles) == "AccessDenied"
    assert code_of(session(lab, service="ssm").describe_parameters) == "AccessDeniedException"
    assert session(lab, service="sts").get_caller_identity()["Arn"].endswith("assumed-role/proxy/i-1")
    assert lab.world.vpcs == {}


def test_a_role_moves_an_address_to_its_own_interface_alone(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    own, other = lab.eni(subnet, "10.0.1.4"), lab.eni(subnet, "10.0.1.5")
    ec2 = role(lab, allow("ec2:AssignPrivateIpAddresses", arn(own)))
    assign(ec2, own)()
    assert code_of(assign(ec2, other)) == DENIED
    assert code_of(partial(ec2.delete_network_interface, NetworkInterfaceId=own)) == DENIED
    assert code_of(ec2.describe_network_interfaces) == DENIED
    assert len(lab.world.enis[own].private_ips) == 2


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:ResourceTag/Group": "a"}},
        {"StringEquals": {"ec2:ResourceTag/Group": "${aws:PrincipalTag/Group}"}},
        {"StringLike": {"ec2:Vpc": "arn:aws:ec2:*:*:vpc/VPC"}},
        {"ArnEquals": {"ec2:Subnet": "arn:aws:ec2:us-east-1:123456789012:subnet/SUBNET"}},
        {"ArnLike": {"ec2:Vpc": "arn:aws:ec2:*:*:vpc/VPC"}, "StringEquals": {"ec2:Region": "us-east-1"}},
    ],
)
def test_conditions_on_the_interface(lab: LabUnderTest, condition: Json) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    own, other = lab.eni(subnet, "10.0.1.4"), lab.eni(lab.subnet(), "10.0.1.5")
    lab.ec2.create_tags(Resources=[own], Tags=[{"Key": "Group", "Value": "a"}])
    text = json.dumps(condition).replace("VPC", vpc).replace("SUBNET", subnet)
    ec2 = role(lab, allow("ec2:Assign*", arn("*"), **json.loads(text)))
    assign(ec2, own)()
    assert code_of(assign(ec2, other)) == DENIED


def test_a_condition_on_the_instance_that_calls(lab: LabUnderTest) -> None:
    eni = lab.eni(lab.subnet(), "10.0.1.4")
    source = {"ec2:SourceInstanceARN": "arn:aws:ec2:us-east-1:123456789012:instance/i-1"}
    ec2 = role(lab, allow("ec2:AssignPrivateIpAddresses", ArnEquals=source))
    assign(ec2, eni)()
    assert code_of(assign(session(lab, "i-2"), eni)) == DENIED


def test_every_resource_of_a_call_counts(lab: LabUnderTest) -> None:
    subnet = lab.subnet()
    instance, eni = lab.instance(subnet), lab.eni(subnet)
    ec2 = role(lab, allow("ec2:*NetworkInterface", arn("*")))
    attach = partial(ec2.attach_network_interface, NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
    assert code_of(attach) == DENIED  # the instance
    detach = partial(ec2.detach_network_interface)
    attachment = lab.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)[
        "AttachmentId"
    ]
    assert code_of(partial(detach, AttachmentId=attachment)) == DENIED
    client("iam").put_role_policy(
        RoleName="proxy",
        PolicyName="instances",
        PolicyDocument=policy(allow("ec2:*", "arn:aws:ec2:*:*:instance/*")),
    )
    detach(AttachmentId=attachment)
    attach()
    assert code_of(partial(ec2.create_network_interface, SubnetId=subnet)) == DENIED  # the subnet


def test_a_denial_counts_for_whatever_name_a_resource_has(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    lab.gateway(vpc)
    eni = lab.eni(lab.subnet(vpc=vpc))
    elastic = lab.ec2.allocate_address(Domain="vpc")
    address = f"arn:aws:ec2:*:*:elastic-ip/{elastic['AllocationId']}"
    ec2 = role(lab, allow("ec2:*"), deny("*", address))
    associate = partial(ec2.associate_address, NetworkInterfaceId=eni)
    assert code_of(partial(associate, AllocationId=elastic["AllocationId"])) == DENIED
    assert code_of(partial(associate, PublicIp=elastic["PublicIp"])) == DENIED


def test_routes_are_the_tables(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    gateway, table = lab.gateway(vpc), lab.main_table(vpc)
    of_vpc = {"ec2:Vpc": f"arn:aws:ec2:*:*:vpc/{vpc}"}
    ec2 = role(lab, allow("ec2:*Route", f"arn:aws:ec2:*:*:route-table/{table}", ArnLike=of_vpc))
    replace = partial(ec2.replace_route, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    replace(RouteTableId=table)
    other = lab.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    assert code_of(partial(replace, RouteTableId=other)) == DENIED


def test_tags_that_a_call_brings(lab: LabUnderTest) -> None:
    named = {
        "StringEquals": {"aws:RequestTag/Name": "a"},
        "ForAllValues:StringEquals": {"aws:TagKeys": "Name"},
    }
    ec2 = role(lab, allow(["ec2:CreateVpc", "ec2:CreateTags"], **named))

    def make(**tags: str) -> Json:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        specification = [{"ResourceType": "vpc", "Tags": listed}]
        return partial(ec2.create_vpc, CidrBlock="10.0.0.0/16", TagSpecifications=specification)

    make(Name="a")()
    assert code_of(make(Name="b")) == DENIED
    assert code_of(make(Name="a", Other="c")) == DENIED
    assert code_of(partial(ec2.create_vpc, CidrBlock="10.0.0.0/16")) == DENIED
    lab.ec2.create_vpc(CidrBlock="10.1.0.0/16")
    client("iam").put_role_policy(
        RoleName="proxy", PolicyName="own", PolicyDocument=policy(allow("ec2:CreateVpc", **named))
    )
    assert code_of(make(Name="a")) == DENIED  # may not tag


def test_managed_policies_boundaries_and_session_policies(lab: LabUnderTest) -> None:
    iam, sts = client("iam"), client("sts")
    ec2 = role(lab)
    made = iam.create_policy(PolicyName="m", PolicyDocument=policy(allow("ec2:Describe*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="proxy", PolicyArn=made)
    ec2.describe_vpcs()
    iam.create_policy_version(
        PolicyArn=made, PolicyDocument=policy(allow("ec2:DescribeSubnets")), SetAsDefault=True
    )
    assert code_of(ec2.describe_vpcs) == DENIED
    ec2.describe_subnets()

    session_policy = policy(allow("ec2:DescribeVpcs"))
    proxy = iam.get_role(RoleName="proxy")["Role"]["Arn"]
    keys = sts.assume_role(RoleArn=proxy, RoleSessionName="part", Policy=session_policy)["Credentials"]
    restricted = client("ec2", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert code_of(restricted.describe_subnets) == DENIED  # of the role, not of the session
    assert code_of(restricted.describe_vpcs) == DENIED  # the other way round
    arns = partial(sts.assume_role, RoleArn=proxy, RoleSessionName="part", PolicyArns=[{"arn": made}])
    assert code_of(arns) == "UnsupportedOperation"

    iam.put_role_permissions_boundary(RoleName="proxy", PermissionsBoundary=made)
    iam.put_role_policy(RoleName="proxy", PolicyName="p", PolicyDocument=policy(allow("*")))
    ec2.describe_subnets()
    assert code_of(ec2.describe_vpcs) == DENIED


def test_a_role_that_is_gone_may_do_nothing(lab: LabUnderTest) -> None:
    ec2 = role(lab, allow("*"))
    ec2.describe_vpcs()
    client("iam").delete_role_policy(RoleName="proxy", PolicyName="own")
    client("iam").delete_role(RoleName="proxy")
    assert code_of(ec2.describe_vpcs) == DENIED


@pytest.mark.usefixtures("lab")
def test_users_have_policies_too() -> None:
    iam = client("iam")
    iam.create_user(UserName="eve")
    made = iam.create_access_key(UserName="eve")["AccessKey"]
    ec2 = client("ec2", made["AccessKeyId"], made["SecretAccessKey"])
    assert code_of(ec2.describe_vpcs) == DENIED
    iam.create_group(GroupName="readers")
    iam.put_group_policy(
        GroupName="readers",
        PolicyName="p",
        PolicyDocument=policy(allow("ec2:Describe*"), deny("ec2:DescribeVpcs")),
    )
    iam.add_user_to_group(GroupName="readers", UserName="eve")
    ec2.describe_subnets()
    assert code_of(ec2.describe_vpcs) == DENIED


READ = "Action=DescribeVpcs&Version=2016-11-15"
MAKE = "Action=CreateVpc&CidrBlock=10.0.0.0%2F16&Version=2016-11-15"


@pytest.mark.parametrize(
    ("query", "body", "target"),
    [
        ("", f"{READ}&{MAKE}", ""),
        ("", f"{MAKE}&{READ}", ""),
        ("", MAKE, "Ec2.DescribeVpcs"),
        ("", READ, "Ec2.CreateVpc"),
        (READ, MAKE, ""),
        (MAKE, READ, ""),
        ("CidrBlock=10.0.0.0%2F16", READ, "Ec2.CreateVpc"),
        ("CidrBlock=10.0.0.0%2F16", MAKE, "Ec2.DescribeVpcs"),
    ],
)
def test_what_is_allowed_is_what_is_done(lab: LabUnderTest, query: str, body: str, target: str) -> None:
    role(lab, allow("ec2:DescribeVpcs"))
    keys = lab.cloud.credentials_for("proxy", "i-1")
    signer = Signer(keys.access_key_id, keys.secret_access_key, keys.token, query=query, target=target)
    status, text = post(signer.headers(body), body, query)
    assert lab.world.vpcs == {}
    assert status in (400, 403) or "DescribeVpcsResponse" in text
    assert "SignatureDoesNotMatch" not in text
    assert "InternalError" not in text


def test_a_dry_run_says_who_may_not(lab: LabUnderTest) -> None:
    own = lab.eni(lab.subnet(), "10.0.1.4")
    ec2 = role(lab, allow("ec2:AssignPrivateIpAddresses"))
    call = partial(ec2.describe_network_interfaces, NetworkInterfaceIds=[own], DryRun=True)
    assert code_of(call) == DENIED
