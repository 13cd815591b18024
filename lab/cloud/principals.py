"""Who calls, as IAM sees it: whose policies decide, and what conditions can ask about the caller."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from moto.iam.models import IAMBackend, Role, User
from moto.sts.models import AssumedRole

from lab.cloud.policy import Call, Decision, decide

Json = Any
Documents = Sequence[Mapping[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A caller. Each of `layers` must allow a call: own policies, and where there are, a boundary, the session's."""

    arn: str
    keys: Mapping[str, Sequence[str]]  # condition keys
    layers: Sequence[Documents]

    def may(self, call: Call) -> bool:
        """Whether the call, which has the caller's own keys among its own, is allowed."""
        return all(decide(layer, call) is Decision.ALLOW for layer in self.layers)


def of_session(iam: IAMBackend, session: AssumedRole, instance_arn: str | None) -> Principal:
    """A role session; one of a role that is gone may do nothing. `instance_arn`: whose IMDS gave it out."""
    role = next((role for role in iam.get_roles() if role.arn == session.role_arn), None)
    layers = [[], []] if role is None else [_own(role), *_boundary(iam, role.permissions_boundary_arn)]
    if session.policy:
        layers.append([json.loads(session.policy)])
    return Principal(
        arn=session.arn,
        keys={
            "aws:PrincipalArn": [session.role_arn],
            "aws:PrincipalAccount": [session.account_id],
            "aws:PrincipalType": ["AssumedRole"],
            "aws:userid": [session.user_id],
            "ec2:SourceInstanceARN": [instance_arn] if instance_arn else [],
            **{f"aws:PrincipalTag/{tag['Key']}": [tag["Value"]] for tag in (role.tags if role else [])},
        },
        layers=layers,
    )


def of_user(iam: IAMBackend, user: User) -> Principal:
    """An IAM user, with the policies of the groups that it is in."""
    groups = [group for group in iam.list_groups() if user in group.users]
    return Principal(
        arn=user.arn,
        keys={
            "aws:PrincipalArn": [user.arn],
            "aws:PrincipalAccount": [user.account_id],
            "aws:PrincipalType": ["User"],
            "aws:userid": [user.id],
            "aws:username": [user.name],
            "ec2:SourceInstanceARN": [],
        },
        layers=[list(chain.from_iterable(_own(holder) for holder in (user, *groups)))],
    )


def _own(holder: Role | User | Json) -> list[Json]:
    inline = [_parsed(document) for document in holder.policies.values()]
    return [*inline, *(_current(policy) for policy in holder.managed_policies.values())]


def _boundary(iam: IAMBackend, arn: str | None) -> Iterable[list[Json]]:
    if arn:
        yield [_current(iam.managed_policies[arn])] if arn in iam.managed_policies else []


def _current(policy: Json) -> Json:
    version = policy.default_version_id
    return next(_parsed(v.document) for v in policy.versions if v.version_id == version)


def _parsed(document: Json) -> Json:
    return json.loads(document) if isinstance(document, str) else document
