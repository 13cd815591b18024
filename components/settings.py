"""What the operator writes in `stacks/Pulumi.<stack>.yaml`, as frozen data. Pure: no Pulumi, no I/O.

The field descriptions are the reference of the configuration: JSON schema and messages are made of them.
`load_settings` checks everything, and raises one `ConfigurationError` with all problems.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import Field

from components.instance_types import INSTANCE_TYPES, Architecture, InstanceType
from components.plan import VPC_MTU_BYTES, AccessMode, ApiScheme, ApiWay, Redundancy, TunnelKind
from components.settings_tenant import Tenant
from components.validation import pair, words
from components.validation.checks import cross_problems, doubts
from components.validation.leaf import Group
from components.validation.problem import ConfigurationError, Problem
from components.validation.public_key import PUBLIC_KEY
from components.validation.readers import ADDRESS, BOOLEAN, NETWORK, whole_number
from components.validation.walk import draft_of

__all__ = [
    "ConfigurationError",
    "Problem",
    "Settings",
    "known_instance_types",
    "load_settings",
    "warnings_about",
]

_HOSTS = whole_number(1, 65_531, "what a subnet of AWS can hold")
_MTU = whole_number(1280, VPC_MTU_BYTES, "from what any path carries to what a VPC carries")
_ENIS = whole_number(2, 64, "a host's own and at least one for a tenant")
_ENIS_OF_TENANTS = whole_number(1, 63, "a proxy has an ENI for each")
_ADVERT_MS = whole_number(
    20, 1000, "milliseconds from one advert to the next, which VRRP counts in hundredths of a second", step=10
)
_ENI_ADDRESSES = whole_number(1, 64, "private IPv4 addresses of one ENI")


class Platform(Group):
    """The operator's VPC, in one availability zone."""

    vpc_cidr: Annotated[IPv4Network, NETWORK] = Field(
        description="The operator's network. AWS takes prefixes from /16 to /28.", examples=["192.168.0.0/16"]
    )
    func_subnet: Annotated[IPv4Network, NETWORK] = Field(
        description="Func hosts live here.", examples=["192.168.80.0/24"]
    )
    proxy_subnet: Annotated[IPv4Network, NETWORK] = Field(
        description="Proxies live here, alone: their role may claim any address of this subnet.",
        examples=["192.168.4.0/24"],
    )
    access_subnet: Annotated[IPv4Network, NETWORK] | None = Field(
        default=None,
        description="The bastion and the NAT gateway live here. Only with access.mode bastion.",
        examples=["192.168.0.0/28"],
    )


class FuncHosts(Group):
    """The hosts that run functions."""

    count: Annotated[int, _HOSTS] = Field(
        description="How many; func-0 is the first. Another number touches only the hosts at the end.",
        examples=[1],
    )
    first_address: Annotated[IPv4Address, ADDRESS] = Field(
        description="func-0's address in func_subnet; func-N has the N-th after it.",
        examples=["192.168.80.8"],
    )
    instance_type: Annotated[str, words.INSTANCE_TYPE] = Field(
        description="Its architecture must be that of all other hosts.", examples=["t3.small"]
    )
    pod_cidr: Annotated[IPv4Network, NETWORK] | None = Field(
        default=None,
        description="Kubernetes' pods on func hosts, where ip-masq-agent gives them the tunnel's address: they reach "
        "every tenant whose networks are its own. Absent: only containers on a tenant's bridge reach anything.",
        examples=["10.244.0.0/16"],
    )


