"""aws:ec2/getAmi:getAmi"""

from __future__ import annotations

import re
from typing import Any

from lab.providers.aws.client import Aws
from lab.providers.aws.function import FILTERS, TAG_FILTER, Function, Values, api_filters
from lab.providers.aws.marks import read_tags
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.schema import Kind, Prop

PROPERTIES = {
    "architecture": "Architecture",
    "creationDate": "CreationDate",
    "description": "Description",
    "hypervisor": "Hypervisor",
    "imageId": "ImageId",
    "imageLocation": "ImageLocation",
    "imageType": "ImageType",
    "name": "Name",
    "ownerId": "OwnerId",
    "public": "Public",
    "rootDeviceName": "RootDeviceName",
    "rootDeviceType": "RootDeviceType",
    "state": "State",
    "virtualizationType": "VirtualizationType",
}


class GetAmi(Function):
    """The one image that fits, or the newest of them."""

    type_name = "aws:ec2/getAmi:getAmi"
    inputs = {
        **FILTERS,
        **TAG_FILTER,
        "mostRecent": Prop(kind=Kind.BOOL, default=False),
        "nameRegex": Prop(),
        "owners": Prop(kind=Kind.STRINGS),
    }

    def answer(self, aws: Aws, given: Values) -> dict[str, Any]:
        images = aws.ec2("describe_images", Filters=api_filters(given), Owners=given.get("owners"))["Images"]
        if pattern := given.get("nameRegex"):
            images = [image for image in images if re.search(pattern, image.get("Name", ""))]
        if not images:
            raise ProviderError("getAmi: your query returned no results; change the filters and try again")
        if len(images) > 1 and not given["mostRecent"]:
            raise ProviderError(
                f"getAmi: {len(images)} images fit; use more specific filters, or set mostRecent to true"
            )
        image = max(images, key=lambda i: i.get("CreationDate", ""))
        image_id = image["ImageId"]
        return {
            **given,
            **{key: image.get(name) for key, name in PROPERTIES.items()},
            "id": image_id,
            "arn": f"arn:aws:ec2:{aws.config.region}::image/{image_id}",
            "region": aws.config.region,
            "tags": read_tags(aws, image.get("Tags"))["tags"],
        }
