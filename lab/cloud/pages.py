"""Pages of listings: `MaxResults` and `NextToken` of whichever call has them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from moto.core.model import OperationModel

from lab.cloud.errors import ec2_error, invalid_value

Json = Any
EITHER_OR = {  # calls in which MaxResults and the naming of things exclude each other
    "DescribeInstances": "InstanceIds",
    "DescribeInstanceStatus": "InstanceIds",
    "DescribeNetworkInterfaces": "NetworkInterfaceIds",
}
MOST = 1000
MARK = "after:"


def page(
    operation: OperationModel, params: Mapping[str, Json], result: Mapping[str, Json]
) -> Mapping[str, Json]:
    """The part of an answer that is asked for; everything is where the caller gives no limit."""
    most, token = params.get("MaxResults"), params.get("NextToken")
    shape = operation.output_shape
    if (most is None and token is None) or shape is None or "NextToken" not in shape.members:
        return result
    if "NextToken" in result:  # the call has made its own pages
        return result
    listed = next(
        (n for n, member in shape.members.items() if member.type_name == "list" and n in result), None
    )
    if listed is None:
        return result
    things = list(result[listed])
    first = _place(token, len(things)) if token else 0
    last = len(things) if most is None else first + _limit(operation, params, int(most))
    following = _token(last) if last < len(things) else None
    return {**result, listed: things[first:last], "NextToken": following}


def _limit(operation: OperationModel, params: Mapping[str, Json], most: int) -> int:
    named = EITHER_OR.get(operation.name)
    if named is not None and params.get(named):
        raise ec2_error(
            "InvalidParameterCombination",
            f"The parameter {named} cannot be used with the parameter maxResults",
        )
    about = operation.input_shape.members["MaxResults"].metadata if operation.input_shape else {}
    least, limit = int(about.get("min", 1)), int(about.get("max", MOST))
    if not least <= most:
        raise invalid_value(
            f"Value ( {most} ) for parameter maxResults is invalid. Expecting a value of at least {least}."
        )
    return min(most, limit)


def _token(place: int) -> str:
    return urlsafe_b64encode(f"{MARK}{place}".encode()).decode()


def _place(token: str, count: int) -> int:
    try:
        mark, _, place = urlsafe_b64decode(token.encode()).decode().partition(":")
        if f"{mark}:" == MARK and 0 < int(place) <= MOST * MOST:
            return min(int(place), count)  # things may have gone since
    except ValueError:
        pass
    raise ec2_error("InvalidNextToken", "The token is not one that this call gave")