class Proxy(Group):
    """The hosts that own a leg in every tenant's subnet."""

    first_address: Annotated[IPv4Address, ADDRESS] = Field(
        description="proxy-0's address in proxy_subnet; proxy-1, of a pair, has the next one.",
        examples=["192.168.4.4"],
    )
    havip: Annotated[IPv4Address, ADDRESS] | None = Field(
        default=None,
        description="The pair's own address in proxy_subnet, the remote of every tunnel: the active proxy claims "
        "it. Only with redundancy pair, and then required.",
        examples=["192.168.4.100"],
    )
    tenants_per_pair: Annotated[int, _ENIS_OF_TENANTS] | None = Field(
        default=None,
        description="How many tenants a pair serves. Those with the indexes 1 to N are on the first one, the next N on "
        "the second, which is made when it has a tenant: proxy-2 and proxy-3, whose addresses follow. Another number "
        "moves tenants from pair to pair, which cuts their connections. Absent: all spare ENIs of the instance type; "
        "with tunnel ipip one.",
        examples=[7],
    )
    advert_ms: Annotated[int, _ADVERT_MS] = Field(
        default=100,
        description="How often the active one of a pair says that it lives, in milliseconds. It is missed after a "
        "little more than three; more of them where machines stand still for that long. A multiple of 10.",
    )
    instance_type: Annotated[str, words.INSTANCE_TYPE] = Field(
        description="Its ENIs but one are the number of tenants that fit on a pair: c6in.large has 3, so 2 tenants.",
        examples=["c6in.large"],
    )


class Api(Group):
    """How proxies reach the EC2 API, by which the active one claims the pair's addresses."""

    way: Annotated[ApiWay, words.API_WAY] = Field(
        description="endpoint: an interface endpoint that the stack makes in proxy_subnet. own: a way of the "
        "operator's, to the addresses that DNS gives.",
        examples=["endpoint"],
    )
    endpoint_address: Annotated[IPv4Address, ADDRESS] | None = Field(
        default=None,
        description="The endpoint's address in proxy_subnet. It is fixed, so that a failover waits for no DNS. "
        "Only with way endpoint, and then required.",
        examples=["192.168.4.200"],
    )
    scheme: Annotated[ApiScheme, words.API_SCHEME] = Field(
        default=ApiScheme.HTTPS,
        description="https, but for a lab whose API has no certificate.",
    )


class Access(Group):
    """How the operator's SSH, and with it the configuration of hosts, gets in."""

    mode: Annotated[AccessMode, words.ACCESS_MODE] = Field(
        description="public: every host has a public address. bastion: only one small host has, and the "
        "others are reached through it.",
        examples=["bastion"],
    )
    operator_cidrs: tuple[Annotated[IPv4Network, NETWORK], ...] = Field(
        description="Where SSH may come from. There is no default; together at most as many addresses as a /8 has.",
        examples=[["203.0.113.7/32"]],
    )
    user: Annotated[str, words.LOGIN] = Field(
        default="admin", description="Login of the image; may use sudo. Debian's is admin."
    )
    public_key: Annotated[str, PUBLIC_KEY] | None = Field(
        default=None,
        description="The operator's public key, ssh-ed25519 or ssh-rsa of at least 2048 bits: the content of a "
        ".pub file. Required; the lab makes its own.",
    )
    bastion_instance_type: Annotated[str, words.INSTANCE_TYPE] | None = Field(
        default=None, description="The bastion's. Only with mode bastion.", examples=["t3.nano"]
    )


class InstanceTypeLimits(Group):
    """An instance type that Causeway does not know, or knows wrongly."""

    architecture: Annotated[Architecture, words.ARCHITECTURE] = Field(
        description="amd64 or arm64.", examples=["amd64"]
    )
    enis: Annotated[int, _ENIS] = Field(
        description="How many ENIs it takes on its first network card (MaximumNetworkInterfaces).",
        examples=[4],
    )
    addresses_per_eni: Annotated[int, _ENI_ADDRESSES] = Field(
        description="How many IPv4 addresses each of them takes (Ipv4AddressesPerInterface).", examples=[15]
    )


