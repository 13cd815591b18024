"""Who calls: the operator's key, and temporary credentials of instance roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moto.core.utils import utcnow
from moto.iam.exceptions import NotFoundException
from moto.iam.models import AccessKey, IAMBackend, iam_backends
from moto.sts.models import AssumedRole, STSBackend, sts_backends
from moto.utilities.utils import get_partition

from lab.cloud.principals import Principal, of_session, of_user
from lab.errors import LabError

OPERATOR = "operator"
LIFETIME = timedelta(hours=6)  # as EC2's own; IMDS has new ones an hour before the end
RENEW_BEFORE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class RoleCredentials:
    """What IMDS hands to an instance: calls signed with them are the role's, in the instance's session."""

    access_key_id: str
    secret_access_key: str
    token: str
    issued: datetime
    expiration: datetime
    arn: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a call is to be signed with; a role session's has a token and an end."""

    secret: str
    token: str = ""
    expiration: datetime | None = None


class Identities:
    """Credentials that moto knows."""

    def __init__(self, account_id: str, region: str) -> None:
        self._account_id = account_id
        self._region = region
        self._partition = get_partition(region)
        self._roles: dict[tuple[str, str], RoleCredentials] = {}

    def operator_key(self) -> AccessKey:
        """A key pair of an IAM user, made for this lab."""
        self._iam().create_user(self._region, OPERATOR)
        return self._iam().create_access_key(OPERATOR)

    def of_role(self, role: str, instance_id: str) -> RoleCredentials:
        """Valid for at least an hour; raises LabError where there is no such role."""
        try:
            arn = self._iam().get_role(role).arn
        except NotFoundException as error:
            raise LabError(
                f"there is no IAM role {role!r}", hint="create it, or take it out of the instance profile"
            ) from error
        now = datetime.now(UTC)
        known = self._roles.get((role, instance_id))
        if known is None or known.expiration - now < RENEW_BEFORE:
            self._roles[role, instance_id] = known = self._assume(arn, instance_id, now)
        return known

    def arn_of(self, access_key_id: str) -> str:
        """Who signs with this key."""
        _user_id, arn, _account_id = self._sts().get_caller_identity(access_key_id, self._region)
        return arn

    def key(self, access_key_id: str) -> Key | None:
        """Of a role session or of an IAM user; None: there is no such key, or it is switched off."""
        session = self._sts().get_assumed_role_from_access_key(access_key_id)
        if session is not None:
            return Key(
                secret=session.secret_access_key,
                token=session.session_token,
                expiration=session.expiration.replace(tzinfo=UTC),  # moto's times are naive, in UTC
            )
        own = self._iam().access_keys.get(access_key_id)
        if own is None or own.user_name is None or own.status != "Active":
            return None
        return Key(secret=own.secret_access_key)

    def principal(self, access_key_id: str) -> Principal | None:
        """Whose policies decide about calls that are signed with a key; None: the operator, who may do everything."""
        session = self._sts().get_assumed_role_from_access_key(access_key_id)
        if session is not None:
            instance = next(
                (i for (_, i), k in self._roles.items() if k.access_key_id == access_key_id), None
            )
            place = f"{self._partition}:ec2:{self._region}:{self._account_id}"
            return of_session(self._iam(), session, instance and f"arn:{place}:instance/{instance}")
        name = self._iam().access_keys[access_key_id].user_name
        return None if name == OPERATOR else of_user(self._iam(), self._iam().get_user(str(name)))

    def _assume(self, role_arn: str, instance_id: str, now: datetime) -> RoleCredentials:
        sts = self._sts()
        sts.assumed_roles[:] = [role for role in sts.assumed_roles if not _over(role)]
        assumed = sts.assume_role(
            self._region,
            instance_id,
            role_arn,
            policy="",
            duration=int(LIFETIME.total_seconds()),
            external_id="",
        )
        return RoleCredentials(
            access_key_id=assumed.access_key_id,
            secret_access_key=assumed.secret_access_key,
            token=assumed.session_token,
            issued=now,
            expiration=now + LIFETIME,
            arn=assumed.arn,
        )

    def _iam(self) -> IAMBackend:
        return iam_backends[self._account_id][self._partition]

    def _sts(self) -> STSBackend:
        return sts_backends[self._account_id][self._partition]


def _over(role: AssumedRole) -> bool:
    return role.expiration < utcnow()
