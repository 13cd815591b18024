"""The calls that read and change single attributes of an instance."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses import EC2Response
from moto.ec2.utils import parse_user_data

from lab.cloud.errors import ec2_error, invalid_value
from lab.cloud.instance_limits import limits_of
from lab.cloud.instance_model import LabInstance, all_instances, instance
from lab.cloud.security_groups import groups_by_id
from lab.cloud.shown import Shown

Json = Any

SIMPLE = {  # attribute of the call → of the instance
    "DisableApiTermination": "disable_api_termination",
    "DisableApiStop": "disable_api_stop",
    "EbsOptimized": "ebs_optimized",
    "InstanceInitiatedShutdownBehavior": "instance_initiated_shutdown_behavior",
}
OPTIONS = {
    "HttpTokens": "http_tokens",
    "HttpPutResponseHopLimit": "http_put_response_hop_limit",
    "HttpEndpoint": "http_endpoint",
    "HttpProtocolIpv6": "http_protocol_ipv6",
    "InstanceMetadataTags": "instance_metadata_tags",
}


class InstanceAttributeResponses(EC2Response):
    """DescribeInstanceAttribute, ModifyInstanceAttribute, metadata options, credits."""

    def describe_instance_attribute(self) -> ActionResult:
        """One attribute, in the shape of its own."""
        found = self._instance()
        attribute = self._get_param("Attribute")
        values: dict[str, Any] = {
            "instanceType": found.instance_type,
            "kernel": None,
            "ramdisk": None,
            "userData": found.user_data,
            "disableApiTermination": found.disable_api_termination,
            "disableApiStop": found.disable_api_stop,
            "instanceInitiatedShutdownBehavior": found.instance_initiated_shutdown_behavior,
            "rootDeviceName": found.root_device_name,
            "sourceDestCheck": found.source_dest_check,
            "ebsOptimized": found.ebs_optimized,
            "sriovNetSupport": "simple",
            "enaSupport": True,
        }
        shapes: dict[str, Any] = {
            "blockDeviceMapping": {"BlockDeviceMappings": found.disk_views()},
            "groupSet": {"Groups": [{"GroupId": g.id, "GroupName": g.name} for g in found.security_groups]},
            "productCodes": {"ProductCodes": []},
            "enclaveOptions": {"EnclaveOptions": {"Enabled": False}},
        }
        if attribute in values:
            value = values[attribute]
            shape = {} if value is None else {"Value": value}
            return Shown({"InstanceId": found.id, _answer_key(attribute): shape})
        if attribute in shapes:
            return Shown({"InstanceId": found.id, **shapes[attribute]})
        raise invalid_value(f"Value ({attribute}) for parameter attribute is invalid. Unknown attribute.")

    def modify_instance_attribute(self) -> ActionResult:
        """Every attribute that the call names."""
        found = self._instance()
        params = self._get_params()
        asked = _asked(params)
        for name, value in asked.items():
            self._set(found, name, value)
        for mapping in params.get("BlockDeviceMappings", []):
            _modify_disk(found, mapping)
        if groups := params.get("Groups"):
            _require_one_interface(found)
            if found.primary is None:
                raise _wrong_state(found)
            found.security_groups = groups_by_id(self.ec2_backend, groups, found.primary.vpc_id)
        return EmptyResult()

    def _set(self, found: LabInstance, name: str, value: Json) -> None:
        if name in SIMPLE:
            setattr(found, SIMPLE[name], value)
        elif name == "SourceDestCheck":
            _require_one_interface(found)
            found.source_dest_check = value
        elif name in ("InstanceType", "UserData"):
            if found.state != "stopped":
                raise _wrong_state(found)
            if name == "InstanceType":
                limits = limits_of(value)
                limits.require_interfaces(len(found.nics))
                found.instance_type = value
            else:
                # In a blob of its own moto has decoded it already, as a plain `Value` it has not.
                encoded = b64encode(value).decode() if isinstance(value, bytes) else value
                found.user_data = parse_user_data(encoded) if encoded else None
        else:
            raise invalid_value(f"The attribute {name} cannot be changed")

    def modify_instance_metadata_options(self) -> ActionResult:
        """What the call does not name stays."""
        found = self._instance()
        for name, attribute in OPTIONS.items():
            if (value := self._get_param(name)) is not None:
                setattr(found.metadata_options, attribute, value)
        if not 1 <= int(found.metadata_options.http_put_response_hop_limit) <= 64:
            raise invalid_value("HttpPutResponseHopLimit is from 1 to 64")
        return Shown({"InstanceId": found.id, "InstanceMetadataOptions": found.metadata_view()})

    def describe_instance_credit_specifications(self) -> ActionResult:
        """Of burstable instances."""
        ids = self._get_param("InstanceIds", [])
        named = [instance(self.ec2_backend, i) for i in ids] or [
            i for i in all_instances(self.ec2_backend) if i.instance_type.startswith("t")
        ]
        views = [{"InstanceId": i.id, "CpuCredits": i.credits} for i in named]
        return Shown({"InstanceCreditSpecifications": views})

    def modify_instance_credit_specification(self) -> ActionResult:
        """Of burstable instances."""
        changed = []
        for item in self._get_param("InstanceCreditSpecifications", []):
            found = instance(self.ec2_backend, item.get("InstanceId"))
            found.credits = item.get("CpuCredits", found.credits)
            changed.append({"InstanceId": found.id})
        return Shown({"SuccessfulInstanceCreditSpecifications": changed})

    def _instance(self) -> LabInstance:
        return instance(self.ec2_backend, self._get_param("InstanceId"))


def _answer_key(attribute: str) -> str:
    """What the answer calls an attribute."""
    named = {"kernel": "KernelId", "ramdisk": "RamdiskId"}
    return named.get(attribute) or attribute[0].upper() + attribute[1:]


def _asked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes from both forms of the call: `Attribute` and `Value`, or each under its own name."""
    names = [*SIMPLE, "SourceDestCheck", "InstanceType", "UserData"]
    asked = {name: params[name].get("Value") for name in names if isinstance(params.get(name), dict)}
    if attribute := params.get("Attribute"):
        name = attribute[0].upper() + attribute[1:]
        value = params.get("Value")
        asked[name] = value == "true" if value in ("true", "false") else value
    return asked


def _modify_disk(found: LabInstance, mapping: Mapping[str, Any]) -> None:
    device = mapping.get("DeviceName")
    keep = mapping.get("Ebs", {}).get("DeleteOnTermination")
    if device not in found.block_device_mapping:
        raise invalid_value(f"Instance '{found.id}' has no block device '{device}'")
    if keep is not None:
        found.block_device_mapping[device].delete_on_termination = keep


def _require_one_interface(found: LabInstance) -> None:
    if len(found.nics) > 1:
        raise ec2_error(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{found.id}'. "
            "Please specify an interface ID for the operation instead.",
        )


def _wrong_state(found: LabInstance) -> Exception:
    return ec2_error("IncorrectInstanceState", f"The instance '{found.id}' is {found.state}, not stopped.")