class Settings(Group):
    """The whole configuration of a stack. A private key is never part of it."""

    region: Annotated[str, words.REGION] = Field(
        alias="aws:region", description="The AWS region of everything.", examples=["eu-central-1"]
    )
    availability_zone: Annotated[str, words.ZONE] = Field(
        description="The one availability zone of proxies, func hosts and user ENIs: an ENI cannot leave its "
        "zone.",
        examples=["eu-central-1a"],
    )
    account_id: Annotated[str, words.ACCOUNT] | None = Field(
        default=None,
        description="This stack's AWS account, in quotes. Needed where a tenant names its account.",
        examples=["123456789012"],
    )
    redundancy: Annotated[Redundancy, words.REDUNDANCY] = Field(
        default=pair.DEFAULT,
        description="pair: two proxies, and when the active one is lost, connections go on through the other. "
        "single: one proxy, whose loss is an outage until it is back.",
    )
    tunnel: Annotated[TunnelKind, words.TUNNEL] = Field(
        default=TunnelKind.GRE,
        description="What carries packets between func hosts and proxies. gre: with a key per tenant. gre-fou: the "
        "same in UDP, for more than one flow's share of a network card, 5 Gbit/s on AWS. ipip: 8 bytes less than gre "
        "per packet and no key, so one tenant per pair. See docs/tunnels.md.",
    )
    underlay_mtu: Annotated[int, _MTU] = Field(
        default=VPC_MTU_BYTES,
        description="Largest packet between func hosts and proxies, in bytes. The tunnels' is 28 less; with gre-fou "
        "36, with ipip 20.",
    )
    install_packages: Annotated[bool, BOOLEAN] = Field(
        default=True,
        description="Whether hosts install missing Debian packages themselves, from a mirror they can reach.",
    )
    drillable: Annotated[bool, BOOLEAN] = Field(
        default=False,
        description="Whether `python -m ops drill` may break things here on purpose. Not where customers are.",
    )
    ami: Annotated[str, words.AMI] | None = Field(
        default=None,
        description="Image of all hosts, of the instance types' architecture. Absent: the latest Debian 13.",
        examples=["ami-0123456789abcdef0"],
    )
    tags: dict[Annotated[str, words.TAG_KEY], Annotated[str, words.TAG_VALUE]] = Field(
        default={}, description="Tags of every resource, besides the stack's own."
    )
    instance_types: dict[Annotated[str, words.INSTANCE_TYPE], InstanceTypeLimits] = Field(
        default={}, description="Limits of instance types that Causeway does not know."
    )
    platform: Platform = Field(description="The operator's VPC.")
    func_hosts: FuncHosts = Field(description="The hosts that run functions.")
    proxy: Proxy = Field(description="The hosts that own a leg in every tenant's subnet.")
    api: Api | None = Field(
        default=None,
        description="How proxies reach the EC2 API. Only with redundancy pair, and then required.",
    )
    access: Access = Field(description="How the operator's SSH gets in.")
    private_key_file: Annotated[str, words.PATH] | None = Field(
        default=None,
        description="File of the private key that belongs to access.public_key, on the machine that runs "
        "Pulumi. Either this or private_key.",
        examples=["~/.ssh/id_ed25519"],
    )
    private_key_is_set: Annotated[bool, words.SECRET] = Field(
        default=False,
        alias="private_key",
        description="The private key itself, as a secret: pulumi config set --secret causeway:private_key "
        "< KEY_FILE. Either this or private_key_file.",
    )
    tenants: tuple[Tenant, ...] = Field(default=(), description="The customers. Order means nothing.")


def load_settings(config: Mapping[str, object], secret: Collection[str] = frozenset()) -> Settings:
    """Settings from a stack file's `config:`, as plain data; keys of other programs and providers are let be.

    Raises `ConfigurationError` with every problem there is, in the order of the keys. Nothing else is raised,
    whatever the data. Of what stands under `secret` keys of the configuration no message shows a value.
    """
    draft = draft_of(Settings, config, secret)
    problems = draft.in_order((*draft.problems, *cross_problems(draft)))
    if problems:
        raise ConfigurationError(problems)
    return Settings.model_validate(draft.data)


def warnings_about(
    config: Mapping[str, object], secret: Collection[str] = frozenset()
) -> tuple[Problem, ...]:
    """What is allowed but hardly meant, such as a public network range inside."""
    draft = draft_of(Settings, config, secret)
    return draft.in_order(doubts(draft))


def known_instance_types(settings: Settings) -> dict[str, InstanceType]:
    """Causeway's table with the stack's own entries."""
    own = {
        name: InstanceType(limits.architecture, limits.enis, limits.addresses_per_eni)
        for name, limits in settings.instance_types.items()
    }
    return {**INSTANCE_TYPES, **own}
