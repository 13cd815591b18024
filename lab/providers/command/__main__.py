"""The plugin process `pulumi-resource-command`."""

from __future__ import annotations

from lab.providers.command.provider import CommandProvider
from lab.providers.plugin.server import serve

serve(lambda log: CommandProvider(log.info))
