"""The plugin process `pulumi-resource-aws`."""

from __future__ import annotations

from lab.providers.aws.provider import AwsProvider
from lab.providers.plugin.server import serve

serve(lambda _log: AwsProvider())
