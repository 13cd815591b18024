"""Two proxies with their host scripts in a cloud without the program, and what looks at connections through them.

func-0 192.168.80.8 ══ GRE ══ HaVip 192.168.4.100, of proxy-0 (.4) or proxy-1 (.5) ── HaVip 172.16.101.100 ── user-alpha
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import paramiko

from lab.errors import LabError
from tests.lab.conftest import LabUnderTest, client_options, wait_until

Json = Any
HOSTSCRIPTS = Path(__file__).resolve().parents[2] / "hostscripts"
PROXIES = ("proxy-0", "proxy-1")
FUNC, USER = "func-0", "user-alpha"
OWN = {"proxy-0": "192.168.4.4", "proxy-1": "192.168.4.5"}
HAVIP, USER_HAVIP, ENDPOINT = "192.168.4.100", "172.16.101.100", "192.168.4.200"
USER_ENI = {"proxy-0": "172.16.101.10", "proxy-1": "172.16.101.11"}
USER_ADDRESS, TCP_PORT, HTTP_PORT = "172.16.101.4", 7007, 8080
NAMESPACE = "tenant-alpha"
SETTLED_S = 120.0  # a boot among it
TUNNEL = {"tenant": "alpha", "device": "mgre1", "key": 1, "peers": []}

# Opens connections and sends a byte on each ten times a second, in turn. Ends when its input does, and then says by
# connection: "ok" or why it died, and the longest time in milliseconds that a byte took there and back.
CLIENT = """
import select, socket, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
poll = select.epoll()
class C: pass
cs = {}
for n in range(count):
    c = C()
    c.s = socket.create_connection((host, port))
    c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    c.s.setblocking(False)
    c.sent, c.worst, c.end, c.next = [], 0.0, "ok", time.monotonic() + 0.1 * n / count
    cs[c.s.fileno()] = c
    poll.register(c.s, select.EPOLLIN)
poll.register(0, select.EPOLLIN)
print("ready", flush=True)
stop = None
while stop is None or (time.monotonic() < stop and any(c.sent and c.end == "ok" for c in cs.values())):
    for fd, event in poll.poll(0.005):
        if fd == 0:
            poll.unregister(0)
            stop = time.monotonic() + 15
            continue
        c = cs[fd]
        try:
            data = c.s.recv(4096)
        except OSError as e:
            data, c.end = b"", str(e)
        if not data:
            c.end = "closed" if c.end == "ok" else c.end
            poll.unregister(fd)
        now = time.monotonic()
        for _ in data:
            c.worst = max(c.worst, now - c.sent.pop(0))
    now = time.monotonic()
    for c in cs.values():
        if c.end == "ok" and stop is None and now >= c.next:
            c.next += 0.1
            try:
                c.s.send(b"x")
                c.sent.append(now)
            except BlockingIOError:
                pass
            except OSError as e:
                c.end = str(e)
for c in cs.values():
    print("silent" if c.sent and c.end == "ok" else c.end, round(c.worst * 1000), sep="|")
