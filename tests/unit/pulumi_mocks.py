"""A whole Pulumi program under mocks, and what it registered as plain data.

Stricter than the SDK's own mocks: a duplicate name raises (the stock monitor overwrites silently), and in a
preview whatever a provider computes is unknown.
"""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi import ResourceHook, ResourceHookArgs
from pulumi.runtime import config, mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

SECRET = "<secret>"  # key of a one-entry mapping that stands for a secret value
UNKNOWN = "<unknown>"
STACK_TYPE = "pulumi:pulumi:Stack"

Json = Any  # what json.dumps takes

# (type, name, inputs) → what a provider would compute
Computed = Callable[[str, str, Mapping[str, Json]], Mapping[str, Json]]
Hook = Callable[[ResourceHookArgs], Awaitable[None] | None]
# (token, arguments) → result
Invoke = Callable[[str, Mapping[str, Json]], Mapping[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One function of a provider that the program called."""

    token: str
    arguments: Mapping[str, Json]
    resources_before: int


@dataclass(kw_only=True)
class Graph:
    """What a program registered: resources by `type::name`, the stack's outputs, the calls it made."""

    resources: dict[str, dict[str, Json]] = field(default_factory=dict)
    outputs: dict[str, Json] = field(default_factory=dict)
    invocations: list[Invocation] = field(default_factory=list)
    hooks: dict[str, Hook] = field(default_factory=dict)  # by name; the engine calls them, mocks do not

    def of_type(self, *types: str) -> dict[str, dict[str, Json]]:
        """Resources of these types."""
        return {key: entry for key, entry in self.resources.items() if key.split("::")[0] in types}


class _Hooks:
    """In place of the server through which the engine calls a program's hooks."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def register_resource_hook(self, hook: ResourceHook) -> None:
        self._graph.hooks[hook.name] = hook.callback


class CallFailedError(Exception):
    """What a provider's function says when it cannot answer; raised by an `Invoke`."""


class DuplicateResourceError(Exception):
    """Two resources of one type have the same name."""


class _Mocks(mocks.Mocks):
    def __init__(self, graph: Graph, computed: Computed, invoke: Invoke, preview: bool) -> None:
        self._graph, self._computed, self._invoke, self._preview = graph, computed, invoke, preview

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Json]]:
        inputs = dict(args.inputs)
        if self._preview:
            return None, inputs
        return f"{args.name}-id", {**inputs, **self._computed(args.typ, args.name, inputs)}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Json], list[tuple[str, str]] | None]:
        self._graph.invocations.append(
            Invocation(
                token=args.token, arguments=dict(args.args), resources_before=len(self._graph.resources)
            )
        )
        try:
            return dict(self._invoke(args.token, args.args)), []
        except CallFailedError as failure:
            return {}, [("", str(failure))]


class _Recorder(mocks.MockMonitor):
    """Keeps the whole of every registration: inputs, parent, dependencies, options."""

    def __init__(self, graph: Graph, mocked: _Mocks) -> None:
        super().__init__(mocked)
        self._graph = graph

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the SDK's name and gRPC's type
        key = f"{request.type}::{request.name}"
        if key in self._graph.resources:
            raise DuplicateResourceError(key)
        if request.type != STACK_TYPE:
            self._graph.resources[key] = _entry(request)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if request.urn.split("::")[2] == STACK_TYPE:
            self._graph.outputs.update(_struct(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def run_program(
    program: Path | Callable[[], None],
    *,
    stack: str,
    project: str,
    configuration: Mapping[str, str],
    secrets: frozenset[str] = frozenset(),
    computed: Computed = lambda *_: {},
    invoke: Invoke = lambda *_: {},
    preview: bool = False,
) -> Graph:
    """Run the program and return its graph. Whatever it raises, this raises."""
    graph = Graph()

    def run() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        settings.reset_options(project=project, stack=stack)
        monitor = _Recorder(graph, _Mocks(graph, computed, invoke, preview))
        features = set(monitor.GetDeploymentInfo(None).supportedFeatures)  # type: ignore[no-untyped-call]
        # Not set_mocks(): it makes a Stack, and so does run_in_stack().
        settings.configure(
            mocks.MockSettings(  # type: ignore[no-untyped-call]
                monitor=monitor,
                monitor_features=features,
                engine=mocks.MockEngine(None),
                project=project,
                stack=stack,
                dry_run=preview,
                organization="organization",
                callbacks=_Hooks(graph),
            )
        )
        settings.set_root_resource(None)  # type: ignore[arg-type]  # forgets the one of an earlier run
        config.set_all_config(dict(configuration), list(secrets))
        try:
            loop.run_until_complete(run_in_stack(_as_function(program)))
        finally:
            loop.close()
            asyncio.set_event_loop(None)

    # A thread of its own has a context of its own, and a short stack: the SDK notes all of it with every resource.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()
    return graph


def _as_function(program: Path | Callable[[], None]) -> Callable[[], None]:
    if callable(program):
        return program

    def run_file() -> None:
        runpy.run_path(str(program), run_name="__main__")

    return run_file


def _entry(request: Any) -> dict[str, Json]:
    """A registration as JSON; what is empty or off is left out."""
    entry: dict[str, Json] = {
        "inputs": _struct(request.object),
        "parent": _key(request.parent),
        "dependsOn": sorted(_key(urn) for urn in request.dependencies),
        "deleteBeforeReplace": request.deleteBeforeReplace,
        "protect": request.protect,
        "retainOnDelete": request.retainOnDelete,
        "ignoreChanges": list(request.ignoreChanges),
        "replaceOnChanges": list(request.replaceOnChanges),
        "replacementTrigger": _value(request.replacement_trigger),
        "additionalSecretOutputs": list(request.additionalSecretOutputs),
        "deletedWith": _key(request.deletedWith),
        "replaceWith": sorted(_key(urn) for urn in request.replace_with),
        "aliases": len(request.aliases),
        "hooks": {kind.name: list(names) for kind, names in request.hooks.ListFields()},
    }
    return {name: value for name, value in entry.items() if value or name == "inputs"}


def _key(urn: str) -> str:
    """`type::name`, without stack, project and the parents' types; empty for the stack itself."""
    if not urn or STACK_TYPE in urn.rsplit("$", 1)[-1]:
        return ""
    qualified_type, name = urn.split("::")[2:4]
    return f"{qualified_type.split('$')[-1]}::{name}"


def _struct(struct: Any) -> dict[str, Json]:
    return {name: _value(value) for name, value in sorted(struct.fields.items())}


def _value(value: Any) -> Json:
    """A protobuf Value, with Pulumi's signatures for secrets and unknowns made readable."""
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = _struct(value.struct_value)
            if fields.get(rpc._special_sig_key) == rpc._special_secret_sig:
                return {SECRET: fields["value"]}
            return fields
        case "list_value":
            return [_value(item) for item in value.list_value.values]
        case "string_value":
            return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case _:
            return None
