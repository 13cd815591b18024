"""A pair becomes a single proxy: the one that goes leaves the pair before anything else changes.

The engine removes last. Until then the one that goes would take over as soon as the other one's pair ends, and be
removed with every connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

import pulumi

from components.access import OperatorAccess
from components.host import Host
from components.host_scripts import Concern, Step, configuration_script, step_script
from components.previous import Login
from components.replacement import ANYWAY, MEND_SILENT, STEP_WITHIN_S
from components.way_in import Done, NoAnswerError, NoWayInError, WayIn, run_script

MEND = "mend it first"
AGAIN = "where the pair is to stay after all, `pulumi up --replace '**{name}-pair'` with redundancy: pair has it back"
NOT_YET = "[[ -f /etc/causeway/pair.json ]] || exit 0 # no pair has come that far\n"


class Departure:
    """`known`: how to log in to the proxies that the stack had, by name; `leaving`: to those that it has no more;
    `tenants`: namespaces of those that there are to be."""

    def __init__(
        self,
        access: OperatorAccess,
        stays: Host,
        known: Mapping[str, Login],
        leaving: Mapping[str, Login],
        tenants: Sequence[str],
    ) -> None:
        self._access, self._stays, self._known, self._leaving = access, stays, known, leaving
        self._tenants = tenants
        self._left: asyncio.Task[None] | None = None

    def hooks(self) -> pulumi.ResourceHookBinding | None:
        """Of all that the one that stays is told: whichever changes first has the others leave. None where nobody does.

        That is what it does ahead of all else, unless it was alone before: where a single proxy has not quite become a
        pair, that has been done already.
        """
        if not self._leaving:
            return None

        async def all_leave(_: pulumi.ResourceHookArgs) -> None:
            self._left = self._left or asyncio.ensure_future(self._all_leave())
            await self._left

        # Not before_delete: one that is deleted has no need of the program.
        hook = pulumi.ResourceHook(f"{self._stays.plan.name}-stays-alone", all_leave)
        return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])

    async def _all_leave(self) -> None:
        stays = await self._access.way_in(self._stays, self._known.get(self._stays.plan.name))
        for name, login in self._leaving.items():
            await self._leaves(name, await self._access.way_in(self._stays, login), stays)
        await _asked(self._stays.plan.name, stays, step_script(Step.STAYS_ALONE, "now"))

    async def _leaves(self, name: str, way: WayIn, stays: WayIn) -> None:
        try:
            makes_way = step_script(Step.MAKES_WAY, "now", staying=self._tenants)
            await _asked(name, way, makes_way, MEND_SILENT)
            leaves = NOT_YET + configuration_script(Concern.PAIR, {"peer": None})
            has_left = await _asked(name, way, leaves, MEND_SILENT)
        except NoWayInError as error:
            # One that is lost leaves nothing; one that is hidden from us only would still take over.
            pulumi.log.warn(f"{name} cannot be asked to leave: {error}")
            await _asked(self._stays.plan.name, stays, step_script(Step.STAYS_ALONE, "other_one_is_gone"))
        else:
            if has_left:
                pulumi.log.info(f"{name} has left the pair; {AGAIN.format(name=name)}")


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
