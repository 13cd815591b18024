"""aws:ec2/getSubnet:getSubnet"""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import FILTERS, TAG_FILTER, Function, Values, api_filters
from lab.providers.aws.marks import read_tags
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.schema import Kind, Prop


class GetSubnet(Function):
    """The one subnet that fits."""

    type_name = "aws:ec2/getSubnet:getSubnet"
    inputs = {
        **FILTERS,
        **TAG_FILTER,
        "id": Prop(),
        "vpcId": Prop(),
        "cidrBlock": Prop(),
        "availabilityZone": Prop(),
        "availabilityZoneId": Prop(),
        "defaultForAz": Prop(kind=Kind.BOOL),
        "state": Prop(),
    }

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        filters = api_filters(
            given,
            vpc_id=given.get("vpcId"),
            cidr_block=given.get("cidrBlock"),
            availability_zone=given.get("availabilityZone"),
            availability_zone_id=given.get("availabilityZoneId"),
            state=given.get("state"),
            default_for_az=str(given["defaultForAz"]).lower() if "defaultForAz" in given else None,
        )
        ids = [given["id"]] if "id" in given else None
        subnet = only("getSubnet", aws.ec2("describe_subnets", SubnetIds=ids, Filters=filters)["Subnets"])
        return {
            "id": subnet["SubnetId"],
            "arn": subnet.get("SubnetArn") or aws.arn("ec2", f"subnet/{subnet['SubnetId']}"),
            "region": aws.config.region,
            "vpcId": subnet["VpcId"],
            "cidrBlock": subnet["CidrBlock"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet.get("AvailabilityZoneId"),
            "availableIpAddressCount": subnet.get("AvailableIpAddressCount"),
            "defaultForAz": subnet.get("DefaultForAz", False),
            "mapPublicIpOnLaunch": subnet.get("MapPublicIpOnLaunch", False),
            "ownerId": subnet.get("OwnerId") or aws.account,
            "state": subnet.get("State"),
            "tags": read_tags(aws, subnet.get("Tags"))["tags"],
        }


def only(function: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The one of them; none, or more than one, is an error, in the real plugin's words."""
    if not found:
        raise ProviderError(f"{function}: no matching object found")
    if len(found) > 1:
        raise ProviderError(f"{function}: {len(found)} objects match; use additional constraints")
    return found[0]
