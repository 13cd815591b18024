"""What IMDS says about an instance, from the world as it is."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address

from lab.metadata.tree import Directory, Leaf
from lab.world import Eni, Instance, World

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
ARCHITECTURES = {"aarch64": "arm64"}  # the kernel's names → AWS's, where they differ

DIRECTIONS = {  # in a region's name → in its zones' ids
    "north": "n",
    "northeast": "ne",
    "east": "e",
    "southeast": "se",
    "south": "s",
    "west": "w",
    "central": "c",
}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Temporary credentials of a role."""

    access_key_id: str
    secret_access_key: str
    token: str
    expiration: datetime


CredentialsFor = Callable[[str, str], Credentials]  # role, instance id


def root(
    world: World, instance: Instance, credentials_for: CredentialsFor, console_key: str | None = None
) -> Directory:
    """Everything under `/latest`."""
    user_data: dict[str, Directory | Leaf] = {"user-data": instance.user_data} if instance.user_data else {}
    identity = Directory({"document": lambda: identity_document(world, instance)})
    return Directory(
        {
            "dynamic": Directory({"instance-identity": identity}),
            "meta-data": meta_data(world, instance, credentials_for, console_key),
            **user_data,
        },
        slashes=False,
    )


def meta_data(
    world: World, instance: Instance, credentials_for: CredentialsFor, console_key: str | None
) -> Directory:
    """The instance, then its interfaces; what it does not have is not listed."""
    enis = world.enis_of(instance.id)
    optional: dict[str, Directory | Leaf] = {}
    if instance.role is not None:
        optional["iam"] = iam(instance, instance.role, credentials_for)
    keys = {"0": (instance.key_name or "key", instance.public_key), "1": ("console", console_key)}
    given = {index: (name, key.strip()) for index, (name, key) in keys.items() if key is not None}
    if given:
        optional["public-keys"] = Directory(
            {index: Directory({"openssh-key": key}) for index, (_, key) in given.items()},
            labels={index: name for index, (name, _) in given.items()},
        )
    macs = {eni.mac: interface(world, eni) for eni in enis}
    entries: dict[str, Directory | Leaf] = {
        "ami-id": instance.image_id,
        "ami-launch-index": "0",
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.instance_type,
        "network": Directory(
            {"interfaces": Directory({"macs": Directory({m: Directory(of) for m, of in macs.items()})})}
        ),
        "placement": placement(world, instance),
        "services": Directory({"domain": "amazonaws.com", "partition": "aws"}),
        **optional,
        **(primary(world, enis[0]) if enis else {}),
    }
    return Directory(dict(sorted(entries.items())))


def primary(world: World, eni: Eni) -> dict[str, Directory | Leaf]:
    """What the instance is said to have, and its first interface has."""
    name = host_name(world, eni.private_ips[0])
    public = eni.public_ips.get(eni.private_ips[0])
    return {
        "hostname": name,
        "local-hostname": name,
        "local-ipv4": str(eni.private_ips[0]),
        "mac": eni.mac,
        "security-groups": group_names(world, eni),
        **({"public-ipv4": str(public)} if public else {}),
    }


def interface(world: World, eni: Eni) -> dict[str, Directory | Leaf]:
    """One interface, by its MAC."""
    vpc, subnet = world.vpcs[eni.vpc_id], world.subnets[eni.subnet_id]
    publics: dict[str, Directory | Leaf] = {}
    if eni.public_ips:
        publics["ipv4-associations"] = Directory({str(pub): str(own) for own, pub in eni.public_ips.items()})
        publics["public-ipv4s"] = lines(eni.public_ips.values())
    entries = {
        "device-number": str(eni.device_index or 0),
        "interface-id": eni.id,
        "local-hostname": host_name(world, eni.private_ips[0]),
        "local-ipv4s": lines(eni.private_ips),
        "mac": eni.mac,
        "owner-id": world.account_id,
        "security-group-ids": lines(eni.group_ids),
        "security-groups": group_names(world, eni),
        "subnet-id": subnet.id,
        "subnet-ipv4-cidr-block": str(subnet.cidr),
        "vpc-id": vpc.id,
        "vpc-ipv4-cidr-block": str(vpc.cidrs[0]),
        "vpc-ipv4-cidr-blocks": lines(vpc.cidrs),
        **publics,
    }
    return dict(sorted(entries.items()))


def group_names(world: World, eni: Eni) -> str:
    """Of the interface's security groups, one per line."""
    return lines(world.security_groups[group].name for group in eni.group_ids)


def placement(world: World, instance: Instance) -> Directory:
    """Where it runs."""
    group = instance.placement_group
    return Directory(
        {
            "availability-zone": instance.availability_zone,
            "availability-zone-id": zone_id(instance.availability_zone),
            **({"group-name": group} if group else {}),
            "region": world.region,
        }
    )


def iam(instance: Instance, role: str, credentials_for: CredentialsFor) -> Directory:
    """The role, and on request credentials for it."""

    def info() -> str:
        return pretty({"Code": "Success", "LastUpdated": now(), "InstanceProfileArn": instance.profile_arn})

    def credentials() -> str:
        made = credentials_for(role, instance.id)
        return pretty(
            {
                "Code": "Success",
                "LastUpdated": now(),
                "Type": "AWS-HMAC",
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret_access_key,
                "Token": made.token,
                "Expiration": made.expiration.astimezone(UTC).strftime(TIME_FORMAT),
            }
        )

    return Directory({"info": info, "security-credentials": Directory({role: credentials})})


def identity_document(world: World, instance: Instance) -> str:
    """The instance identity document, unsigned."""
    enis = world.enis_of(instance.id)
    return pretty(
        {
            "accountId": world.account_id,
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "availabilityZone": instance.availability_zone,
            "imageId": instance.image_id,
            "instanceId": instance.id,
            "instanceType": instance.instance_type,
            "privateIp": str(enis[0].private_ips[0]) if enis else None,
            "region": world.region,
            "version": "2017-09-30",
        }
    )


def host_name(world: World, address: IPv4Address) -> str:
    """AWS's private DNS name of an address."""
    domain = "ec2.internal" if world.region == "us-east-1" else f"{world.region}.compute.internal"
    return f"ip-{str(address).replace('.', '-')}.{domain}"


def zone_id(zone: str) -> str:
    """A zone's id in the form of AWS's: us-east-1a → use1-az1."""
    region, letter = zone[:-1], zone[-1]
    for direction, short in DIRECTIONS.items():
        region = region.replace(f"-{direction}-", short)
    return f"{region}-az{ord(letter) - ord('a') + 1}"


def lines(items: Iterable[object]) -> str:
    """One item per line."""
    return "\n".join(map(str, items))


def pretty(document: dict[str, str | None]) -> str:
    """JSON as IMDS lays it out."""
    return json.dumps(document, indent=2)


def now() -> str:
    """This moment, as IMDS writes times."""
    return datetime.now(UTC).strftime(TIME_FORMAT)
