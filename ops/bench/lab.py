"""The lab: up, no-op up, down, and an instance from RunInstances to SSH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import boto3

from lab.daemon.client import Client
from lab.errors import LabError
from lab.paths import PROJECT, LabPaths
from ops.bench.figure import Figure, seconds

NAME = f"bench-{os.getpid()}"
ANSWER_DEADLINE_S = 60.0


def lab(*words: str) -> str:
    """Run `python -m lab`; returns its standard output."""
    argv = [sys.executable, "-m", "lab", words[0], "--name", NAME, *words[1:]]
    return subprocess.run(argv, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure_lab(runs: int) -> list[Figure]:
    """Goals are those for 2 cores without KVM, caches warm."""
    ups, noops, downs, resident = [], [], [], []
    for _ in range(max(1, min(runs, 3))):
        try:
            ups.append(seconds(lambda: lab("up")))
            noops += [seconds(lambda: lab("up")) for _ in range(2)]
            hosts = json.loads(lab("status", "--json"))["hosts"]
            resident += [float(host["machine"]["resident_mib"]) for host in hosts]
        finally:
            downs.append(seconds(lambda: lab("down")))
    try:
        lab("up", "--empty")
        answers = answer_times(runs)
    finally:
        lab("down")
    return [
        Figure(what="lab up, reference network", unit="s", samples=tuple(ups), goal=60),
        Figure(what="lab up, nothing to do", unit="s", samples=tuple(noops), goal=4),
        Figure(what="lab down", unit="s", samples=tuple(downs), goal=5),
        Figure(what="RunInstances to SSH banner", unit="s", samples=tuple(answers), goal=3),
        Figure(what="resident memory per guest", unit="MiB", samples=tuple(resident), goal=400 * 1e6 / 2**20),
    ]


def answer_times(runs: int) -> list[float]:
    """Seconds from RunInstances to the banner of the guest's sshd, one instance after the other."""
    client = Client(LabPaths(NAME))
    ec2 = ec2_client()
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])["Images"][0][
        "ImageId"
    ]
    times = []
    for _ in range(runs):
        began = time.monotonic()
        started = ec2.run_instances(
            ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1, SubnetId=subnet
        )["Instances"][0]["InstanceId"]
        wait_for_banner(client, started, began + ANSWER_DEADLINE_S)
        times.append(time.monotonic() - began)
        ec2.terminate_instances(InstanceIds=[started])
        ec2.get_waiter("instance_terminated").wait(InstanceIds=[started], WaiterConfig={"Delay": 1})
    return times


def ec2_client() -> Any:
    """Of the benchmark's lab."""
    state = Client(LabPaths(NAME)).call("status")
    return boto3.client(
        "ec2",
        endpoint_url=state["ec2_endpoint"],
        region_name=state["region"],
        aws_access_key_id=state["credentials"]["access_key_id"],
        aws_secret_access_key=state["credentials"]["secret_access_key"],
    )


def wait_for_banner(client: Client, host: str, deadline: float) -> None:
    """Until sshd says who it is."""
    while True:
        try:
            with client.connect(host, 22) as stream:
                stream.settimeout(max(0.1, deadline - time.monotonic()))
                if stream.recv(4) == b"SSH-":
                    return
        except (TimeoutError, LabError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{host} did not answer SSH: {error}") from error
        time.sleep(0.02)