"""


@dataclass
class PairNetwork:
    """The cloud's client, its hosts' ids, and the proxies' ENIs by proxy and kind (`own`, `user`)."""

    lab: LabUnderTest
    instances: dict[str, str] = field(default_factory=dict)
    enis: dict[tuple[str, str], Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options: Json = client_options(self.lab.status())
        self.ec2 = boto3.client("ec2", **options)
        self.iam = boto3.client("iam", **options)

    # ── the cloud ─────────────────────────────────────────────────────────────────────────────────────────────────

    def stands(self) -> bool:
        """Whether it was built before, and then knows it."""
        for reservation in self.ec2.describe_instances()["Reservations"]:
            for instance in reservation["Instances"]:
                name = next((t["Value"] for t in instance.get("Tags", []) if t["Key"] == "Name"), "")
                self.instances[name] = instance["InstanceId"]
                for eni in instance["NetworkInterfaces"]:
                    self.enis[name, "user" if eni["Attachment"]["DeviceIndex"] else "own"] = eni
        return bool(self.instances)

    def build(self) -> None:
        """Networks, hosts and ENIs, then what each host is told."""
        platform = self._network("192.168.0.0/16", {"func": "192.168.80.0/24", "proxy": "192.168.4.0/24"})
        user = self._network("172.16.0.0/16", {"user": "172.16.101.0/24"})
        self.ec2.create_vpc_endpoint(
            VpcId=platform["vpc"],
            ServiceName="com.amazonaws.us-east-1.ec2",
            VpcEndpointType="Interface",
            PrivateDnsEnabled=False,
            SubnetIds=[platform["proxy"]],
            SecurityGroupIds=[platform["group"]],
            SubnetConfigurations=[{"SubnetId": platform["proxy"], "Ipv4": ENDPOINT}],
        )
        self._host(FUNC, platform["func"], "192.168.80.8", platform["group"])
        self._host(USER, user["user"], USER_ADDRESS, user["group"])
        for proxy in PROXIES:
            self._role(proxy)
            self._host(proxy, platform["proxy"], OWN[proxy], platform["group"], profile=proxy)
            made = self.ec2.create_network_interface(
                SubnetId=user["user"], PrivateIpAddress=USER_ENI[proxy], Groups=[user["group"]]
            )["NetworkInterface"]
            self.enis[proxy, "user"] = made
        for name in (FUNC, USER, *PROXIES):
            self.ec2.get_waiter("instance_running").wait(InstanceIds=[self.instances[name]])
        for proxy in PROXIES:
            self.ec2.attach_network_interface(
                NetworkInterfaceId=self.enis[proxy, "user"]["NetworkInterfaceId"],
                InstanceId=self.instances[proxy],
                DeviceIndex=1,
            )
        for name in (FUNC, USER, *PROXIES):
            wait_until(f"{name} answers", partial(self._answers, name))
        self.configure()

    def _network(self, cidr: str, subnets: dict[str, str]) -> dict[str, str]:
        vpc = self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        made = {"vpc": vpc}
        for name, subnet in subnets.items():
            made[name] = self.ec2.create_subnet(VpcId=vpc, CidrBlock=subnet, AvailabilityZone="us-east-1a")[
                "Subnet"
            ]["SubnetId"]
        made["group"] = self.ec2.create_security_group(VpcId=vpc, GroupName="open", Description="open")[
            "GroupId"
        ]
        self.ec2.authorize_security_group_ingress(
            GroupId=made["group"], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        )
        return made

    def _role(self, name: str) -> None:
        allowed = {"Effect": "Allow", "Action": "ec2:AssignPrivateIpAddresses", "Resource": "*"}
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
        self.iam.put_role_policy(RoleName=name, PolicyName="claim", PolicyDocument=policy(allowed))
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def _host(self, name: str, subnet: str, address: str, group: str, profile: str = "") -> None:
        images = self.ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])[
            "Images"
        ]
        with_role: Json = {"IamInstanceProfile": {"Name": profile}} if profile else {}
        (made,) = self.ec2.run_instances(
            ImageId=images[0]["ImageId"],
            InstanceType="c6in.large" if profile else "t3.small",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            PrivateIpAddress=address,
            SecurityGroupIds=[group],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
            **with_role,
        )["Instances"]
        self.instances[name] = made["InstanceId"]
        self.enis[name, "own"] = made["NetworkInterfaces"][0]

    def _answers(self, name: str) -> bool:
        return self.lab.command("exec", name, "--", "true", check=False).returncode == 0

    # ── the hosts ─────────────────────────────────────────────────────────────────────────────────────────────────

    def configure(self) -> None:
        """Scripts and states of every host, applied."""
        self.given(
            FUNC,
            tunnel={
                "local": "192.168.80.8",
                "underlay_mtu": 9001,
                "tunnels": [TUNNEL | {"namespace": None, "remote": HAVIP, "address": "10.0.0.3/24"}],
            },
            routes={
                "routes": [
                    {
                        "tenant": "alpha",
                        "device": "mgre1",
                        "source": "10.0.0.3",
                        "destinations": ["172.16.101.0/24"],
                    }
                ]
            },
        )
        self.given(USER, echo={"http_port": HTTP_PORT, "tcp_port": TCP_PORT})
        for proxy in PROXIES:
            self.given(proxy, **self.states(proxy))

    def states(self, proxy: str) -> dict[str, Json]:
        """What a proxy of the pair is told."""
        index = PROXIES.index(proxy)
        other = PROXIES[1 - index]
        tenant = {"tenant": "alpha", "namespace": NAMESPACE, "tunnel": "mgre1", "user": "user1"}
        overlay = {"overlay": "10.0.0.0/24", "destinations": ["172.16.101.0/24"]}
        mac = self.enis[proxy, "user"]["MacAddress"]
        return {
            "input": {"local": OWN[proxy], "user_enis": [mac]},
            "user_eni": {
                "tenants": [
                    {
                        "name": "alpha",
                        "namespace": NAMESPACE,
                        "device": "user1",
                        "mac": mac,
                        "address": USER_ENI[proxy],
                        "destinations": overlay["destinations"],
                    }
                ]
            },
            "tunnel": {
                "own": OWN[proxy],
                "local": HAVIP,
                "underlay_mtu": 9001,
                "tunnels": [
                    TUNNEL
                    | {
                        "namespace": NAMESPACE,
                        "remote": None,
                        "address": "10.0.0.4/24",
                        "peers": [{"overlay": "10.0.0.3", "underlay": "192.168.80.8"}],
                    },
                    {
                        "tenant": "alpha",
                        "namespace": NAMESPACE,
                        "device": "sync1",
                        "key": 2**31 + 1,
                        "remote": OWN[other],
                        "address": f"169.254.254.{index + 1}/30",
                        "peers": [],
                    },
                ],
            },
            "sync": {
                "tenants": [
                    {
                        "tenant": "alpha",
                        "namespace": NAMESPACE,
                        "device": "sync1",
                        "address": f"169.254.254.{index + 1}",
                        "peer": f"169.254.254.{2 - index}",
                    }
                ]
            },
            "nat": {"tenants": [tenant | overlay | {"snat_to": USER_HAVIP}]},
            "forward": {"tenants": [tenant | overlay]},
            "pair": {
                "own": OWN[proxy],
                "peer": OWN[other],
                "index": index,
                "advert_ms": 100,
                "virtual_router_id": 51,
                "region": "us-east-1",
                "api": {"url": "http://ec2.us-east-1.amazonaws.com", "connect_to": ENDPOINT},
                "havips": [
                    {
                        "name": "platform",
                        "namespace": None,
                        "device": None,
                        "eni_id": self.enis[proxy, "own"]["NetworkInterfaceId"],
                        "mac": None,
                        "address": HAVIP,
                    },
                    {
                        "name": "alpha",
                        "namespace": NAMESPACE,
                        "device": "user1",
                        "eni_id": self.enis[proxy, "user"]["NetworkInterfaceId"],
                        "mac": mac,
                        "address": USER_HAVIP,
                    },
                ],
                "tenants": [{"namespace": NAMESPACE, "tunnel": "mgre1", "user": "user1", "sync": "sync1"}],
            },
        }

    def given(self, host: str, **states: Json) -> None:
        """Scripts and these states, on the disk whatever happens next, and applied."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for file in sorted(HOSTSCRIPTS.iterdir()):
                unit = file.suffix == ".service"
                target = f"etc/systemd/system/{file.name}" if unit else f"opt/causeway/{file.name}"
                add(tar, target, file.read_bytes(), 0o644 if unit else 0o755)
            for concern, state in states.items():
                add(tar, f"etc/causeway/{concern}.json", json.dumps(state).encode(), 0o600)
        self.lab.succeed(
            host,
            "mkdir -p /etc/causeway && tar -x -C / && sync && /opt/causeway/apply",
            stdin=archive.getvalue(),
        )

    # ── looking at it ─────────────────────────────────────────────────────────────────────────────────────────────

    def state(self, proxy: str) -> Json:
        """What a proxy's watcher says."""
        return self.lab.json(proxy, "cat /run/causeway/pair/state.json")

    def active(self) -> str:
        """The one proxy that is active and whole, once there is one and the other stands by."""
        found: list[str] = []

        def one() -> bool:
            try:
                states = {proxy: self.state(proxy) for proxy in PROXIES}
            except (AssertionError, LabError, OSError, paramiko.SSHException):  # it boots
                for proxy in PROXIES:
                    self.lab.forget(proxy)
                return False
            found[:] = [p for p, s in states.items() if s["state"] == "active" and s["whole"]]
            return len(found) == 1 and {s["state"] for s in states.values()} == {"active", "standby"}

        wait_until("one is active and the other stands by", one, SETTLED_S)
        return found[0]

    def holders(self) -> dict[str, str]:
        """By HaVip, the proxy whose ENI has it, says the API."""
        named = {eni["NetworkInterfaceId"]: proxy for (proxy, _), eni in self.enis.items()}
        found = {}
        for eni in self.ec2.describe_network_interfaces()["NetworkInterfaces"]:
            for address in eni["PrivateIpAddresses"]:
                if address["PrivateIpAddress"] in (HAVIP, USER_HAVIP):
                    assert address["PrivateIpAddress"] not in found
                    found[address["PrivateIpAddress"]] = named[eni["NetworkInterfaceId"]]
        return found


def other(proxy: str) -> str:
    """The proxy beside this one."""
    return PROXIES[1 - PROXIES.index(proxy)]


def policy(*statements: Json) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    """A file in an archive, of root and of now: an archive without times makes make(1) and systemd wonder."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), mode, int(time.time())
    tar.addfile(info, io.BytesIO(content))
