"""HTTP: a WSGI application around moto's responses, without its web framework."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.utilities.utils import get_partition
from werkzeug.wrappers import Response

from lab.cloud.actions import reads, supported
from lab.cloud.authentication import Authentication
from lab.cloud.authorization import calls_of
from lab.cloud.backend import LabBackend
from lab.cloud.credentials import Identities
from lab.cloud.errors import ec2_error, unsupported
from lab.cloud.gate import Gate
from lab.cloud.refusals import Reason, Refusal
from lab.cloud.responses import SERVICES, Answer
from lab.cloud.signature import Signature, service_of
from lab.cloud.texts import require_xml
from lab.cloud.vpc_endpoint import lets_through
from lab.cloud.weather import Weather
from lab.errors import LabError

Json = Any

log = logging.getLogger(__name__)
CAPACITY_ACTIONS = ("RunInstances", "StartInstances")
FROM_A_PAGE = b"The lab's API is not for web pages.\n"
ONLY_SERVICE = "lab.service"  # in WSGI's environ, where the caller cannot write: what may be called
THROUGH = "lab.endpoint"  # likewise: the endpoint's interface by which the call came
NO_SERVICE = b"The lab has EC2, IAM, STS and SSM. Sign the request for one of them.\n"


class ServerRequest(Request):
    """moto asks whether somebody else sends the Date header: the server does."""

    from_wsgi_server = True


class Api:
    """Every service on one port, told apart by what the request was signed for."""

    def __init__(self, gate: Gate, weather: Weather, identities: Identities, account_id: str) -> None:
        self._gate = gate
        self._identities = identities
        self._authentication = Authentication(lambda key_id: gate.read(lambda: identities.key(key_id)))
        self._weather = weather
        self._account_id = account_id
        self.closing = threading.Event()
        self._calls: Counter[str] = Counter()
        self._counting = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Json) -> Iterable[bytes]:
        """One request."""
        request = ServerRequest(environ)
        if self.closing.is_set():  # a connection from before; moto's state may be another Cloud's by now
            return Response("stopped", 503, {"Connection": "close"})(environ, start_response)
        if "Origin" in request.headers:  # a browser sends it for whoever made the page
            return Response(FROM_A_PAGE, 403)(environ, start_response)
        if service_of(request) not in SERVICES:
            return Response(NO_SERVICE, 400)(environ, start_response)
        signature = self._authentication.signature_of(request)
        if isinstance(signature, Refusal):
            return signature.response()(environ, start_response)
        if environ.get(ONLY_SERVICE, name := service_name(signature)) != name:
            return Refusal(signature.service, Reason.ELSEWHERE, name).response()(environ, start_response)
        status, headers, body = self._answer(request, signature, environ.get(THROUGH))
        headers = {
            k: v for k, v in headers.items() if k.lower() not in ("status", "content-length", "server")
        }
        return Response(body, status, headers)(environ, start_response)

    def calls(self) -> dict[str, int]:
        """How many signed requests there were so far, by service and action, whatever became of them."""
        with self._counting:
            return dict(sorted(self._calls.items()))

    def _answer(self, request: Request, signature: Signature, through: str | None) -> Answer:
        service = signature.service
        handler = SERVICES[service]()
        action = action_of(request)
        with self._counting:
            self._calls[f"{service}:{action}"] += 1
        try:
            condition = self._weather.at(action, named_in(request))
            if self.closing.wait(condition.delay_s) or condition.unavailable:
                return _failure(handler, request, "Unavailable", "The service is unavailable", 503)
            if condition.refusal:
                why = f"{action} is refused, as the lab was told to"
                return _failure(handler, request, condition.refusal, why, condition.status)
            if not supported(service, action):
                raise unsupported(f"it has no {action}.")
            self._gate.read(lambda: self._set_up(handler, request, signature))
            if handler._get_action() != action or not action.isalnum():  # moto would do something else
                raise ec2_error("InvalidAction", f"The action {action} is not valid for this web service.")
            refusal = self._gate.read(lambda: self._objection(handler, signature, action, through))
            if refusal is not None:
                answer = refusal.response()
                return answer.status_code, dict(answer.headers), answer.get_data()
            if service != "ssm":  # which answers with JSON
                require_xml(handler._get_params())
            if reads(action):
                return self._gate.read(lambda: _call(handler))
            return self._gate.change(
                lambda: _call(handler), lambda answer: answer[0] < 400, effect_s=condition.effect_s
            )
        except ServiceException as error:
            return _failure(handler, request, error.code, error.message, 400)
        except NotImplementedError as error:
            return _failure(
                handler, request, "UnsupportedOperation", f"The lab has no {action}: {error}", 400
            )
        except LabError as error:
            log.error("%s: %s", action, error)
            code = "InsufficientInstanceCapacity" if action in CAPACITY_ACTIONS else "InternalError"
            # Not the 500 that AWS sends: clients would try again, several times, what a person has to mend.
            return _failure(handler, request, code, f"{error.message}. {error.hint}", 400)
        except Exception as error:
            log.exception("%s failed", action)
            return _failure(
                handler, request, "InternalError", f"An internal error has occurred: {error!r}", 500
            )

    def _set_up(self, handler: Json, request: Request, signature: Signature) -> None:
        # moto looks for each of these where anybody can write anything.
        handler.get_access_key = lambda: signature.access_key_id
        handler.setup_class(request)
        handler.region, handler.partition = signature.region, get_partition(signature.region)
        handler.current_account = self._account_id

    def _objection(
        self, handler: Json, signature: Signature, action: str, through: str | None
    ) -> Refusal | None:
        """Why the policies of the caller, or of the endpoint that it came through, do not allow the call."""
        principal = self._identities.principal(signature.access_key_id)
        if principal is None and through is None:
            return None
        backend = ec2_backends[self._account_id][signature.region]
        if not isinstance(backend, LabBackend):
            raise TypeError("moto made a backend of its own")
        params = handler._get_params()
        keys = {} if principal is None else principal.keys
        calls = calls_of(signature.service, action, params, signature.region, backend, keys)
        for call in calls:
            what = f"is not authorized to perform: {call.action} on resource: {call.resource}"
            if principal is not None and not principal.may(call):
                return Refusal(signature.service, Reason.DENIED, f"User: {principal.arn} {what}")
            if through is not None and not lets_through(backend, through, call):
                who = "root" if principal is None else principal.arn
                why = "because no VPC endpoint policy allows the action"
                return Refusal(signature.service, Reason.DENIED, f"User: {who} {what} {why}")
        return None


def action_of(request: Request) -> str:
    """What is called, in either of the two protocols."""
    target = request.headers.get("X-Amz-Target", "")
    return target.rpartition(".")[2] if target else str(request.values.get("Action", ""))


def named_in(request: Request) -> set[str]:
    """Private addresses and network interfaces that a call names."""
    kinds = ("PrivateIpAddress", "NetworkInterfaceId")
    return {str(value) for name, value in request.values.items() if any(kind in name for kind in kinds)}


def service_name(signature: Signature) -> str:
    """As VPC endpoints name services."""
    return f"com.amazonaws.{signature.region}.{signature.service}"


def _call(handler: Json) -> Answer:
    status, headers, body = handler.call_action()
    return int(status), dict(headers), body


def _failure(handler: Json, request: Request, code: str, message: str, status: int) -> Answer:
    if not hasattr(handler, "headers"):
        handler.setup_class(request)
    _status, headers, body = handler.serialized(ActionResult(ec2_error(code, message)))
    return status, dict(headers), body
