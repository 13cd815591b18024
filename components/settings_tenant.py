"""The part of the settings that describes one customer."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import ConfigDict, Field

from components.validation import words
from components.validation.leaf import Group
from components.validation.readers import ADDRESS, NETWORK, whole_number

_INDEX = whole_number(1, 999_999_999, "it is the GRE key, and part of device names")


class CreatedTenant(Group):
    """A user VPC that the stack makes itself, with one user instance."""

    vpc_cidr: Annotated[IPv4Network, NETWORK] = Field(
        description="The user VPC. AWS takes prefixes from /16 to /28.", examples=["172.16.0.0/16"]
    )
    subnet_cidr: Annotated[IPv4Network, NETWORK] = Field(
        description="The user subnet, inside vpc_cidr; the user ENI and the user instance live here.",
        examples=["172.16.101.0/24"],
    )
    instance_address: Annotated[IPv4Address, ADDRESS] = Field(
        description="The user instance's address in subnet_cidr.", examples=["172.16.101.4"]
    )
    instance_type: Annotated[str, words.INSTANCE_TYPE] = Field(
        description="The user instance's.", examples=["t3.small"]
    )


class Overlay(Group):
    """The addresses inside a tenant's tunnels; nothing else may use them."""

    cidr: Annotated[IPv4Network, NETWORK] = Field(
        description="The tenant's overlay. It overlaps nothing that func hosts reach, and no other overlay.",
        examples=["10.0.0.0/24"],
    )
    proxy: Annotated[IPv4Address, ADDRESS] = Field(description="The proxy's address.", examples=["10.0.0.4"])
    first_func: Annotated[IPv4Address, ADDRESS] = Field(
        description="func-0's address; the others follow upward and skip the proxy's.", examples=["10.0.0.3"]
    )


class Tenant(Group):
    """A customer: made by the stack (`create`), or existing (`vpc_id` and `subnet_id` or `subnet_ids`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["create"]},
                {"required": ["vpc_id", "subnet_id"]},
                {"required": ["vpc_id", "subnet_ids"]},
            ]
        }
    )

    name: Annotated[str, words.TENANT_NAME] = Field(
        description="Part of the namespace tenant-NAME and the user instance user-NAME.", examples=["alpha"]
    )
    index: Annotated[int, _INDEX] = Field(
        description="GRE key and suffix of device names; says which pair serves the tenant (proxy.tenants_per_pair). "
        "Never changes: for another one remove the tenant, run up, and add it again.",
        examples=[1],
    )
    create: CreatedTenant | None = Field(
        default=None, description="Make the user VPC (lab, dev). Not together with vpc_id."
    )
    vpc_id: Annotated[str, words.VPC_ID] | None = Field(
        default=None,
        description="The existing user VPC; nothing of it is changed.",
        examples=["vpc-0123456789abcdef0"],
    )
    subnet_id: Annotated[str, words.SUBNET_ID] | None = Field(
        default=None,
        description="Its subnet, in the stack's availability zone, where the user ENI is made.",
        examples=["subnet-0123456789abcdef0"],
    )
    subnet_ids: tuple[Annotated[str, words.SUBNET_ID], ...] = Field(
        default=(),
        description="Instead of subnet_id: several of its subnets, of which the first is taken that is in the stack's "
        "zone and has room for havip and user_eni_address. A new one goes to the end: another choice is another ENI.",
        examples=[["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]],
    )
    account_id: Annotated[str, words.ACCOUNT] | None = Field(
        default=None,
        description="Account of the user VPC, in quotes; must be the stack's own. Absent: taken to be that.",
        examples=["123456789012"],
    )
    availability_zone: Annotated[str, words.ZONE] | None = Field(
        default=None,
        description="The user subnet's zone; must be the stack's own. Absent: taken to be that.",
        examples=["eu-central-1a"],
    )
    cidrs: tuple[Annotated[IPv4Network, NETWORK], ...] = Field(
        description="What func hosts reach through the tunnel.", examples=[["172.16.101.0/24"]]
    )
    user_eni_address: Annotated[IPv4Address, ADDRESS] | None = Field(
        default=None,
        description="Address of proxy-0's ENI in the user subnet; proxy-1's, of a pair, is the next one. Absent: AWS "
        "chooses, or with create the last free ones.",
        examples=["172.16.101.10"],
    )
    havip: Annotated[IPv4Address, ADDRESS] | None = Field(
        default=None,
        description="The pair's own address in the user subnet, which connections come from: the active proxy "
        "claims it, so nothing else may have it. Only with redundancy pair; absent, with create: one near the "
        "subnet's end.",
        examples=["172.16.101.100"],
    )
    overlay: Overlay = Field(description="The addresses inside the tunnels.")
    container_cidr: Annotated[IPv4Network, NETWORK] | None = Field(
        default=None,
        description="Its containers on func hosts have addresses of this range, the same on every host, and hang on "
        "the bridge cw-NAME there (of a name longer than 12 characters the first 6, and 5 of its SHA-256), which has "
        "the first one. Nothing else may use it; a /20 at widest. Absent: the tenant has no containers.",
        examples=["10.88.0.0/24"],
    )
