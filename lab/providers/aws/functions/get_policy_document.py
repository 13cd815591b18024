"""aws:iam/getPolicyDocument:getPolicyDocument"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import Function, Values
from lab.providers.plugin.schema import Kind, Prop

PRINCIPAL = {"type": Prop(required=True), "identifiers": Prop(kind=Kind.STRINGS, required=True)}
CONDITION = {
    "test": Prop(required=True),
    "variable": Prop(required=True),
    "values": Prop(kind=Kind.STRINGS, required=True),
}
STATEMENT = {
    "sid": Prop(),
    "effect": Prop(default="Allow", one_of=("Allow", "Deny")),
    "actions": Prop(kind=Kind.STRINGS),
    "notActions": Prop(kind=Kind.STRINGS),
    "resources": Prop(kind=Kind.STRINGS),
    "notResources": Prop(kind=Kind.STRINGS),
    "principals": Prop(kind=Kind.OBJECTS, fields=PRINCIPAL),
    "notPrincipals": Prop(kind=Kind.OBJECTS, fields=PRINCIPAL),
    "conditions": Prop(kind=Kind.OBJECTS, fields=CONDITION),
}
LISTS = {
    "actions": "Action",
    "notActions": "NotAction",
    "resources": "Resource",
    "notResources": "NotResource",
}
PRINCIPALS = {"principals": "Principal", "notPrincipals": "NotPrincipal"}


class GetPolicyDocument(Function):
    """Statements as a policy's JSON. Asks nobody."""

    type_name = "aws:iam/getPolicyDocument:getPolicyDocument"
    inputs = {
        "policyId": Prop(),
        "statements": Prop(kind=Kind.OBJECTS, fields=STATEMENT),
        "version": Prop(default="2012-10-17", one_of=("2008-10-17", "2012-10-17")),
    }

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        document = {
            "Version": given["version"],
            **({"Id": given["policyId"]} if "policyId" in given else {}),
            "Statement": [_statement(statement) for statement in given.get("statements", [])],
        }
        text = json.dumps(document, indent=2)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return {
            **given,
            "id": digest,
            "json": text,
            "minifiedJson": json.dumps(document, separators=(",", ":")),
        }


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": given["sid"]} if "sid" in given else {}
    statement["Effect"] = given["effect"]
    statement |= {name: _one_or_more(given[key]) for key, name in LISTS.items() if given.get(key)}
    statement |= {name: _principals(given[key]) for key, name in PRINCIPALS.items() if given.get(key)}
    conditions: dict[str, dict[str, Any]] = {}
    for condition in given.get("conditions", []):
        conditions.setdefault(condition["test"], {})[condition["variable"]] = _one_or_more(
            condition["values"]
        )
    return {**statement, **({"Condition": conditions} if conditions else {})}


def _principals(given: list[Mapping[str, Any]]) -> str | dict[str, Any]:
    if any(principal["type"] == "*" for principal in given):
        return "*"
    return {principal["type"]: _one_or_more(principal["identifiers"]) for principal in given}


def _one_or_more(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values, reverse=True)
