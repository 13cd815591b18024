"""The operator's way in: a key pair and, where hosts have no public address, one small bastion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws
from pulumi_command import remote

from components.firewall import Group
from components.host import Host, HostArgs, Image, LoginKey, Place
from components.plan import AccessMode, AccessPlan, HostPlan
from components.previous import Login
from components.tags import tagged
from components.vpc import Subnet
from components.way_in import WayIn

# A host that refuses is given up after about 3 minutes, one that is silent after 6: the slowest first boot takes
# less than either.
DIAL_ERROR_LIMIT = 40  # attempts to connect
PER_DIAL_TIMEOUT_S = 5


@dataclass(frozen=True, kw_only=True)
class OperatorAccessArgs:
    """`bastion`, `subnet` and `group` come together, or not at all. No `private_key`: a preview without it."""

    stack: str
    access: AccessPlan
    private_key: pulumi.Input[str] | None
    image: Image
    bastion: HostPlan | None
    subnet: Subnet | None
    group: Group | None
    tags: Mapping[str, str]


class OperatorAccess(pulumi.ComponentResource):
    """Who may log in to hosts, and by which way."""

    key: LoginKey
    public: bool
    bastion: Host | None
    connections_are_known: bool

    def __init__(
        self, name: str, args: OperatorAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("causeway:access:OperatorAccess", name, None, opts)
        self.user = args.access.user
        self.public = args.access.mode is AccessMode.PUBLIC
        # Without the key nobody connects, and what stands in its place is compared with nothing.
        self.connections_are_known = args.private_key is not None
        self._private_key = pulumi.Output.secret("" if args.private_key is None else args.private_key)
        self.key = self._make_key(name, args)
        self.bastion = self._make_bastion(args)
        self.register_outputs({"bastionHost": self.bastion.ssh_host if self.bastion else None})

    def connection(self, host: Host) -> remote.ConnectionArgs:
        """How a Command reaches a host. Secret as a whole, because it holds the key.

        A changed key or address runs every Command again. That is wanted (the new way in is proven on each
        host) and harmless: a host that is as it should be says `unchanged`.
        """
        return remote.ConnectionArgs(
            host=host.ssh_host,
            user=self.user,
            private_key=self._private_key,
            dial_error_limit=DIAL_ERROR_LIMIT,
            per_dial_timeout=PER_DIAL_TIMEOUT_S,
            proxy=self._proxy(),
        )

    async def way_in(self, host: Host, login: Login | None = None) -> WayIn:
        """For the program itself. `login`: to a host as it was before this update, which may make it another one."""
        via = None if self.bastion is None else self.bastion.ssh_host
        if login is None:
            known = pulumi.Output.all(host.ssh_host, via, self._private_key)
        else:
            known = pulumi.Output.all(login.host, login.via, self._private_key)
        address, bastion, key = await known.future()  # type: ignore[misc]
        user = self.user if login is None else login.user
        return WayIn(host=address, user=user, private_key=key, via=bastion)

    def place(self, image: Image, subnet: Subnet, group: Group, tags: Mapping[str, str]) -> Place:
        """Where hosts stand that this operator may log in to."""
        return Place(image=image, key=self.key, subnet=subnet, group=group, public=self.public, tags=tags)

    def reachable(self, host: Host) -> list[pulumi.Resource]:
        """What must exist before `connection` can succeed."""
        return [*host.reachable, *(self.bastion.reachable if self.bastion else ())]

    def _proxy(self) -> remote.ProxyConnectionArgs | None:
        if self.bastion is None:
            return None
        return remote.ProxyConnectionArgs(
            host=self.bastion.ssh_host,
            user=self.user,
            private_key=self._private_key,
            dial_error_limit=DIAL_ERROR_LIMIT,
            per_dial_timeout=PER_DIAL_TIMEOUT_S,
        )

    def _make_key(self, name: str, args: OperatorAccessArgs) -> LoginKey:
        key_name = f"causeway-{args.stack}"
        pair = aws.ec2.KeyPair(
            f"{name}-key",
            key_name=key_name,
            public_key=args.access.public_key,
            tags=tagged(args.tags, key_name),
            # The name is the same before and after; two of one name cannot exist.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return LoginKey(name=key_name, pair=pair)

    def _make_bastion(self, args: OperatorAccessArgs) -> Host | None:
        if args.bastion is None or args.subnet is None or args.group is None:
            return None
        place = self.place(args.image, args.subnet, args.group, args.tags)
        return Host(
            args.bastion.name,
            HostArgs(host=args.bastion, place=replace(place, public=True)),
            pulumi.ResourceOptions(parent=self),
        )
