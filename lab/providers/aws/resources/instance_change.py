"""Changes of a running instance: in place where AWS allows it, some of them with a stop and a start."""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import update_tags
from lab.providers.aws.resource import Values
from lab.providers.aws.resources.instance_run import metadata_options, user_data, volume
from lab.providers.aws.resources.instance_state import find_instance, state_name
from lab.providers.plugin.errors import ProviderError

STOPPED_FOR = frozenset({"instanceType", "ebsOptimized", "userData", "userDataBase64"})
DEADLINE_S = 600.0


def apply(aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
    """Make every change of `changed`; those that need a stop share one."""
    if "vpcSecurityGroupIds" in changed:
        _modify_interface(aws, object_id, Groups=new["vpcSecurityGroupIds"])
    if "sourceDestCheck" in changed:
        set_source_dest_check(aws, object_id, on=new["sourceDestCheck"])
    if "iamInstanceProfile" in changed:
        _set_profile(aws, object_id, new.get("iamInstanceProfile"))
    if "metadataOptions" in changed and "metadataOptions" in new:
        aws.ec2("modify_instance_metadata_options", InstanceId=object_id, **metadata_options(new))
    if "monitoring" in changed and "monitoring" in new:
        call = "monitor_instances" if new["monitoring"] else "unmonitor_instances"
        aws.ec2(call, InstanceIds=[object_id])
    if "disableApiTermination" in changed and "disableApiTermination" in new:
        _modify(aws, object_id, DisableApiTermination={"Value": new["disableApiTermination"]})
    if "creditSpecification" in changed and "creditSpecification" in new:
        set_credits(aws, object_id, new)
    if "rootBlockDevice" in changed and "rootBlockDevice" in new:
        _change_root_volume(aws, object_id, state["rootBlockDevice"], new["rootBlockDevice"])
    if changed & STOPPED_FOR:
        _change_stopped(aws, object_id, new, changed)


def set_source_dest_check(aws: Aws, object_id: str, *, on: bool) -> None:
    """By the instance's id, as the real provider does: AWS refuses that once it has a second interface."""
    _modify(aws, object_id, SourceDestCheck={"Value": on})


def set_credits(aws: Aws, object_id: str, new: Values) -> None:
    """Burst credits: standard or unlimited."""
    credits_ = {"InstanceId": object_id, "CpuCredits": new["creditSpecification"]["cpuCredits"]}
    aws.ec2("modify_instance_credit_specification", InstanceCreditSpecifications=[credits_])


def _change_stopped(aws: Aws, object_id: str, new: Values, changed: Set[str]) -> None:
    aws.ec2("stop_instances", InstanceIds=[object_id])
    _wait(aws, object_id, "stopped")
    if "instanceType" in changed:
        _modify(aws, object_id, InstanceType={"Value": new["instanceType"]})
    if "ebsOptimized" in changed and "ebsOptimized" in new:
        _modify(aws, object_id, EbsOptimized={"Value": new["ebsOptimized"]})
    if changed & {"userData", "userDataBase64"}:
        # As bytes: here botocore encodes what it is given.
        data = (user_data(new) or "").encode(errors="surrogateescape")
        _modify(aws, object_id, UserData={"Value": data})
    aws.ec2("start_instances", InstanceIds=[object_id])
    _wait(aws, object_id, "running")


def _change_root_volume(aws: Aws, object_id: str, state: Values, new: Values) -> None:
    volume_id = state["volumeId"]
    wanted = {key: new[key] for key in ("volumeSize", "volumeType", "iops", "throughput") if key in new}
    if differing := {key: value for key, value in wanted.items() if state.get(key) != value}:
        names = volume(differing)
        size = {"Size": names.pop("VolumeSize")} if "VolumeSize" in names else {}
        aws.ec2("modify_volume", VolumeId=volume_id, **size, **names)
    if new.get("deleteOnTermination") != state.get("deleteOnTermination"):
        mapping = {
            "DeviceName": state["deviceName"],
            "Ebs": {"VolumeId": volume_id, "DeleteOnTermination": new["deleteOnTermination"]},
        }
        _modify(aws, object_id, BlockDeviceMappings=[mapping])
    update_tags(aws, volume_id, state.get("tags") or {}, new.get("tags"))


def _set_profile(aws: Aws, object_id: str, profile: str | None) -> None:
    filters = [{"Name": "instance-id", "Values": [object_id]}]
    answer = aws.ec2("describe_iam_instance_profile_associations", Filters=filters)
    there = answer["IamInstanceProfileAssociations"]
    if profile is None:
        for association in there:
            aws.ec2("disassociate_iam_instance_profile", AssociationId=association["AssociationId"])
    elif there:
        aws.ec2(
            "replace_iam_instance_profile_association",
            AssociationId=there[0]["AssociationId"],
            IamInstanceProfile={"Name": profile},
        )
    else:
        aws.ec2("associate_iam_instance_profile", InstanceId=object_id, IamInstanceProfile={"Name": profile})


def _modify(aws: Aws, object_id: str, **attribute: object) -> None:
    aws.ec2("modify_instance_attribute", InstanceId=object_id, **attribute)


def _modify_interface(aws: Aws, object_id: str, **attribute: object) -> None:
    instance = find_instance(aws, object_id) or {}
    for interface in instance.get("NetworkInterfaces", []):
        if interface.get("Attachment", {}).get("DeviceIndex") == 0:
            eni = interface["NetworkInterfaceId"]
            aws.ec2("modify_network_interface_attribute", NetworkInterfaceId=eni, **attribute)
            return
    raise ProviderError(f"{object_id} has no primary network interface")


def _wait(aws: Aws, object_id: str, state: str) -> None:
    aws.wait_until(f"{object_id} is {state}", lambda: state_name(aws, object_id) == state, DEADLINE_S)
