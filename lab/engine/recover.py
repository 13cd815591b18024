"""After a run that did not end well: nothing that it made is left over, and nothing blocks the next one.

A marker file stands while the engine changes things, and goes only when it has succeeded. Found at the start
of a run, it means that the cloud may have objects which the state does not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pulumi import automation

from lab.engine.context import EngineContext
from lab.engine.state import known_ids, read_state

RECOVERING = {"CAUSEWAY_LAB_RECOVERING": "1"}  # the aws stand-in then adopts what it finds made already


def marker(context: EngineContext) -> Path:
    """Stands while things are changed."""
    return context.directory / "unfinished"


def is_needed(context: EngineContext) -> bool:
    """Whether the last run that changed things did not succeed."""
    return marker(context).exists()


def remove_orphans(context: EngineContext, region: str, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Delete what belongs to this stack and is in no state; returns the ids. Needs the cloud only."""
    # Late: a run after one that ended well does without them.
    from lab.providers.aws.client import Aws
    from lab.providers.aws.config import Config
    from lab.providers.aws.orphans import delete_orphans

    aws = Aws(
        Config(
            region=region,
            endpoint=context.ec2_endpoint,
            access_key=context.access_key,
            secret_key=context.secret_key,
        )
    )
    removed = delete_orphans(aws, context.full_stack_name, known_ids(read_state(context)), tell)
    return tuple(orphan.id for orphan in removed)


def clear_pending_operations(context: EngineContext, stack: automation.Stack) -> None:
    """Forget operations that a killed engine had begun: what came of them, the cloud knows."""
    if not read_state(context).get("pending_operations"):
        return
    exported = stack.export_stack()
    deployment = json.loads(json.dumps(exported.deployment))
    deployment["pending_operations"] = []
    stack.import_stack(automation.Deployment(version=exported.version, deployment=deployment))
