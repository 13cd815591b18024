"""Small worlds for tests of the fabric and of IMDS, and one change at a time to them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from lab.world import (
    Eni,
    Instance,
    InstanceState,
    Route,
    RouteTarget,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    World,
)

ALL = Rule(protocol=-1, cidr=IPv4Network("0.0.0.0/0"))
EVERYWHERE = IPv4Network("0.0.0.0/0")


def with_vpc(
    world: World, name: str, cidr: str = "10.0.0.0/16", subnet: str = "10.0.1.0/24", *, internet: bool = True
) -> World:
    """Add `vpc-name` with `subnet-name` and the group `sg-name`, which lets everything pass."""
    routes = [Route(destination=IPv4Network(cidr), target=RouteTarget.LOCAL)]
    if internet:
        routes.append(Route(destination=EVERYWHERE, target=RouteTarget.INTERNET, target_id="igw-1"))
    vpc = Vpc(id=f"vpc-{name}", cidrs=(IPv4Network(cidr),))
    made = Subnet(
        id=f"subnet-{name}",
        vpc_id=vpc.id,
        cidr=IPv4Network(subnet),
        availability_zone="us-east-1a",
        routes=tuple(routes),
    )
    group = SecurityGroup(id=f"sg-{name}", name=name, vpc_id=vpc.id, ingress=(ALL,), egress=(ALL,))
    return replace(
        world,
        vpcs=world.vpcs | {vpc.id: vpc},
        subnets=world.subnets | {made.id: made},
        security_groups=world.security_groups | {group.id: group},
    )


def with_eni(world: World, name: str, vpc: str, *addresses: str, public: str = "", groups: str = "") -> World:
    """Add `eni-name`, attached to `i-name`; `public` belongs to the first address."""
    private = tuple(IPv4Address(address) for address in addresses)
    eni = Eni(
        id=f"eni-{name}",
        mac=f"02:00:00:00:10:{len(world.enis) + 1:02x}",
        vpc_id=f"vpc-{vpc}",
        subnet_id=f"subnet-{vpc}",
        private_ips=private,
        public_ips={private[0]: IPv4Address(public)} if public else {},
        group_ids=(groups or f"sg-{vpc}",),
        instance_id=f"i-{name}",
        device_index=0,
    )
    instance = Instance(
        id=f"i-{name}",
        state=InstanceState.RUNNING,
        name=name,
        image_id="ami-1",
        instance_type="t3.small",
        availability_zone="us-east-1a",
    )
    return replace(
        world, enis=world.enis | {eni.id: eni}, instances=world.instances | {instance.id: instance}
    )


def with_group(
    world: World, group: str, vpc: str, ingress: tuple[Rule, ...] = (), egress: tuple[Rule, ...] = ()
) -> World:
    """Add or change a security group."""
    made = SecurityGroup(
        id=group, name=group.removeprefix("sg-"), vpc_id=f"vpc-{vpc}", ingress=ingress, egress=egress
    )
    return replace(world, security_groups=world.security_groups | {group: made})


def with_routes(world: World, vpc: str, *routes: Route) -> World:
    """Replace the routes of `subnet-vpc`."""
    subnet = replace(world.subnets[f"subnet-{vpc}"], routes=routes)
    return replace(world, subnets=world.subnets | {subnet.id: subnet})


def change(world: World, name: str, **changes: object) -> World:
    """Change fields of `eni-name`."""
    eni = replace(world.enis[f"eni-{name}"], **changes)  # type: ignore[arg-type]
    return replace(world, enis=world.enis | {eni.id: eni})


def holding(world: World, name: str, *addresses: str) -> World:
    """Set the private addresses of `eni-name`."""
    return change(world, name, private_ips=tuple(IPv4Address(address) for address in addresses))


def without_eni(world: World, name: str) -> World:
    """Remove `eni-name` and its instance."""
    return replace(
        world,
        enis={id_: eni for id_, eni in world.enis.items() if id_ != f"eni-{name}"},
        instances={id_: one for id_, one in world.instances.items() if id_ != f"i-{name}"},
    )
