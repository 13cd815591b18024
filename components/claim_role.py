"""What a proxy may ask of AWS: nothing, but to move a pair's addresses to its own interfaces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.replacement import MARK
from components.tags import tagged

ACTION = "ec2:AssignPrivateIpAddresses"
_ASSUME = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True, kw_only=True)
class ClaimRoleArgs:
    """Whose role. `instance`: a mark of what its instance is made from; `hooks`: of the role, for when that changes.

    `after`: what has to be there ahead of a change.
    """

    proxy_name: str
    instance: str
    hooks: pulumi.ResourceHookBinding | None
    after: Sequence[pulumi.Resource]
    tags: Mapping[str, str]


class ClaimRole(pulumi.ComponentResource):
    """A proxy's role, in a profile for its instance. It may do nothing until `allow` is called.

    A single proxy has one too: AWS takes its time to give a running instance the credentials of its first role.
    The instance waits for its role, so what runs ahead of a change of the role runs ahead of one of the instance.
    """

    profile_name: pulumi.Output[str]

    def __init__(self, name: str, args: ClaimRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:ClaimRole", name, None, opts)
        self._name = name
        tags = tagged(args.tags, args.proxy_name)
        child = pulumi.ResourceOptions(parent=self)
        self._role = aws.iam.Role(
            f"{name}-role",
            description=f"Causeway: {args.proxy_name} claims the addresses of its pair",
            assume_role_policy=json.dumps(_ASSUME),
            tags={**tags, MARK: args.instance},
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks, depends_on=list(args.after)),
        )
        profile = aws.iam.InstanceProfile(f"{name}-profile", role=self._role.name, tags=tags, opts=child)
        self.profile_name = profile.name
        self.register_outputs({"profileName": self.profile_name})

    def allow(self, name: str, eni: pulumi.Output[str], *, after: pulumi.Resource) -> pulumi.Resource:
        """Let it claim addresses for the interface with this ARN, for the tenant of this name, or the platform.

        Another interface's turn comes `after`: until then the proxy needs the right to the one that it has.

        A policy for each: one that is changed in place would take a right away before the proxy is told that it does
        not need it any more, and refused claims have a pair change sides. One that is removed goes after all else.

        AWS has no condition on the address: any of the interface's subnet can be claimed that is nobody's primary
        one. That is why proxies have a subnet of their own.
        """
        statement = {"Effect": "Allow", "Action": ACTION, "Resource": eni}
        policy: pulumi.Resource = aws.iam.RolePolicy(
            f"{self._name}-claims-{name}",
            role=self._role.name,
            policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[after]),
        )
        return policy
