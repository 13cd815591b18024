"""aws:ssm/getParameter:getParameter"""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import Function, Values
from lab.providers.plugin.schema import Kind, Prop
from lab.providers.plugin.values import Secret


class GetParameter(Function):
    """A parameter; `insecureValue` is the same as `value` where it is no SecureString."""

    type_name = "aws:ssm/getParameter:getParameter"
    inputs = {"name": Prop(required=True), "withDecryption": Prop(kind=Kind.BOOL, default=True)}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        name = given["name"]
        answer = aws.call("ssm", "get_parameter", Name=name, WithDecryption=given["withDecryption"])
        parameter = answer["Parameter"]
        return {
            **given,
            "id": name,
            "arn": parameter.get("ARN") or aws.arn("ssm", f"parameter{name}"),
            "region": aws.config.region,
            "type": parameter["Type"],
            "version": parameter["Version"],
            "value": Secret(parameter["Value"]),
            "insecureValue": None if parameter["Type"] == "SecureString" else parameter["Value"],
        }
