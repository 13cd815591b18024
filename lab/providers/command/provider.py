"""The provider: requests to the type that they name."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.providers.command.remote_command import RemoteCommand
from lab.providers.command.remote_copy import RemoteCopy
from lab.providers.plugin.diff import diff
from lab.providers.plugin.errors import ProviderError
from lab.providers.plugin.provider import Checked, DiffResult, Found, Made, Provider, Urn, Values
from lab.providers.plugin.values import UNKNOWN

if TYPE_CHECKING:
    import paramiko

    from lab.providers.command.connection import Dialer

Type = RemoteCommand | RemoteCopy
ID_BYTES = 4


class CommandProvider(Provider):
    """Sessions are kept while the process lives, so that a host is logged in to once per run."""

    version = "1.2.1"

    def __init__(self, log: Callable[[str, str], None]) -> None:
        super().__init__()
        self._dialer_lock = threading.Lock()
        self._dialer: Dialer | None = None
        types: tuple[Type, ...] = (
            RemoteCommand(self._open_channel, log),
            RemoteCopy(self._open_channel),
        )
        self._types: dict[str, Type] = {made.type_name: made for made in types}

    def check(self, urn: Urn, old: Values, new: Values, seed: bytes) -> Checked:
        made = self._type(urn)
        full = made.schema.with_defaults(new, old, name=urn.name, seed=seed)
        return Checked(full, [*made.schema.check(full), *made.check(full)])

    def diff(self, urn: Urn, object_id: str, old: Values, state: Values, new: Values) -> DiffResult:
        return DiffResult(diff(self._type(urn).schema.inputs, old, new))

    def create(self, urn: Urn, new: Values, *, preview: bool) -> Made:
        made = self._type(urn)
        if preview:
            return Made("", {**new, **dict.fromkeys(made.schema.outputs, UNKNOWN)})
        state = made.create(urn, new)
        return Made(f"{urn.name}{secrets.token_hex(ID_BYTES)}", state)

    def read(self, urn: Urn, object_id: str, state: Values, inputs: Values) -> Found:
        # Nobody can say what a command has done: what is in the state is all there is.
        return Found(object_id, state, inputs)

    def update(
        self, urn: Urn, object_id: str, old: Values, state: Values, new: Values, *, preview: bool
    ) -> Values:
        made = self._type(urn)
        if preview:
            return {**new, **dict.fromkeys(made.schema.outputs, UNKNOWN)}
        return made.update(urn, state, new)

    def delete(self, urn: Urn, object_id: str, state: Values) -> None:
        self._type(urn).delete(urn, state)

    def invoke(self, token: str, arguments: Values) -> Values:
        raise ProviderError(f"command's stand-in in the lab does not know the function {token}")

    def _open_channel(self, connection: Values) -> paramiko.Channel:
        with self._dialer_lock:
            if self._dialer is None:
                # Late: a run that changes nothing connects to nobody.
                from lab.providers.command.connection import Dialer

                self._dialer = Dialer(self.cancelled)
        return self._dialer.channel(connection)

    def _type(self, urn: Urn) -> Type:
        found = self._types.get(urn.type)
        if found is None:
            known = ", ".join(sorted(self._types))
            raise ProviderError(
                f"command's stand-in in the lab does not know the type {urn.type}; known: {known}"
            )
        return found
