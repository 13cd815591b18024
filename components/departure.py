"""A pair becomes a single proxy: the one that goes leaves the pair before anything else changes.

The engine removes last. Until then the one that goes would take over as soon as the other one's pair ends, and be
removed with every connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace

import pulumi

from components.access import OperatorAccess
from components.host import Host
from components.host_scripts import Concern, Step, configuration_script, step_script
from components.replacement import ANYWAY, MEND_SILENT, STEP_WITHIN_S
from components.way_in import Done, NoAnswerError, NoWayInError, WayIn, run_script

MEND = "mend it first"
AGAIN = "where the pair is to stay after all, `pulumi up --replace '**{name}-pair'` with redundancy: pair has it back"


class Departure:
    """`leaving`: where the SSH of each proxy is that the stack had and has no more, by name."""

    def __init__(self, access: OperatorAccess, stays: Host, leaving: Mapping[str, str]) -> None:
        self._access, self._stays, self._leaving = access, stays, leaving

    def hooks(self) -> pulumi.ResourceHookBinding | None:
        """Of what the one that stays does first. None where nobody leaves."""
        if not self._leaving:
            return None

        async def all_leave(_: pulumi.ResourceHookArgs) -> None:
            way = await self._way_in()
            for name, address in self._leaving.items():
                await self._leaves(name, replace(way, host=address), way)

        # Of a creation: one that is deleted has no need of the program.
        return pulumi.ResourceHookBinding(
            before_create=[pulumi.ResourceHook(f"{self._stays.plan.name}-stays-alone", all_leave)]
        )

    async def _leaves(self, name: str, way: WayIn, stays: WayIn) -> None:
        try:
            await _asked(name, way, step_script(Step.MAKES_WAY, "now"), MEND_SILENT)
            leaves = configuration_script(Concern.PAIR, {"peer": None})
            has_left = await _asked(name, way, leaves, MEND_SILENT)
        except NoWayInError as error:
            # One that is lost leaves nothing; one that is hidden from us only would still take over.
            pulumi.log.warn(f"{name} cannot be asked to leave: {error}")
            await _asked(self._stays.plan.name, stays, step_script(Step.STAYS_ALONE, "other_one_is_gone"))
        else:
            if has_left:
                pulumi.log.info(f"{name} has left the pair; {AGAIN.format(name=name)}")

    async def _way_in(self) -> WayIn:
        host, private_key, via = await self._access.way_in(self._stays).future()  # type: ignore[misc]
        return WayIn(host=host, user=self._access.user, private_key=private_key, via=via)


async def _asked(name: str, way: WayIn, script: str, if_silent: str = MEND) -> bool:
    """Whether it did so: always, unless connections may be cut. `if_silent`: what to do with one that does not end."""
    try:
        done: Done = await asyncio.to_thread(run_script, way, script, within_s=STEP_WITHIN_S)
    except NoAnswerError as error:
        said, mend = str(error), if_silent
    else:
        if done.status == 0:
            return True
        said, mend = done.said, MEND
    if os.environ.get(ANYWAY) == "yes":
        pulumi.log.warn(f"{name}: {said}\ngoes on all the same, as {ANYWAY} says")
        return False
    raise RuntimeError(
        f"the pair stays as it is, because of {name}: {said}\n"
        f"{mend}; or, to cut connections, set {ANYWAY}=yes and run this again"
    )
