"""Keys, roles, images, parameters, networks that are somewhere else; other clients than boto3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import Cloud, credentials, moto_version
from lab.cloud.credentials import LIFETIME, RENEW_BEFORE
from lab.cloud.images import IMAGE_ID, IMAGE_NAME, OWNER, SSM_PARAMETER
from lab.errors import LabError
from tests.unit.cloud_testing import REGION, LabUnderTest, code_of, endpoint, session

Json = Any

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def client(service: str, *keys: str) -> Json:
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    make: Json = session().client  # of any service
    return make(service, endpoint_url=endpoint(), **dict(zip(names, keys, strict=False)))


def profile(name: str) -> None:
    iam = client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def test_another_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto_version, "version", lambda _name: "5.2.6")
    with pytest.raises(LabError, match=r"needs moto 5\.2\.5, installed is 5\.2\.6"):
        moto_version.require_moto()


def test_the_role_of_an_instance(lab: LabUnderTest) -> None:
    profile("proxy")
    made = lab.ec2.run_instances(
        ImageId=IMAGE_ID,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=lab.subnet(),
        IamInstanceProfile={"Name": "proxy"},
    )
    instance = made["Instances"][0]["InstanceId"]
    assert lab.world.instances[instance].role == "proxy"
    assert lab.world.instances[instance].profile_arn == "arn:aws:iam::123456789012:instance-profile/proxy"
    assert made["Instances"][0]["IamInstanceProfile"]["Arn"].endswith(":instance-profile/proxy")
    keys = lab.cloud.credentials_for("proxy", instance)
    assert keys == lab.cloud.credentials_for("proxy", instance)
    who = client("sts", keys.access_key_id, keys.secret_access_key, keys.token).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::123456789012:assumed-role/proxy/{instance}"
    assert who["Arn"] == lab.cloud.caller(keys.access_key_id)
    with pytest.raises(LabError, match="no IAM role 'nobody'"):
        lab.cloud.credentials_for("nobody", instance)
    associations = lab.ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [instance]}]
    )["IamInstanceProfileAssociations"]
    lab.ec2.disassociate_iam_instance_profile(AssociationId=associations[0]["AssociationId"])
    assert lab.world.instances[instance].role is None


def test_the_role_of_a_running_instance_changes(lab: LabUnderTest) -> None:
    profile("proxy")
    profile("other")
    instance = lab.instance(lab.subnet())
    assert lab.world.instances[instance].role is None

    def shown() -> str | None:
        found = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        arn = found.get("IamInstanceProfile", {}).get("Arn")
        return arn.rpartition("/")[2] if arn else None

    associated = lab.ec2.associate_iam_instance_profile(
        InstanceId=instance, IamInstanceProfile={"Name": "proxy"}
    )["IamInstanceProfileAssociation"]
    assert (shown(), lab.world.instances[instance].role) == ("proxy", "proxy")
    again = partial(
        lab.ec2.associate_iam_instance_profile,
        InstanceId=instance,
        IamInstanceProfile={"Name": "other"},
    )
    assert code_of(again) == "IncorrectState"
    replaced = lab.ec2.replace_iam_instance_profile_association(
        AssociationId=associated["AssociationId"], IamInstanceProfile={"Name": "other"}
    )["IamInstanceProfileAssociation"]
    assert (shown(), lab.world.instances[instance].role) == ("other", "other")
    lab.ec2.disassociate_iam_instance_profile(AssociationId=replaced["AssociationId"])
    assert (shown(), lab.world.instances[instance].role) == (None, None)


def test_credentials_are_renewed_an_hour_before_their_end(
    lab: LabUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile("proxy")
    first = lab.cloud.credentials_for("proxy", "i-1")
    assert lab.cloud.credentials_for("proxy", "i-1") == first
    assert lab.cloud.credentials_for("proxy", "i-2") != first
    shown = datetime.now(UTC) + LIFETIME - RENEW_BEFORE + timedelta(seconds=1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Json = None) -> datetime:  # type: ignore[override]
            return shown.astimezone(tz)

    monkeypatch.setattr(credentials, "datetime", Later)
    second = lab.cloud.credentials_for("proxy", "i-1")
    assert second.access_key_id != first.access_key_id
    assert second.expiration - shown == LIFETIME
    for keys in (first, second):  # the old ones are good to their end
        who = client("sts", keys.access_key_id, keys.secret_access_key, keys.token).get_caller_identity()
        assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/proxy/i-1"


def test_the_operator(lab: LabUnderTest) -> None:
    sts = client("sts", lab.cloud.access_key_id, lab.cloud.secret_access_key)
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/operator"


def test_imported_key_pairs(lab: LabUnderTest, tmp_path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@here", "-f", str(tmp_path / "key")]
    subprocess.run(command, check=True)
    public = (tmp_path / "key.pub").read_text()
    lab.ec2.import_key_pair(KeyName="me", PublicKeyMaterial=public.encode())
    instance = lab.ec2.run_instances(
        ImageId=IMAGE_ID, InstanceType="t3.small", MinCount=1, MaxCount=1, SubnetId=lab.subnet(), KeyName="me"
    )["Instances"][0]["InstanceId"]
    assert lab.world.instances[instance].public_key == public.strip()
    lab.ec2.delete_key_pair(KeyName="me")
    assert lab.world.instances[instance].public_key == public.strip()
    again = partial(lab.ec2.import_key_pair, KeyName="me", PublicKeyMaterial=b"nonsense")
    assert code_of(again) == "InvalidKeyPair.Format"


def test_images(lab: LabUnderTest) -> None:
    def found(architecture: str) -> list[str]:
        images = lab.ec2.describe_images(
            Owners=[OWNER],
            Filters=[
                {"Name": "name", "Values": [f"debian-13-{architecture}-*"]},
                {"Name": "virtualization-type", "Values": ["hvm"]},
                {"Name": "root-device-type", "Values": ["ebs"]},
            ],
        )
        return [i["ImageId"] for i in images["Images"]]

    assert found("amd64") == [IMAGE_ID]
    assert found("arm64") == []
    (image,) = lab.ec2.describe_images(ImageIds=[IMAGE_ID])["Images"]
    assert (image["Name"], image["Architecture"], image["State"]) == (IMAGE_NAME, "x86_64", "available")
    assert (image["RootDeviceName"], image["OwnerId"]) == ("/dev/xvda", OWNER)
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8
    missing = partial(lab.ec2.describe_images, ImageIds=["ami-0123456789abcdef0"])
    assert code_of(missing) == "InvalidAMIID.NotFound"


def test_the_image_by_its_parameter(lab: LabUnderTest) -> None:
    ssm = client("ssm")
    assert ssm.get_parameter(Name=SSM_PARAMETER)["Parameter"]["Value"] == IMAGE_ID
    arm = partial(ssm.get_parameter, Name=SSM_PARAMETER.replace("amd64", "arm64"))
    assert code_of(arm) == "ParameterNotFound"
    made = lab.ec2.run_instances(
        ImageId=f"resolve:ssm:{SSM_PARAMETER}",
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=lab.subnet(),
    )
    assert made["Instances"][0]["ImageId"] == IMAGE_ID


def test_networks_that_are_somewhere_else(lab: LabUnderTest) -> None:
    vpc, subnet = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0"
    for _ in range(2):
        lab.cloud.seed_existing(vpc, subnet, "172.16.101.0/24", "us-east-1b", "210987654321")
    lab.cloud.seed_existing(vpc, "subnet-1", "10.9.0.0/24", "us-east-1a")
    (shown,) = lab.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert (shown["VpcId"], shown["CidrBlock"], shown["AvailabilityZone"]) == (
        vpc,
        "172.16.101.0/24",
        "us-east-1b",
    )
    assert shown["OwnerId"] == "210987654321"
    (network,) = lab.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert network["OwnerId"] == "210987654321"
    assert lab.world.vpcs[vpc].cidrs == (IPv4Network("172.16.101.0/24"), IPv4Network("10.9.0.0/24"))
    assert lab.world.subnets["subnet-1"].cidr == IPv4Network("10.9.0.0/24")
    with pytest.raises(LabError, match="no availability zone mars-1a"):
        lab.cloud.seed_existing(vpc, "subnet-2", "10.9.1.0/24", "mars-1a")


def test_what_providers_read_besides(lab: LabUnderTest) -> None:
    vpc = lab.vpc()
    subnet = lab.subnet(vpc=vpc)
    of_vpc: Any = [{"Name": "vpc-id", "Values": [vpc]}]
    for attribute in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"):
        assert lab.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)["VpcId"] == vpc
    lab.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    (acl,) = lab.ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"]
    assert acl["IsDefault"] is True
    assert [a["SubnetId"] for a in acl["Associations"]] == [subnet]
    (main,) = lab.ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    assert main["Associations"][0]["Main"] is True
    types = lab.ec2.describe_instance_types(InstanceTypes=["c6in.large"])["InstanceTypes"]
    assert types[0]["NetworkInfo"]["MaximumNetworkInterfaces"] == 3
    zones = lab.ec2.describe_availability_zones(Filters=[{"Name": "zone-name", "Values": ["us-east-1a"]}])
    assert zones["AvailabilityZones"][0]["State"] == "available"
    elastic = lab.ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert lab.ec2.describe_addresses_attribute(AllocationIds=[elastic])["Addresses"]
    assert lab.ec2.describe_vpc_classic_link()["Vpcs"] is not None
    assert lab.ec2.describe_account_attributes()["AccountAttributes"]


def aws_command(cloud: Cloud, *arguments: str) -> Json:
    """The AWS command line, as a person would use it."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint(),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [str(Path(sys.executable).parent / "aws"), "--output", "json", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_the_aws_command_line(lab: LabUnderTest) -> None:
    subnet, aws = lab.subnet(), partial(aws_command, lab.cloud)
    made = aws(
        "ec2", "run-instances", "--image-id", f"resolve:ssm:{SSM_PARAMETER}", "--instance-type", "t3.small",
        "--subnet-id", subnet, "--private-ip-address", "10.0.1.9",
        "--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=cli}]",
    )  # fmt: skip
    instance = made["Instances"][0]["InstanceId"]
    assert lab.world.instances[instance].name == "cli"
    eni = lab.primary(instance)
    assigned = ["--network-interface-id", eni, "--private-ip-addresses", "10.0.1.100", "--allow-reassignment"]
    aws("ec2", "assign-private-ip-addresses", *assigned)
    query = "Reservations[].Instances[].NetworkInterfaces[].PrivateIpAddresses[].PrivateIpAddress"
    assert aws("ec2", "describe-instances", "--query", query) == ["10.0.1.9", "10.0.1.100"]
    with pytest.raises(RuntimeError, match=r"InvalidIPAddress\.InUse"):
        aws("ec2", "create-network-interface", "--subnet-id", subnet, "--private-ip-address", "10.0.1.9")
