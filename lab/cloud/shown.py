"""Answers of EC2 that are plain data in the API's own shape.

moto looks for every member of a shape under several names in objects of several kinds, which takes most of a
call's time. Here a name is right or the answer fails.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from moto.core.model import ListShape, Shape, StructureShape
from moto.core.responses import ActionContext, ActionResult
from moto.utilities.aws_headers import gen_amzn_requestid_long

Json = Any

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Shown(ActionResult):
    """Keys are the names that boto3 has; None is left out."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        super().__init__(result)
        self._view = result

    def execute_result(self, context: ActionContext) -> Json:
        """Status, headers, body."""
        shape = context.operation_model.output_shape
        inner = "".join(_members(shape, self._view)) if isinstance(shape, StructureShape) else ""
        root = f"{context.operation_model.name}Response"
        request = f"<requestId>{gen_amzn_requestid_long()}</requestId>"
        return 200, {"Content-Type": "text/xml"}, f'<{root} xmlns="{NAMESPACE}">{request}{inner}</{root}>'


def _members(shape: StructureShape, view: Mapping[str, Any]) -> Iterator[str]:
    members: Mapping[str, Any] = shape.members
    for name, value in view.items():
        if name not in members:
            raise TypeError(f"{shape.name} has no member {name}")
        if value is not None:
            yield _element(str(members[name].serialization.get("name", name)), members[name], value)


def _element(tag: str, shape: Shape, value: Json) -> str:
    return f"<{tag}>{_text(shape, value)}</{tag}>"


def _text(shape: Shape, value: Json) -> str:
    if isinstance(shape, StructureShape):
        return "".join(_members(shape, value))
    if isinstance(shape, ListShape):
        member: Any = shape.member
        tag = str(member.serialization.get("name", "member"))
        return "".join(_element(tag, member, item) for item in value)
    match shape.type_name:
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            return _time(value)
        case "blob":
            return b64encode(value if isinstance(value, bytes) else str(value).encode()).decode()
    return escape(str(value))


def _time(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
