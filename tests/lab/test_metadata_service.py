"""IMDS as guests see it, through the fabric: who asks is known by the ENI, and answers follow the world."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse

import pytest

from lab.fabric import Fabric
from lab.metadata import Credentials, Metadata
from lab.world import World
from tests.lab.guests import Guest, wait_until
from tests.lab.isolation import isolated, isolated_user
from tests.lab.worlds import change, holding, with_eni, with_vpc, without_eni

IMDS = "169.254.169.254"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
PROFILE = "arn:aws:iam::123456789012:instance-profile/proxies"
KEY = "ssh-ed25519 AAAAC3Nz lab"


def reference() -> World:
    """i-a with two ENIs in overlapping VPCs, and i-b, which has the address of the second one."""
    world = with_vpc(with_vpc(World(), "one"), "two")
    world = with_eni(world, "a", "one", "10.0.1.11", "10.0.1.100", public="198.19.0.11")
    world = with_eni(world, "a2", "two", "10.0.1.99")
    world = change(world, "a2", instance_id="i-a", device_index=1)
    world = with_eni(world, "b", "one", "10.0.1.99")
    return instance(
        world,
        "a",
        public_key=KEY + "\n",
        key_name="operator",
        role="proxy",
        user_data=b"#!\0\xff",
        profile_arn=PROFILE,
        placement_group="pair",
    )


def instance(world: World, name: str, **changes: object) -> World:
    """Change fields of `i-name`."""
    changed = replace(world.instances[f"i-{name}"], **changes)  # type: ignore[arg-type]
    return replace(world, instances=world.instances | {changed.id: changed})


def credentials(role: str, instance_id: str) -> Credentials:
    """Say who asked."""
    return Credentials(
        access_key_id=f"ASIA-{role}",
        secret_access_key="secret",
        token=f"for {instance_id}",
        expiration=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


@dataclass
class Lab:
    """A fabric and its metadata service."""

    fabric: Fabric
    metadata: Metadata

    def apply(self, world: World) -> None:
        """In the order that the daemon has to keep."""
        self.fabric.apply(world)
        self.metadata.apply(world)


@contextmanager
def up(world: World) -> Iterator[Lab]:
    """A lab that holds `world`."""
    fabric = Fabric()
    lab = Lab(fabric, Metadata(fabric.imds_listener, credentials))
    lab.apply(world)
    yield lab
    lab.metadata.close()
    fabric.close()


def ask(
    guest: Guest, path: str, method: str = "GET", source: str = "", **headers: str
) -> tuple[int, str, HTTPResponse]:
    """One request on a connection of its own: status, body, response."""
    connection = HTTPConnection(IMDS)
    connection.sock = guest.open_socket(socket.SOCK_STREAM, source=source)
    connection.sock.connect((IMDS, 80))
    connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read().decode(errors="replace"), response


def get(guest: Guest, path: str) -> str:
    """What is under meta-data, by IMDSv2."""
    _, token, _ = ask(guest, "/latest/api/token", "PUT", **{TTL: "60"})
    status, body, _ = ask(guest, f"/latest/meta-data/{path}", **{TOKEN: token})
    assert status == 200, (path, status)
    return body


def absent(guest: Guest, path: str) -> bool:
    """Whether IMDS knows nothing of a path."""
    return ask(guest, f"/latest/{path}")[0] == 404


@isolated
def test_the_caller_is_known_by_its_eni_not_by_its_address() -> None:
    with up(reference()) as lab:
        second, b = Guest(lab.fabric, reference(), "eni-a2"), Guest(lab.fabric, reference(), "eni-b")
        assert get(second, "instance-id") == "i-a"
        assert get(b, "instance-id") == "i-b"
        assert get(second, "local-ipv4") == "10.0.1.11"  # the instance's, on whichever ENI it asks


@isolated
def test_a_guest_without_an_address_asks_with_a_link_local_one() -> None:
    with up(reference()) as lab:
        guest = Guest(lab.fabric, reference(), "eni-a2", plain=True)
        guest.take("169.254.77.7", 16)
        mac = guest.eni.mac
        assert get(guest, f"network/interfaces/macs/{mac}/local-ipv4s") == "10.0.1.99"
        assert get(guest, f"network/interfaces/macs/{mac}/subnet-ipv4-cidr-block") == "10.0.1.0/24"


@isolated
def test_everything_a_guest_wants_to_know() -> None:
    with up(reference()) as lab:
        guest = Guest(lab.fabric, reference(), "eni-a")
        expected = {
            "ami-id": "ami-1",
            "instance-type": "t3.small",
            "local-hostname": "ip-10-0-1-11.ec2.internal",
            "hostname": "ip-10-0-1-11.ec2.internal",
            "mac": "02:00:00:00:10:01",
            "local-ipv4": "10.0.1.11",
            "public-ipv4": "198.19.0.11",
            "security-groups": "one",
            "placement/availability-zone": "us-east-1a",
            "placement/availability-zone-id": "use1-az1",
            "placement/group-name": "pair",
            "placement/region": "us-east-1",
            "public-keys/": "0=operator",
            "public-keys/0/": "openssh-key",
            "public-keys/0/openssh-key": KEY,
            "iam/": "info\nsecurity-credentials/",
            "iam/security-credentials/": "proxy",
            "network/interfaces/macs/": "02:00:00:00:10:01/\n02:00:00:00:10:02/",
        }
        assert {path: get(guest, path) for path in expected} == expected
        first, second = (f"network/interfaces/macs/02:00:00:00:10:0{n}" for n in (1, 2))
        of_first = {
            "device-number": "0",
            "interface-id": "eni-a",
            "ipv4-associations/": "198.19.0.11",
            "ipv4-associations/198.19.0.11": "10.0.1.11",
            "local-hostname": "ip-10-0-1-11.ec2.internal",
            "local-ipv4s": "10.0.1.11\n10.0.1.100",
            "mac": "02:00:00:00:10:01",
            "owner-id": "123456789012",
            "public-ipv4s": "198.19.0.11",
            "security-group-ids": "sg-one",
            "security-groups": "one",
            "subnet-id": "subnet-one",
            "subnet-ipv4-cidr-block": "10.0.1.0/24",
            "vpc-id": "vpc-one",
            "vpc-ipv4-cidr-block": "10.0.0.0/16",
            "vpc-ipv4-cidr-blocks": "10.0.0.0/16",
        }
        assert {path: get(guest, f"{first}/{path}") for path in of_first} == of_first
        listed = get(guest, f"{first}/").splitlines()
        assert listed == sorted(p for p in of_first if not p.startswith("ipv4-associations/1"))
        assert get(guest, f"{second}/device-number") == "1"
        assert "public-ipv4s" not in get(guest, f"{second}/")


@isolated
def test_documents_and_credentials() -> None:
    with up(reference()) as lab:
        guest = Guest(lab.fabric, reference(), "eni-a")
        given = json.loads(get(guest, "iam/security-credentials/proxy"))
        assert given | {"LastUpdated": ""} == {
            "Code": "Success",
            "LastUpdated": "",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIA-proxy",
            "SecretAccessKey": "secret",
            "Token": "for i-a",
            "Expiration": "2030-01-02T03:04:05Z",
        }
        assert json.loads(get(guest, "iam/info"))["InstanceProfileArn"] == PROFILE
        status, body, _ = ask(guest, "/latest/dynamic/instance-identity/document")
        assert (status, json.loads(body)["privateIp"], json.loads(body)["instanceId"]) == (
            200,
            "10.0.1.11",
            "i-a",
        )
        assert ask(guest, "/latest/user-data")[1] == b"#!\0\xff".decode(errors="replace")
        assert ask(guest, "/latest/")[1] == "dynamic\nmeta-data\nuser-data"
        assert ask(guest, "/")[1].splitlines()[-1] == "latest"
        assert ask(guest, "/2021-07-15/meta-data/mac")[1] == "02:00:00:00:10:01"


@isolated
def test_what_an_instance_does_not_have_is_not_there() -> None:
    with up(reference()) as lab:
        b = Guest(lab.fabric, reference(), "eni-b")
        for path in (
            "meta-data/placement/group-name",
            "user-data",
            "meta-data/iam/",
            "meta-data/public-keys/",
            "meta-data/public-ipv4",
        ):
            assert absent(b, path)
        for path in ("meta-data/nothing", "meta-data/instance-id/", "meta-data/instance-id/x", "meta-datax"):
            assert absent(b, path)
        assert ask(b, "/earliest/meta-data/")[0] == 404


@isolated
def test_tokens_are_required_where_the_instance_says_so() -> None:
    with up(instance(reference(), "a", imds_token_required=True)) as lab:
        a, b = Guest(lab.fabric, reference(), "eni-a"), Guest(lab.fabric, reference(), "eni-b")
        path = "/latest/meta-data/instance-id"
        assert ask(a, path)[0] == 401
        assert ask(b, path)[:2] == (200, "i-b")  # optional there
        assert get(a, "instance-id") == "i-a"
        status, token, response = ask(b, "/latest/api/token", "PUT", **{TTL: "60"})
        assert (status, response.getheader(TTL)) == (200, "60")
        assert ask(a, path, **{TOKEN: token})[0] == 401  # another instance's
        for wrong in ("", "x", token[:-2], "ä".encode().decode("latin-1")):
            assert ask(b, path, **{TOKEN: wrong})[0] == 401  # wrong is worse than none


@isolated
def test_a_token_is_given_on_proper_request_only() -> None:
    with up(reference()) as lab:
        a = Guest(lab.fabric, reference(), "eni-a")
        put = "/latest/api/token", "PUT"
        for wrong in ("0", "21601", "-1", "x", "1.5", "", "²"):
            assert ask(a, *put, **{TTL: wrong})[0] == 400
        assert ask(a, *put)[0] == 400
        assert ask(a, *put, **{TTL: "21600"})[0] == 200
        assert ask(a, *put, **{TTL: "60", "X-Forwarded-For": "1.2.3.4"})[0] == 403
        assert ask(a, "/latest/meta-data/", "PUT", **{TTL: "60"})[0] == 405
        for method in ("POST", "DELETE", "PATCH", "OPTIONS"):
            assert ask(a, "/latest/meta-data/", method)[0] == 405
        assert ask(a, "/latest/meta-data/instance-id", "HEAD")[:2] == (200, "")


@isolated
def test_answers_follow_the_world() -> None:
    world = reference()
    with up(world) as lab:
        a = Guest(lab.fabric, world, "eni-a")
        path = f"network/interfaces/macs/{a.eni.mac}/local-ipv4s"
        lab.apply(holding(world, "a", "10.0.1.11", "10.0.1.100", "10.0.1.101"))
        assert get(a, path).splitlines()[-1] == "10.0.1.101"
        lab.apply(with_eni(world, "c", "one", "10.0.1.55"))
        assert (
            get(Guest(lab.fabric, with_eni(world, "c", "one", "10.0.1.55"), "eni-c"), "instance-id") == "i-c"
        )
        lab.apply(change(world, "a", instance_id=None, device_index=None))
        assert absent(a, "meta-data/instance-id")


@isolated
def test_listeners_end_with_their_eni() -> None:
    with up(reference()) as lab:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counted
        for _ in range(3):
            lab.apply(with_eni(reference(), "c", "one", "10.0.1.55"))
            lab.apply(without_eni(with_eni(reference(), "c", "one", "10.0.1.55"), "c"))
        wait_until("no listener is left", lambda: len(os.listdir("/proc/self/fd")) == before)  # noqa: PTH208


@pytest.mark.parametrize("hops", [1, 2, 64])
@isolated
def test_the_token_goes_no_farther_than_the_hop_limit(hops: int) -> None:
    with up(instance(reference(), "a", imds_hop_limit=hops)) as lab:
        a = Guest(lab.fabric, reference(), "eni-a")
        frames = a.packet_socket()
        assert ask(a, "/latest/meta-data/instance-id")[0] == 200
        assert ask(a, "/latest/api/token", "PUT", **{TTL: "60"})[0] == 200
        ttls = {b"SYN": set(), b"200": set(), b"PUT": set()}  # type: dict[bytes, set[int]]
        seen_tokens = 0
        while not seen_tokens:
            frame = frames.recv(9100)
            if frame[12:14] != b"\x08\x00" or frame[26:30] != socket.inet_aton(IMDS):
                continue
            is_token = TTL.lower().encode() in frame.lower()
            seen_tokens += is_token
            kind = b"PUT" if is_token else b"200" if b"200 OK" in frame else b"SYN"
            ttls[kind].add(frame[22])
        assert ttls[b"PUT"] == {hops}
        assert ttls[b"200"] == {64}


@isolated
def test_a_router_s_foreign_sources_get_the_router_s_own_metadata() -> None:
    world = change(reference(), "b", source_dest_check=False)
    with up(world) as lab:
        b = Guest(lab.fabric, world, "eni-b")
        b.take("10.0.1.200")
        assert ask(b, "/latest/meta-data/instance-id", source="10.0.1.200")[1] == "i-b"


def ordinary_user() -> None:
    with up(reference()) as lab:
        assert get(Guest(lab.fabric, reference(), "eni-a"), "instance-id") == "i-a"


test_an_ordinary_user_s_guests_have_metadata_too = isolated_user(ordinary_user)
