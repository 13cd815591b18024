"""A host: an instance at a fixed private address and, with public access, at a fixed public one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.firewall import Group
from components.plan import HostPlan
from components.tags import tagged
from components.vpc import Subnet

ROOT_DISK_GB = 8  # the size of Debian's own image; cannot be less


@dataclass(frozen=True, kw_only=True)
class Image:
    """An AMI. Not pinned: the newest at the time, which hosts that already run do not follow."""

    ami: str
    pinned: bool


@dataclass(frozen=True, kw_only=True)
class LoginKey:
    """The operator's key pair in EC2. Hosts name it, so that another key behind the name replaces no host."""

    name: str
    pair: pulumi.Resource


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where hosts of a kind stand, what they are made from, and who may log in."""

    image: Image
    key: LoginKey
    subnet: Subnet
    group: Group
    public: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """What a host is, and where it stands; `profile` gives it a role, by name; `hooks`: of its instance.

    `any_source`: whether it is made to send with addresses that AWS does not have at it, too. One that is there already
    stays as it was.
    """

    host: HostPlan
    place: Place
    placement_group: pulumi.Input[str] | None = None
    profile: pulumi.Input[str] | None = None
    hooks: pulumi.ResourceHookBinding | None = None
    any_source: bool = False


class Host(pulumi.ComponentResource):
    """One instance: IMDSv2 only, encrypted disk, source/dest check on unless made without.

    Replaced, it is deleted first: its private address can be held by one instance at a time. `reachable` is
    what must exist before the operator's SSH gets through to `ssh_host`.
    """

    plan: HostPlan
    instance: aws.ec2.Instance
    instance_id: pulumi.Output[str]
    ami: pulumi.Output[str]
    ssh_host: pulumi.Output[str]
    reachable: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:host:Host", name, None, opts)
        self.plan = args.host
        self.instance = self._make_instance(name, args)
        self.instance_id, self.ami = self.instance.id, self.instance.ami
        way_in: tuple[pulumi.Resource, ...] = (*args.place.subnet.ready, *args.place.group.rules)
        if args.place.public:
            address, association = self._make_public_address(name, args)
            self.ssh_host, self.reachable = address.public_ip, (*way_in, association)
        else:
            self.ssh_host, self.reachable = pulumi.Output.from_input(str(args.host.address)), way_in
        self.register_outputs({"instanceId": self.instance_id, "sshHost": self.ssh_host})

    def _make_instance(self, name: str, args: HostArgs) -> aws.ec2.Instance:
        tags = tagged(args.place.tags, name, role=args.host.role)
        return aws.ec2.Instance(
            f"{name}-instance",
            ami=args.place.image.ami,
            instance_type=args.host.instance_type,
            subnet_id=args.place.subnet.id,
            private_ip=str(args.host.address),
            vpc_security_group_ids=[args.place.group.id],
            key_name=args.place.key.name,
            placement_group=args.placement_group,
            iam_instance_profile=args.profile,
            source_dest_check=not args.any_source,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,  # the host itself, and no container on it
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=ROOT_DISK_GB, encrypted=True, tags=tags
            ),
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                hooks=args.hooks,
                delete_before_replace=True,
                depends_on=[args.place.key.pair],
                ignore_changes=_left_alone(args) or None,
            ),
        )

    def _make_public_address(self, name: str, args: HostArgs) -> tuple[aws.ec2.Eip, pulumi.Resource]:
        # Elastic, not auto-assigned: it outlives stop, start and replacement (an instance that has a second
        # ENI gets no automatic address at start), so a host's Commands never change because its address did.
        # AWS allows 5 per region until asked for more; `bastion` access needs one or two for any fleet.
        tags = tagged(args.place.tags, name, role=args.host.role)
        address = aws.ec2.Eip(
            f"{name}-address", domain="vpc", tags=tags, opts=pulumi.ResourceOptions(parent=self)
        )
        association = aws.ec2.EipAssociation(
            f"{name}-address-association",
            allocation_id=address.id,
            # By interface: AWS refuses the instance's id once it has a second ENI.
            network_interface_id=self.instance.primary_network_interface_id,
            opts=pulumi.ResourceOptions(
                parent=self, delete_before_replace=True, depends_on=list(args.place.subnet.ready)
            ),
        )
        return address, association


def _left_alone(args: HostArgs) -> list[str]:
    # A new Debian image must not replace a host that carries traffic. Who wants that says so: the setting `ami`
    # pins an image, and the preview of a change of it shows each replacement.
    image = [] if args.place.image.pinned else ["ami"]
    # The provider changes the check by the instance's id, which AWS refuses once there is a second ENI. Made with
    # it off, and never changed. For the others it stays what it is to be: on (ADR 3).
    return [*image, "source_dest_check"] if args.any_source else image
