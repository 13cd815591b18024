"""aws:ec2/networkInterfaceAttachment:NetworkInterfaceAttachment"""

from __future__ import annotations

from lab.providers.aws.client import Aws, AwsError
from lab.providers.aws.resource import REGION, ResourceType, State, Values, may_adopt
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Kind, Prop

GONE_ENI = "InvalidNetworkInterfaceID.NotFound"
GONE = "InvalidAttachmentID.NotFound"
DEADLINE_S = 120.0  # a guest may take its time to let go of a device


class NetworkInterfaceAttachment(ResourceType):
    """An ENI on an instance. Done when it is attached; removed when it is really detached."""

    type_name = "aws:ec2/networkInterfaceAttachment:NetworkInterfaceAttachment"
    inputs = {
        **REGION,
        "instanceId": Prop(required=True, replaces=True),
        "networkInterfaceId": Prop(required=True, replaces=True),
        "deviceIndex": Prop(kind=Kind.INT, required=True, replaces=True),
        "networkCardIndex": Prop(kind=Kind.INT, computed=True, replaces=True),
    }
    outputs = frozenset({"attachmentId", "status"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        eni = new["networkInterfaceId"]
        there = _attachment_of(aws, eni)
        same = there is not None and (there.get("InstanceId"), there.get("DeviceIndex")) == (
            new["instanceId"],
            int(new["deviceIndex"]),
        )
        if there is not None and same and may_adopt(aws, urn, eni):
            return str(there["AttachmentId"])
        if there is not None:
            raise AwsError(
                "AttachNetworkInterface",
                "InvalidParameterValue",
                f"{eni} is attached to {there.get('InstanceId')} already",
            )
        made = aws.ec2(
            "attach_network_interface",
            NetworkInterfaceId=eni,
            InstanceId=new["instanceId"],
            DeviceIndex=int(new["deviceIndex"]),
            NetworkCardIndex=int(new["networkCardIndex"]) if "networkCardIndex" in new else None,
        )
        return str(made["AttachmentId"])

    def settle(self, aws: Aws, urn: Urn, object_id: str, new: Values) -> None:
        eni = new["networkInterfaceId"]
        aws.wait_until(
            f"{eni} is attached to {new['instanceId']}",
            lambda: (_attachment_of(aws, eni) or {}).get("Status") in ("attached", None),
            DEADLINE_S,
        )

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        eni = str(known["networkInterfaceId"])
        attachment = _attachment_of(aws, eni)
        if attachment is None or attachment.get("AttachmentId") != object_id:
            return None
        return {
            "region": aws.config.region,
            "attachmentId": object_id,
            "instanceId": attachment["InstanceId"],
            "networkInterfaceId": eni,
            "deviceIndex": attachment["DeviceIndex"],
            "networkCardIndex": attachment.get("NetworkCardIndex", 0),
            "status": attachment.get("Status", "attached"),
        }

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        detach(aws, str(state["networkInterfaceId"]), object_id)


def detach(aws: Aws, eni: str, attachment_id: str | None = None) -> None:
    """Take an ENI off its instance, if it is on one (by that attachment), and wait until it is off."""
    there = _attachment_of(aws, eni)
    if there is None or (attachment_id is not None and there.get("AttachmentId") != attachment_id):
        return
    try:
        aws.ec2("detach_network_interface", AttachmentId=there["AttachmentId"], Force=True)
    except AwsError as error:
        if error.code != GONE:
            raise
    aws.wait_until(f"{eni} is detached", lambda: _attachment_of(aws, eni) is None, DEADLINE_S)


def _attachment_of(aws: Aws, eni: str) -> Values | None:
    found = aws.find("describe_network_interfaces", "NetworkInterfaces", GONE_ENI, NetworkInterfaceIds=[eni])
    attachment: Values | None = (found or {}).get("Attachment")
    return attachment if attachment and attachment.get("Status") != "detached" else None
