"""aws:ec2/getVpc:getVpc"""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import FILTERS, TAG_FILTER, Function, Values, api_filters
from lab.providers.aws.functions.get_subnet import only
from lab.providers.aws.marks import read_tags
from lab.providers.plugin.schema import Kind, Prop


class GetVpc(Function):
    """The one VPC that fits."""

    type_name = "aws:ec2/getVpc:getVpc"
    inputs = {
        **FILTERS,
        **TAG_FILTER,
        "id": Prop(),
        "cidrBlock": Prop(),
        "default": Prop(kind=Kind.BOOL),
        "dhcpOptionsId": Prop(),
        "state": Prop(),
    }

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        filters = api_filters(
            given,
            cidr=given.get("cidrBlock"),
            dhcp_options_id=given.get("dhcpOptionsId"),
            state=given.get("state"),
            is_default=str(given["default"]).lower() if "default" in given else None,
        )
        ids = [given["id"]] if "id" in given else None
        vpc = only("getVpc", aws.ec2("describe_vpcs", VpcIds=ids, Filters=filters)["Vpcs"])
        associations = [
            {
                "associationId": each["AssociationId"],
                "cidrBlock": each["CidrBlock"],
                "state": each.get("CidrBlockState", {}).get("State"),
            }
            for each in vpc.get("CidrBlockAssociationSet", [])
        ]
        return {
            "id": vpc["VpcId"],
            "arn": aws.arn("ec2", f"vpc/{vpc['VpcId']}"),
            "region": aws.config.region,
            "cidrBlock": vpc["CidrBlock"],
            "cidrBlockAssociations": associations,
            "default": vpc.get("IsDefault", False),
            "dhcpOptionsId": vpc.get("DhcpOptionsId"),
            "instanceTenancy": vpc.get("InstanceTenancy"),
            "ownerId": vpc.get("OwnerId") or aws.account,
            "state": vpc.get("State"),
            "tags": read_tags(aws, vpc.get("Tags"))["tags"],
        }
