"""Who gets in at a public address by OpenSSH's client, from the lab's internet and not by the lab's own streams."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.fabric.names import OPERATOR_ADDRESS
from tests.lab.conftest import LabUnderTest, ec2_of
from tests.lab.test_path import FUNC

pytestmark = pytest.mark.lab

STRANGER = "198.18.0.77"


def log_in(
    lab: LabUnderTest, host: str, source: str, patience_s: int = 30
) -> subprocess.CompletedProcess[str]:
    """As the image's user at a public address, with the key of the stack's key pair."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    words = [word for option in (*options, f"ConnectTimeout={patience_s}") for word in ("-o", option)]
    ssh = ["ssh", "-F", "none", "-b", source, "-i", str(lab.paths.ssh_key), *words, f"admin@{host}"]
    return lab.command("internet", "--", *ssh, "sudo -n id -un; hostname -I", check=False)


@contextmanager
def stranger(lab: LabUnderTest) -> Iterator[None]:
    """Somebody else in the internet, at another address than the operator's."""
    address = ("ip", "address", "{}", f"{STRANGER}/32", "dev", "lo")
    lab.command("internet", "--", *(word.format("add") for word in address))
    try:
        yield
    finally:
        lab.command("internet", "--", *(word.format("del") for word in address))


def test_the_operator_logs_in_and_nobody_else(lab: LabUnderTest) -> None:
    ec2 = ec2_of(lab)
    named = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [FUNC]}])
    ((instance,),) = (reservation["Instances"] for reservation in named["Reservations"])
    host, group = instance["PublicIpAddress"], instance["SecurityGroups"][0]["GroupId"]
    done = log_in(lab, host, str(OPERATOR_ADDRESS))
    assert done.stdout.split()[:2] == ["root", "192.168.80.8"], done.stderr
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": f"{STRANGER}/32"}
    with stranger(lab):
        ec2.authorize_security_group_ingress(GroupId=group, **rule)
        try:
            done = log_in(lab, host, STRANGER)
            assert done.stdout.split()[:2] == ["root", "192.168.80.8"], done.stderr
        finally:
            ec2.revoke_security_group_ingress(GroupId=group, **rule)
        done = log_in(lab, host, STRANGER, patience_s=1)
        assert done.returncode == 255
        assert "timed out" in done.stderr
