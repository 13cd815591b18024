"""aws:ec2/instance:Instance"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.marks import update_tags
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values
from lab.providers.aws.resources import instance_change
from lab.providers.aws.resources.instance_run import run_arguments
from lab.providers.aws.resources.instance_state import find_instance, instance_state, state_name
from lab.providers.plugin.diff import Change
from lab.providers.plugin.errors import CheckFailure, ProviderError
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE = "InvalidInstanceID.NotFound"
START_DEADLINE_S = 600.0
TERMINATE_DEADLINE_S = 300.0
WITHOUT_OWN_INTERFACE = ("subnetId", "privateIp", "vpcSecurityGroupIds", "associatePublicIpAddress")

METADATA_OPTIONS = {
    "httpEndpoint": Prop(one_of=("enabled", "disabled"), computed=True),
    "httpTokens": Prop(one_of=("required", "optional"), computed=True),
    "httpPutResponseHopLimit": Prop(kind=Kind.INT, computed=True),
    "instanceMetadataTags": Prop(one_of=("enabled", "disabled"), computed=True),
}
ROOT_BLOCK_DEVICE = {
    "deleteOnTermination": Prop(kind=Kind.BOOL, default=True),
    "encrypted": Prop(kind=Kind.BOOL, computed=True, replaces=True),
    "kmsKeyId": Prop(computed=True, replaces=True),
    "iops": Prop(kind=Kind.INT, computed=True),
    "throughput": Prop(kind=Kind.INT, computed=True),
    "volumeSize": Prop(kind=Kind.INT, computed=True),
    "volumeType": Prop(computed=True),
    "tags": TAGS["tags"],
}
PRIMARY_INTERFACE = {"networkInterfaceId": Prop(required=True, replaces=True)}


class Instance(ResourceType):
    """A machine. Done when it is running, removed when it is terminated."""

    type_name = "aws:ec2/instance:Instance"
    rank = 60
    inputs = {
        **REGION,
        **TAGS,
        "ami": Prop(required=True, replaces=True),
        "instanceType": Prop(required=True, affects=("publicIp", "publicDns", "instanceState")),
        "availabilityZone": Prop(replaces=True, computed=True),
        "subnetId": Prop(replaces=True, computed=True),
        "privateIp": Prop(replaces=True, computed=True),
        "vpcSecurityGroupIds": Prop(kind=Kind.STRING_SET, computed=True),
        "primaryNetworkInterface": Prop(
            kind=Kind.OBJECT, fields=PRIMARY_INTERFACE, replaces=True, computed=True
        ),
        "associatePublicIpAddress": Prop(kind=Kind.BOOL, replaces=True, computed=True),
        "sourceDestCheck": Prop(kind=Kind.BOOL, default=True),
        "keyName": Prop(replaces=True, computed=True),
        "userData": Prop(affects=("publicIp", "publicDns", "instanceState")),
        "userDataBase64": Prop(affects=("publicIp", "publicDns", "instanceState")),
        "userDataReplaceOnChange": Prop(kind=Kind.BOOL, default=False),
        "metadataOptions": Prop(kind=Kind.OBJECT, fields=METADATA_OPTIONS, computed=True),
        "rootBlockDevice": Prop(kind=Kind.OBJECT, fields=ROOT_BLOCK_DEVICE, computed=True),
        "iamInstanceProfile": Prop(),
        "placementGroup": Prop(replaces=True, computed=True),
        "monitoring": Prop(kind=Kind.BOOL, computed=True),
        "disableApiTermination": Prop(kind=Kind.BOOL, computed=True),
        "ebsOptimized": Prop(kind=Kind.BOOL, computed=True),
        "creditSpecification": Prop(
            kind=Kind.OBJECT, fields={"cpuCredits": Prop(one_of=("standard", "unlimited"))}, computed=True
        ),
    }
    outputs = frozenset(
        {
            "arn",
            "instanceState",
            "primaryNetworkInterfaceId",
            "privateDns",
            "publicDns",
            "publicIp",
            "tagsAll",
        }
    )

    def check(self, new: Values) -> list[CheckFailure]:
        failures = []
        if "userData" in new and "userDataBase64" in new:
            failures.append(CheckFailure("userData", "userData and userDataBase64 exclude each other"))
        if "primaryNetworkInterface" in new:
            failures += [
                CheckFailure(
                    key, f"{key} belongs to the interface, which primaryNetworkInterface brings along"
                )
                for key in WITHOUT_OWN_INTERFACE
                if key in new
            ]
        return failures

    def adjust(self, changes: Sequence[Change], new: Values) -> Sequence[Change]:
        if not new.get("userDataReplaceOnChange"):
            return changes
        return [
            replace(change, replaces=change.replaces or change.key.startswith("userData"))
            for change in changes
        ]

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2("run_instances", **run_arguments(aws, urn, new))
        return str(made["Instances"][0]["InstanceId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        def running() -> bool:
            state = state_name(aws, object_id)
            if state in ("shutting-down", "terminated"):
                raise ProviderError(f"{object_id} did not start: {_reason(aws, object_id)}")
            return state == "running"

        aws.wait_until(f"{object_id} is running", running, START_DEADLINE_S)
        if not new["sourceDestCheck"]:
            instance_change.set_source_dest_check(aws, object_id, on=False)
        if "creditSpecification" in new:
            instance_change.set_credits(aws, object_id, new)
        if tags := new.get("rootBlockDevice", {}).get("tags"):
            state = instance_state(aws, object_id, new) or {}
            update_tags(aws, state["rootBlockDevice"]["volumeId"], {}, tags)

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        return instance_state(aws, object_id, known)

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        super().update(aws, object_id, state, new, changed)
        instance_change.apply(aws, object_id, state, new, changed)

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        if state_name(aws, object_id) in (None, "terminated"):
            return
        if state.get("disableApiTermination"):
            raise ProviderError(f"{object_id} is protected: set disableApiTermination to false first")
        try:
            aws.ec2("terminate_instances", InstanceIds=[object_id])
        except AwsError as error:
            if error.code != GONE:
                raise
        aws.wait_until(
            f"{object_id} is terminated",
            lambda: state_name(aws, object_id) in (None, "terminated"),
            TERMINATE_DEADLINE_S,
        )


def _reason(aws: Aws, object_id: str) -> str:
    instance = find_instance(aws, object_id) or {}
    return str(instance.get("StateReason", {}).get("Message") or "the cloud gives no reason")
