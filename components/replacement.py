"""One proxy of a pair at a time has its instance changed, and never the active one while the other could serve.

An instance is replaced, or stopped for another type, before any Command that waits for it. So the way is made
ahead of it: a proxy's role bears a mark of what its instance is made from. It is updated exactly when that
changes, the instance waits for it, and a hook runs before.

Nothing of the program runs ahead of an instance that is replaced for another reason, say because the operator asks
for that; but ahead of its role, if that is replaced too. A preview says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.access import OperatorAccess
from components.host import Host, Image
from components.host_scripts import Step, step_script
from components.plan import HostPlan
from components.previous import Login, Machine
from components.way_in import Done, NoAnswerError, NoWayInError, RefusedError, run_script

MARK = "causeway:instance"  # a tag
ANYWAY = "CAUSEWAY_CUT_CONNECTIONS"  # a variable in the environment of `pulumi up`
UNPLANNED = (
    "{proxy} will be made anew without stepping aside first: if it is active, the other proxy takes over as after any "
    "loss. To have it step aside, replace its role too: --replace '**{proxy}-role' --replace '**{proxy}-instance'"
)
MEND_REFUSED = (
    "let that user in there with the key of access.public_key, or power it off in AWS: if it is active, the other "
    "proxy takes over then"
)
MEND_SILENT = "mend it, or power it off in AWS: if it is active, the other proxy takes over then"
STEP_WITHIN_S = 90.0
READY_WITHIN_S = 1800.0  # the proxy before: instance, first boot, packages, all concerns


def made_from(proxy: HostPlan, image: Image, was: Machine | None) -> str:
    """What the proxy's mark says: another text exactly where its instance is stopped or replaced.

    One goes on with its image where none is named, and where that one is named.
    """
    text = f"{proxy.instance_type} {image.ami if image.pinned else 'newest'}"
    if was is None or was.made_from is None:
        return text
    if was.instance_type == proxy.instance_type and (not image.pinned or image.ami == was.image):
        return was.made_from
    return (
        text if text != was.made_from else f"{text} for {was.image}"
    )  # made anew meanwhile, from another one


class Replacements:
    """The proxies' turns in one run of the program."""

    def __init__(self, access: OperatorAccess, known: Mapping[str, Login]) -> None:
        """`known`: the proxies that there were before this run, by name."""
        self._access, self._known = access, known
        self._hosts: dict[str, Host] = {}
        self._ready: dict[str, pulumi.Resource] = {}
        self._refused = asyncio.Event()
        self._planned: set[str] = set()

    def of_role(self, proxy: str, after: str | None, staying: Sequence[str]) -> pulumi.ResourceHookBinding:
        """Hooks of the proxy's role. `after`: the proxy whose turn is before; `staying`: namespaces of the tenants that
        the pair is to have."""

        async def makes_way(args: pulumi.ResourceHookArgs) -> None:
            is_first = args.old_inputs is None and proxy not in self._known
            if is_first or _mark(args.old_inputs) == _mark(args.new_inputs):
                return
            self._planned.add(proxy)
            if not pulumi.runtime.is_dry_run():
                await self._make_way(proxy, after, staying)

        # Not before_delete of the instance: who has such hooks cannot be destroyed without the program.
        hook = pulumi.ResourceHook(
            f"{proxy}-makes-way", makes_way, pulumi.ResourceHookOptions(on_dry_run=True)
        )
        return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])

    def of_instance(self, proxy: str) -> pulumi.ResourceHookBinding:
        """Hooks of the proxy's instance: in a preview, whether it is made anew without having made way."""

        def is_planned(_: pulumi.ResourceHookArgs) -> None:
            if pulumi.runtime.is_dry_run() and proxy in self._known and proxy not in self._planned:
                pulumi.log.warn(UNPLANNED.format(proxy=proxy))

        hook = pulumi.ResourceHook(
            f"{proxy}-is-planned", is_planned, pulumi.ResourceHookOptions(on_dry_run=True)
        )
        return pulumi.ResourceHookBinding(before_create=[hook])

    def note(self, host: Host, ready: pulumi.Resource) -> None:
        """The proxy, and what ends its turn. Before the program's end, and so before any hook runs."""
        self._hosts[host.plan.name], self._ready[host.plan.name] = host, ready

    async def _make_way(self, proxy: str, after: str | None, staying: Sequence[str]) -> None:
        if after is not None:
            await self._turn_of(after)
        try:
            await self._step_aside(proxy, staying)
        except BaseException:
            self._refused.set()
            raise

    async def _turn_of(self, before: str) -> None:
        """Wait until that proxy is ready, which it is at once where nothing of it changes."""
        ready = asyncio.ensure_future(_known(self._ready[before].urn))
        refused = asyncio.ensure_future(self._refused.wait())
        try:
            ended, _ = await asyncio.wait(
                (ready, refused), timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            refused.cancel()
        if ready not in ended:
            ready.cancel()
            raise RuntimeError(f"{before} did not become ready, so this one is left as it is")
        ready.result()

    async def _step_aside(self, proxy: str, staying: Sequence[str]) -> None:
        if os.environ.get(ANYWAY) == "yes":
            pulumi.log.warn(f"{proxy}: changed whether or not another proxy forwards, as {ANYWAY} says")
            return
        # As it was made: this very change may be one of how to get in.
        way = await self._access.way_in(self._hosts[proxy], self._known.get(proxy))
        script = step_script(Step.MAKES_WAY, "now", staying=staying)
        try:
            done: Done = await asyncio.to_thread(run_script, way, script, within_s=STEP_WITHIN_S)
        except RefusedError as error:
            raise _refusal(proxy, str(error), MEND_REFUSED) from error
        except NoWayInError as error:
            # One that is lost is to be replaced; one that is active, and hidden from us only, fails over.
            pulumi.log.warn(f"{proxy} cannot be asked to step aside, and is changed all the same: {error}")
            return
        except NoAnswerError as error:
            raise _refusal(proxy, str(error), MEND_SILENT) from error
        if done.status != 0:
            raise _refusal(proxy, done.said, "mend the other proxy first")
        pulumi.log.info(f"{proxy}: {done.said}")


def _refusal(proxy: str, said: str, mend: str) -> RuntimeError:
    return RuntimeError(
        f"{proxy} is left as it is: {said}\n{mend}; or, to cut connections, set {ANYWAY}=yes and run this again"
    )


async def _known(output: pulumi.Output[Any]) -> Any:
    return await output.future()


def _mark(inputs: Mapping[str, Any] | None) -> object:
    return ((inputs or {}).get("tags") or {}).get(MARK)
