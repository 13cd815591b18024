"""The provider: every request goes to the resource type or function that it names."""

from __future__ import annotations

from types import MappingProxyType

from lab.providers.aws.client import Aws
from lab.providers.aws.config import read_config
from lab.providers.aws.functions import FUNCTIONS
from lab.providers.aws.resource import ResourceType
from lab.providers.aws.resources import RESOURCES
from lab.providers.plugin.diff import diff, same
from lab.providers.plugin.errors import InvalidInputsError, PartlyMadeError, ProviderError
from lab.providers.plugin.provider import Checked, DiffResult, Found, Made, Plain, Provider, Urn, Values
from lab.providers.plugin.schema import Kind, Prop
from lab.providers.plugin.values import UNKNOWN

UNSETTLED = "__unsettled"  # in the state of an object that was made, but not brought to what was asked for


class AwsProvider(Provider):
    """Stateless but for its clients: what is, the cloud knows."""

    version = "7.51.1"
    derived = MappingProxyType({"tagsAll": "tags"})

    def __init__(self, aws: Aws | None = None) -> None:
        super().__init__()
        self._aws = aws

    @property
    def aws(self) -> Aws:
        """The cloud; configured before any call that needs it."""
        if self._aws is None:
            raise ProviderError("aws's stand-in was not configured")
        return self._aws

    def configure(self, config: Values) -> None:
        self._aws = Aws(read_config(config), self.cancelled)

    def check(self, urn: Urn, old: Values, new: Values, seed: bytes) -> Checked:
        resource = resource_type(urn)
        full = resource.schema.with_defaults(new, old, name=urn.name, seed=seed or urn.text.encode())
        failures = resource.schema.check(full)
        return Checked(full, failures or resource.check(full))

    def diff(self, urn: Urn, object_id: str, old: Values, state: Values, new: Values) -> DiffResult:
        resource = resource_type(urn)
        changes = resource.adjust(diff(resource.inputs, old, new), new)
        return DiffResult(changes, delete_before_replace=resource.delete_before_replace)

    def create(self, urn: Urn, new: Values, *, preview: bool) -> Made:
        resource = resource_type(urn)
        if preview:
            return Made("", {**dict.fromkeys(_computed(resource), UNKNOWN), **new})
        object_id = resource.create(self.aws, urn, new)
        try:
            resource.settle(self.aws, urn, object_id, new)
            state = self._describe(resource, urn, object_id, new)
        except ProviderError as error:
            raise PartlyMadeError(object_id, {**new, UNSETTLED: True}, new, str(error)) from error
        return Made(object_id, state)

    def read(self, urn: Urn, object_id: str, state: Values, inputs: Values) -> Found:
        resource = resource_type(urn)
        known = {**inputs, **state}
        described = resource.describe(self.aws, object_id, known)
        if described is None:
            return Found("")
        return Found(object_id, {**known, **described}, _inputs_as_found(resource, inputs, described))

    def update(
        self, urn: Urn, object_id: str, old: Values, state: Values, new: Values, *, preview: bool
    ) -> Values:
        resource = resource_type(urn)
        changed = {change.key for change in diff(resource.inputs, old, new)}
        kept = {key: value for key, value in state.items() if key not in changed and key != UNSETTLED}
        if preview:
            affected = {out for key in changed for out in resource.inputs[key].affects}
            return {**kept, **new, **dict.fromkeys(affected, UNKNOWN)}
        if UNSETTLED in state:
            resource.settle(self.aws, urn, object_id, new)
        # A failure in the middle keeps the old state: the next run finds the same changes and makes them all.
        resource.update(self.aws, object_id, state, new, changed)
        return self._describe(resource, urn, object_id, {**kept, **new})

    def delete(self, urn: Urn, object_id: str, state: Values) -> None:
        resource_type(urn).delete(self.aws, object_id, state)

    def invoke(self, token: str, arguments: Values) -> Values:
        function = FUNCTIONS.get(token)
        if function is None:
            raise ProviderError(
                f"aws's stand-in in the lab does not know the function {token}; {_known(FUNCTIONS)}"
            )
        full = function.schema.with_defaults(arguments, {}, name="", seed=b"")
        if failures := function.schema.check(full):
            raise InvalidInputsError(failures)
        return function.answer(self.aws, full)

    def _describe(self, resource: ResourceType, urn: Urn, object_id: str, known: Values) -> Values:
        described = resource.describe(self.aws, object_id, known)
        if described is None:
            raise ProviderError(f"{urn}: {object_id} was gone as soon as it was made")
        return {**known, **described}


def resource_type(urn: Urn) -> ResourceType:
    """The type of a resource; an unknown one is an error that lists the known."""
    found = RESOURCES.get(urn.type)
    if found is None:
        raise ProviderError(
            f"aws's stand-in in the lab does not know the type {urn.type}; {_known(RESOURCES)}"
        )
    return found


def _known(registry: object) -> str:
    return f"known: {', '.join(sorted(registry))}" if isinstance(registry, dict) else ""


def _computed(resource: ResourceType) -> set[str]:
    """What only the cloud can say."""
    return {*resource.outputs, *(key for key, prop in resource.inputs.items() if prop.computed)}


def _inputs_as_found(resource: ResourceType, inputs: Values, described: Values) -> dict[str, Plain]:
    """The inputs that would make the object as it is: a difference to the program's is drift.

    Only what the program had decided counts, and tags; what means the same stays as the program wrote it.
    """
    found = dict(inputs)
    for key, prop in resource.inputs.items():
        if key not in described or (key not in inputs and not (key == "tags" and described[key])):
            continue
        if described[key] is None:
            found.pop(key, None)
            continue
        now = _as_given(prop, inputs.get(key), described[key])
        if key not in inputs or not same(prop, inputs[key], now):
            found[key] = now
    return found


def _as_given(prop: Prop, given: Plain, now: Plain) -> Plain:
    """Of an object, only what the program had decided."""
    if prop.kind is Kind.OBJECT and isinstance(given, dict) and isinstance(now, dict):
        return {key: now.get(key, value) for key, value in given.items()}
    return now
