"""Readers of names and identifiers: what each may look like, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping

from components.instance_types import Architecture
from components.plan import AccessMode, ApiScheme, ApiWay, Redundancy, TunnelKind
from components.validation.leaf import Leaf, MisfitError
from components.validation.readers import choice, text


def _any_case(word: str) -> str:
    """As editors understand it, too, who read these patterns in stacks/schema.json: JavaScript has no (?i:…)."""
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


REGION = text(
    r"[a-z]{2,4}(-[a-z]+)+-[0-9]+", "must be the name of an AWS region", "write it like eu-central-1"
)
ZONE = text(
    r"[a-z]{2,4}(-[a-z]+)+-[0-9]+(-[a-z]+-[0-9]+)?[a-z]",
    "must be the name of an availability zone: the region and a letter",
    "write it like eu-central-1a",
)
INSTANCE_TYPE = text(
    r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "must be the name of an instance type", "write it like c6in.large"
)
VPC_ID = text(r"vpc-[0-9a-f]{8}([0-9a-f]{9})?", "must be a VPC's id", "write it like vpc-0123456789abcdef0")
SUBNET_ID = text(
    r"subnet-[0-9a-f]{8}([0-9a-f]{9})?", "must be a subnet's id", "write it like subnet-0123456789abcdef0"
)
AMI = text(
    r"ami-[0-9a-f]{8}([0-9a-f]{9})?",
    "must be an image's id",
    "write it like ami-0123456789abcdef0, or leave it out for Debian 13",
)
TENANT_NAME = text(
    r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
    "must be 1 to 32 lower-case letters, digits and hyphens, with no hyphen at an end: "
    "it becomes part of host names (RFC 1123)",
    "write it like alpha or customer-7",
)
LOGIN = text(
    r"[a-z_][a-z0-9_-]{0,31}", "must be the name of a Linux user", "write it like admin, the login of Debian"
)
TAG_KEY = text(
    rf"(?!{_any_case('aws')}:)(?!{_any_case('causeway')}:)"
    rf"(?!(?:{'|'.join(map(_any_case, ('name', 'project', 'stack')))})$)[A-Za-z0-9 _.:/=+@-]{{1,128}}",
    "is not for you to set: AWS keeps aws: for itself, Causeway sets Name, Project, Stack and causeway:…, in "
    "whatever case, as IAM makes no difference; other "
    "tag keys are 1 to 128 letters, digits, spaces and _ . : / = + - @",
    "choose another key, such as CostCentre",
)
TAG_VALUE = text(
    r"[A-Za-z0-9 _.:/=+@-]{0,256}",
    "must be a tag's value: at most 256 letters, digits, spaces and _ . : / = + - @",
    "leave other characters out, and put numbers in quotes",
)
PATH = text(r"[^\x00-\x1f]{1,4096}", "must be the path of a file", "write it like ~/.ssh/id_ed25519")

ACCESS_MODE = choice(AccessMode)
ARCHITECTURE = choice(
    Architecture,
    {
        "x86_64": ("must be one of: amd64, arm64 (Debian's names)", "did you mean amd64?"),
        "aarch64": ("must be one of: amd64, arm64 (Debian's names)", "did you mean arm64?"),
    },
)
API_WAY = choice(ApiWay)
API_SCHEME = choice(ApiScheme)
REDUNDANCY = choice(Redundancy)
TUNNEL = choice(TunnelKind)


def _account(value: object) -> str:
    # Unquoted it is a number for YAML; an id that begins with 0 then lost its zeros, and is too short.
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12
    text_ = str(value) if is_number else value
    if not isinstance(text_, str) or not re.fullmatch(r"[0-9]{12}", text_):
        raise MisfitError("must be an AWS account's id: 12 digits", 'write it in quotes, like "123456789012"')
    return text_


def _is_secret(value: object) -> bool:
    """That there is a secret. What it is, is nobody's business here."""
    if isinstance(value, Mapping) and set(value) == {"secure"}:
        return True
    raise MisfitError(
        "must be a secret: this key stands in plain text",
        "replace it by what this sets: pulumi config set --secret causeway:private_key < KEY_FILE",
    )


ACCOUNT = Leaf(_account, {"type": "string", "pattern": "^[0-9]{12}$"})
SECRET = Leaf(
    _is_secret,
    {
        "type": "object",
        "properties": {"secure": {"type": "string"}},
        "required": ["secure"],
        "additionalProperties": False,
    },
)
