"""aws:index/getCallerIdentity, getRegion and getPartition: who asks, and where."""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import Function, Values
from lab.providers.plugin.schema import Prop


class GetCallerIdentity(Function):
    """The account and its user."""

    type_name = "aws:index/getCallerIdentity:getCallerIdentity"
    inputs = {"id": Prop()}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        who = aws.call("sts", "get_caller_identity")
        return {"id": who["Account"], "accountId": who["Account"], "arn": who["Arn"], "userId": who["UserId"]}


class GetRegion(Function):
    """The region that the provider works in."""

    type_name = "aws:index/getRegion:getRegion"
    inputs = {"id": Prop(), "name": Prop()}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        region = given.get("region") or given.get("name") or aws.config.region
        return {
            "id": region,
            "name": region,
            "region": region,
            "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com",
        }


class GetPartition(Function):
    """Always the commercial one."""

    type_name = "aws:index/getPartition:getPartition"
    inputs = {"id": Prop()}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        return {
            "id": "aws",
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "reverseDnsPrefix": "com.amazonaws",
        }
