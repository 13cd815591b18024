"""A proxy's turn in a change of its pair: it steps aside before, and is whole again after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.access import OperatorAccess
from components.host import Host
from components.host_command import host_command
from components.host_scripts import Step, step_script


@dataclass(frozen=True, kw_only=True)
class TurnArgs:
    """`digest`: of all that could disturb; `staying`: namespaces of the tenants that the pair is to have; `after`: what
    ends the turn of the proxy before."""

    host: Host
    access: OperatorAccess
    digest: pulumi.Input[str]
    staying: Sequence[str]
    after: Sequence[pulumi.Resource]


class Turn(pulumi.ComponentResource):
    """What a proxy does before and after a change that could disturb, and only then.

    `begun`: another proxy forwards, where that is possible; else it says why not, and the change goes on.
    """

    begun: pulumi.Resource

    def __init__(self, name: str, args: TurnArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:proxy:Turn", name, None, opts)
        self._name, self._args = name, args
        before = [*args.access.reachable(args.host), *args.after]
        self.begun = self._step(Step.STEPS_ASIDE, before)
        self.register_outputs({})

    def end(self, done: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """Once configured, the proxy could take over, or is active and whole. Fails if it does not come to that."""
        return self._step(Step.IS_READY, done)

    def _step(self, step: Step, before: Sequence[pulumi.Resource]) -> pulumi.Resource:
        staying = self._args.staying if step is Step.STEPS_ASIDE else None
        script = pulumi.Output.from_input(self._args.digest).apply(
            lambda digest: step_script(step, digest, staying=staying)
        )
        noun = "ready" if step is Step.IS_READY else "steps-aside"
        return host_command(
            f"{self._name}-{noun}", self._args.host, self._args.access, script, before=before, parent=self
        )
