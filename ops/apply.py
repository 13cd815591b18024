"""Have hosts apply what they were told, again: for what somebody else has changed in their kernels meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ops.answer import one_line, plain
from ops.errors import OpsError
from ops.stack import Stack

APPLY_LINE = "sudo -n /opt/causeway/apply"
APPLY_DEADLINE_S = 120.0


def chosen(stack: Stack, names: Sequence[str]) -> tuple[str, ...]:
    """These hosts, or all that there is a way to but user instances. OpsError for one that is not there."""
    known = {name: host for name, host in stack.outputs.hosts.items() if host.ssh}
    for name in names:
        if name not in known:
            raise OpsError(f"there is no host {name}", hint=f"there are: {', '.join(sorted(known))}")
    return tuple(names) or tuple(
        sorted(name for name, host in known.items() if host.role in ("func", "proxy"))
    )


def apply(stack: Stack, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each host with what it says, or why not, in order; many at a time. OpsError at the end if any has failed."""
    failed: dict[str, OpsError] = {}
    with ThreadPoolExecutor(stack.at_once) as pool:
        asked = [(name, pool.submit(_apply, stack, name)) for name in names]
        for name, future in asked:
            try:
                said = future.result()
            except OpsError as error:
                failed[name] = error
                said = f"✗ {error.message.removeprefix(f'{name}: ')}"
            yield name, said
    if failed:
        hints = dict.fromkeys(error.hint for error in failed.values() if error.hint)
        raise OpsError(f"not applied on {', '.join(failed)}, as said above", hint="; ".join(hints))


def _apply(stack: Stack, name: str) -> str:
    done = stack.hosts.run(name, APPLY_LINE, deadline_s=APPLY_DEADLINE_S)
    if done.status:
        said = done.err.strip().splitlines()
        raise OpsError(
            f"{name}: {one_line(said[-1]) if said else f'exit status {done.status}'}",
            hint=f"read all of it there: {APPLY_LINE}",
        )
    return plain(done.out).strip()
