"""The real Pulumi engine, run against the lab: CLI, own work directory, events, repair after a crash.

    from lab.engine import EngineContext, destroy, outputs, preview, refresh, up

The program is the project's own `__main__.py`; the project's Pulumi.yaml is never touched, because the
stand-in plugins that the lab names must not appear in it.
"""

from lab.engine.context import EngineContext, Plugins
from lab.engine.events import ProgressEvent, PropertyChange, Step
from lab.engine.operations import Result, destroy, outputs, preview, refresh, reset, up
from lab.engine.pulumi_cli import ensure_pulumi

__all__ = [
    "EngineContext",
    "Plugins",
    "ProgressEvent",
    "PropertyChange",
    "Result",
    "Step",
    "destroy",
    "ensure_pulumi",
    "outputs",
    "preview",
    "refresh",
    "reset",
    "up",
]
