"""The functions that the stand-in knows, by token."""

from __future__ import annotations

from lab.providers.aws.function import Function
from lab.providers.aws.functions.get_ami import GetAmi
from lab.providers.aws.functions.get_availability_zones import GetAvailabilityZones
from lab.providers.aws.functions.get_instance_type import GetInstanceType, GetInstanceTypeOffering
from lab.providers.aws.functions.get_network_interface import GetNetworkInterface, GetNetworkInterfaces
from lab.providers.aws.functions.get_parameter import GetParameter
from lab.providers.aws.functions.get_policy_document import GetPolicyDocument
from lab.providers.aws.functions.get_subnet import GetSubnet
from lab.providers.aws.functions.get_vpc import GetVpc
from lab.providers.aws.functions.identity import GetCallerIdentity, GetPartition, GetRegion

_TYPES: tuple[type[Function], ...] = (
    GetAmi,
    GetAvailabilityZones,
    GetCallerIdentity,
    GetInstanceType,
    GetInstanceTypeOffering,
    GetNetworkInterface,
    GetNetworkInterfaces,
    GetParameter,
    GetPartition,
    GetPolicyDocument,
    GetRegion,
    GetSubnet,
    GetVpc,
)

FUNCTIONS: dict[str, Function] = {made.type_name: made() for made in _TYPES}
