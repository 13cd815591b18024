"""aws:ec2/getInstanceType and getInstanceTypeOffering: what a type can do, and where there is one."""

from __future__ import annotations

from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import FILTERS, Function, Values, api_filters
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.schema import Kind, Prop


class GetInstanceType(Function):
    """A type's size and its network's limits."""

    type_name = "aws:ec2/getInstanceType:getInstanceType"
    inputs = {"instanceType": Prop(required=True)}

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        name = given["instanceType"]
        found = aws.ec2("describe_instance_types", InstanceTypes=[name])["InstanceTypes"]
        if not found:
            raise ProviderError(f"getInstanceType: there is no type {name}")
        network = found[0].get("NetworkInfo", {})
        processor = found[0].get("ProcessorInfo", {})
        return {
            "id": name,
            "instanceType": name,
            "region": aws.config.region,
            "currentGeneration": found[0].get("CurrentGeneration"),
            "bareMetal": found[0].get("BareMetal"),
            "burstablePerformanceSupported": found[0].get("BurstablePerformanceSupported"),
            "defaultVcpus": found[0].get("VCpuInfo", {}).get("DefaultVCpus"),
            "memorySize": found[0].get("MemoryInfo", {}).get("SizeInMiB"),
            "maximumNetworkInterfaces": network.get("MaximumNetworkInterfaces"),
            "maximumIpv4AddressesPerInterface": network.get("Ipv4AddressesPerInterface"),
            "networkPerformance": network.get("NetworkPerformance"),
            "supportedArchitectures": processor.get("SupportedArchitectures"),
        }


class GetInstanceTypeOffering(Function):
    """The one of the preferred types that is offered."""

    type_name = "aws:ec2/getInstanceTypeOffering:getInstanceTypeOffering"
    inputs = {
        **FILTERS,
        "locationType": Prop(one_of=("region", "availability-zone", "availability-zone-id")),
        "preferredInstanceTypes": Prop(kind=Kind.STRINGS),
    }

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        offered = aws.pages(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType=given.get("locationType"),
            Filters=api_filters(given),
        )
        by_type = {offering["InstanceType"]: offering for offering in offered}
        preferred = given.get("preferredInstanceTypes")
        fitting = [t for t in preferred if t in by_type] if preferred else sorted(by_type)
        if not fitting:
            raise ProviderError("getInstanceTypeOffering: no such type is offered")
        if len(fitting) > 1 and not preferred:
            raise ProviderError(f"getInstanceTypeOffering: {len(fitting)} types fit; name the preferred ones")
        chosen = by_type[fitting[0]]
        return {
            **given,
            "id": chosen["InstanceType"],
            "instanceType": chosen["InstanceType"],
            "location": chosen.get("Location"),
            "locationType": chosen.get("LocationType"),
            "region": aws.config.region,
        }
