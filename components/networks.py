"""Which networks the plan asks for, and how each reaches the internet. No resources here."""

from __future__ import annotations

from components.plan import AccessMode, CreatedNetwork, Plan
from components.vpc import Reach, SubnetSpec, VpcArgs

FUNC = "func"
PROXY = "proxy"
ACCESS = "access"
USER = "user"


def platform_vpc(plan: Plan) -> VpcArgs:
    """The operator's network.

    With public access every host has a public address. With a bastion only the access subnet is public; the
    others get a way out, by NAT, only where hosts install packages themselves.
    """
    reach = _host_reach(plan)
    subnets = {
        FUNC: SubnetSpec(cidr=plan.platform.func_subnet, reach=reach),
        PROXY: SubnetSpec(cidr=plan.platform.proxy_subnet, reach=reach),
    }
    if plan.platform.access_subnet is not None:
        subnets[ACCESS] = SubnetSpec(cidr=plan.platform.access_subnet, reach=Reach.PUBLIC)
    return VpcArgs(
        cidr=plan.platform.vpc_cidr,
        availability_zone=plan.availability_zone,
        subnets=subnets,
        nat_subnet=ACCESS if reach is Reach.EGRESS else None,
        nat_address=plan.platform.nat_gateway_address,
        tags=plan.tags,
    )


def user_vpc(plan: Plan, network: CreatedNetwork, tags: dict[str, str]) -> VpcArgs:
    """A tenant network of the stack's own: public only so that the operator reaches the user instance."""
    public = plan.access.mode is AccessMode.PUBLIC
    reach = Reach.PUBLIC if public else Reach.ISOLATED
    return VpcArgs(
        cidr=network.vpc_cidr,
        availability_zone=plan.availability_zone,
        subnets={USER: SubnetSpec(cidr=network.subnet_cidr, reach=reach)},
        nat_subnet=None,
        nat_address=None,
        tags=tags,
    )


def _host_reach(plan: Plan) -> Reach:
    if plan.access.mode is AccessMode.PUBLIC:
        return Reach.PUBLIC
    return Reach.EGRESS if plan.install_packages else Reach.ISOLATED
