"""Pulumi's ResourceProvider service: messages to plain values and back, errors to one line each."""
# ruff: noqa: N802 - the methods' names are the protocol's

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from lab.providers.plugin.diff import Change
from lab.providers.plugin.errors import CheckFailure, InvalidInputsError, PartlyMadeError, ProviderError
from lab.providers.plugin.provider import Provider, Urn, Values
from lab.providers.plugin.values import decode_map, encode_map, like_secret

log = logging.getLogger(__name__)
Context = Any  # a grpc.ServicerContext: neither it nor generated messages have types
Message = Any


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Announced to the engine: previews and secrets. What was secret in a question is so in its answer."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._idle = threading.Condition()
        self._under_way = 0

    def wait_until_idle(self, deadline: float) -> bool:
        """Wait, until `deadline` on the monotonic clock, for calls under way to end."""
        with self._idle:
            return self._idle.wait_for(lambda: self._under_way == 0, deadline - time.monotonic())

    def GetPluginInfo(self, request: Message, context: Context) -> Message:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def GetSchema(self, request: Message, context: Context) -> Message:
        return pb.GetSchemaResponse(schema="{}")

    def Cancel(self, request: Message, context: Context) -> Message:
        self.provider.cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Message, context: Context) -> Message:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Message, context: Context) -> Message:
        # Where the cloud answers, and whether checks are skipped, is no property of any resource.
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE)

    def Configure(self, request: Message, context: Context) -> Message:
        with self._call(context, "configuring the provider"):
            self.provider.configure(decode_map(request.args))
            return pb.ConfigureResponse(supportsPreview=True, acceptSecrets=True)

    def Check(self, request: Message, context: Context) -> Message:
        urn = Urn(request.urn)
        with self._call(context, f"checking {urn}"):
            old, new = decode_map(request.olds), decode_map(request.news)
            checked = self.provider.check(urn, old, new, request.randomSeed)
            inputs = encode_map(like_secret(checked.inputs, request.news))
            return pb.CheckResponse(inputs=inputs, failures=_failures(checked.failures))

    def Diff(self, request: Message, context: Context) -> Message:
        urn = Urn(request.urn)
        with self._call(context, f"comparing {urn}"):
            old, state, new = map(decode_map, (request.old_inputs, request.olds, request.news))
            result = self.provider.diff(urn, request.id, old, state, new)
            changes = result.changes
            return pb.DiffResponse(
                changes=pb.DiffResponse.DIFF_SOME if changes else pb.DiffResponse.DIFF_NONE,
                replaces=sorted({change.key for change in changes if change.replaces}),
                diffs=sorted({change.key for change in changes}),
                stables=result.stables,
                deleteBeforeReplace=result.delete_before_replace,
                hasDetailedDiff=True,
                detailedDiff={change.path: _property_diff(change) for change in changes},
            )

    def Create(self, request: Message, context: Context) -> Message:
        urn = Urn(request.urn)
        with self._call(context, f"creating {urn}", request.properties):
            made = self.provider.create(urn, decode_map(request.properties), preview=request.preview)
            return pb.CreateResponse(id=made.id, properties=self._state(made.state, request.properties))

    def Read(self, request: Message, context: Context) -> Message:
        urn = Urn(request.urn)
        with self._call(context, f"reading {urn}"):
            state, inputs = decode_map(request.properties), decode_map(request.inputs)
            found = self.provider.read(urn, request.id, state, inputs)
            return pb.ReadResponse(
                id=found.id,
                properties=self._state(found.state, request.properties),
                inputs=encode_map(like_secret(found.inputs, request.inputs)),
            )

    def Update(self, request: Message, context: Context) -> Message:
        urn = Urn(request.urn)
        with self._call(context, f"updating {urn}"):
            old, state, new = map(decode_map, (request.old_inputs, request.olds, request.news))
            updated = self.provider.update(urn, request.id, old, state, new, preview=request.preview)
            return pb.UpdateResponse(properties=self._state(updated, request.news))

    def Delete(self, request: Message, context: Context) -> Message:
        urn = Urn(request.urn)
        with self._call(context, f"deleting {urn}"):
            self.provider.delete(urn, request.id, decode_map(request.properties))
            return empty_pb2.Empty()

    def Invoke(self, request: Message, context: Context) -> Message:
        with self._call(context, f"asking {request.tok}"):
            try:
                answer = self.provider.invoke(request.tok, decode_map(request.args))
            except InvalidInputsError as error:
                return pb.InvokeResponse(failures=_failures(error.failures))
            return pb.InvokeResponse(**{"return": encode_map(answer)})

    def _state(self, state: Values, given: Message) -> Message:
        return encode_map(like_secret(state, given, self.provider.derived))

    @contextmanager
    def _call(self, context: Context, what: str, given: Message = None) -> Iterator[None]:
        with self._idle:
            self._under_way += 1
        try:
            yield
        except PartlyMadeError as error:
            _abort_partly_made(context, error, given)
        except ProviderError as error:
            # A code that the engine takes as: nothing was made, nothing is pending.
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:
            log.exception("%s", what)
            context.abort(grpc.StatusCode.UNKNOWN, f"{what}: {type(error).__name__}: {error}")
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()


def _failures(failures: Sequence[CheckFailure]) -> list[Message]:
    # The reason names the property itself; where the engine is given its name, it prints the value, secret or not.
    return [pb.CheckFailure(reason=failure.reason) for failure in failures]


def _property_diff(change: Change) -> Message:
    name = f"{change.kind}_REPLACE" if change.replaces else str(change.kind)
    return pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(name), inputDiff=True)


def _abort_partly_made(context: Context, error: PartlyMadeError, given: Message) -> NoReturn:
    detail = any_pb2.Any()
    detail.Pack(
        pb.ErrorResourceInitFailed(
            id=error.id,
            properties=encode_map(like_secret(error.state, given)),
            inputs=encode_map(like_secret(error.inputs, given)),
            reasons=[error.reason],
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=error.reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, error.reason)
    raise AssertionError("abort raises")
