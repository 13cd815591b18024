"""aws:ec2/getNetworkInterface:getNetworkInterface, and the plural of it"""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import FILTERS, TAG_FILTER, Function, Values, api_filters
from lab.providers.aws.functions.get_subnet import only
from lab.providers.aws.marks import read_tags
from lab.providers.plugin.schema import Prop


class GetNetworkInterface(Function):
    """The one network interface that fits."""

    type_name = "aws:ec2/getNetworkInterface:getNetworkInterface"
    inputs = {**FILTERS, **TAG_FILTER, "id": Prop()}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        ids = [given["id"]] if "id" in given else None
        found = aws.ec2("describe_network_interfaces", NetworkInterfaceIds=ids, Filters=api_filters(given))
        eni = only("getNetworkInterface", found["NetworkInterfaces"])
        return {
            "id": eni["NetworkInterfaceId"],
            "arn": aws.arn("ec2", f"network-interface/{eni['NetworkInterfaceId']}"),
            "region": aws.config.region,
            "availabilityZone": eni.get("AvailabilityZone"),
            "description": eni.get("Description", ""),
            "interfaceType": eni.get("InterfaceType"),
            "macAddress": eni["MacAddress"],
            "ownerId": eni.get("OwnerId") or aws.account,
            "privateIp": eni["PrivateIpAddress"],
            "privateIps": [address["PrivateIpAddress"] for address in eni["PrivateIpAddresses"]],
            "securityGroups": [group["GroupId"] for group in eni["Groups"]],
            "subnetId": eni["SubnetId"],
            "vpcId": eni["VpcId"],
            "tags": read_tags(aws, eni.get("TagSet"))["tags"],
        }


class GetNetworkInterfaces(Function):
    """The ids of all that fit, which may be none."""

    type_name = "aws:ec2/getNetworkInterfaces:getNetworkInterfaces"
    inputs = {**FILTERS, **TAG_FILTER}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        found = aws.ec2("describe_network_interfaces", Filters=api_filters(given))["NetworkInterfaces"]
        return {
            "id": aws.config.region,
            "region": aws.config.region,
            "ids": [eni["NetworkInterfaceId"] for eni in found],
        }
