"""The cloud as the lab's daemon holds it."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Network
from typing import Any

import moto.ec2.models as moto_models
from moto.iam.models import iam_backends
from moto.ssm.models import ssm_backends
from moto.sts.models import sts_backends
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from lab.cloud import backend, images, lifecycle
from lab.cloud.api import ONLY_SERVICE, THROUGH, Api
from lab.cloud.backend import LabBackend
from lab.cloud.credentials import Identities, RoleCredentials
from lab.cloud.gate import Gate
from lab.cloud.instance_model import LabInstance, all_instances
from lab.cloud.public_addresses import PublicAddresses
from lab.cloud.seed import seed
from lab.cloud.weather import Weather
from lab.world import InstanceState, World

log = logging.getLogger(__name__)
ACCOUNT_ID = "123456789012"
_running = threading.Lock()


class Handler(WSGIRequestHandler):
    """Connections stay open between calls; without Nagle, or each answer would wait for the client's ACK."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only for who looks closely."""
        log.debug("%s %s", code, size)


class ServiceHandler(Handler):
    """One connection to one service, as `com.amazonaws.us-east-1.ec2`, by an endpoint's interface."""

    def __init__(
        self,
        connection: socket.socket,
        peer: tuple[str, int],
        server: BaseWSGIServer,
        service: str,
        through: str,
    ) -> None:
        self._service, self._through = service, through
        super().__init__(connection, peer, server)

    def make_environ(self) -> dict[str, Any]:
        """Of WSGI, and what may be called."""
        return {**super().make_environ(), ONLY_SERVICE: self._service, THROUGH: self._through}


class Cloud:
    """EC2, IAM, STS and SSM on sockets that listen already; there can be one at a time in a process.

    `on_change` is called with each new World before the call that made it is answered; a LabError from it
    undoes the call. With `observed`, instances become running, stopped or terminated when `instance_changed`
    says so; without it, as soon as `on_change` has returned. `console_of` gives what the machine of an instance has
    written to its serial console, nothing for an instance without one. Instances that run have at most `vcpu_quota`
    vCPUs together.
    """

    def __init__(
        self,
        listen_sockets: Sequence[socket.socket],
        region: str,
        on_change: Callable[[World], None],
        *,
        observed: bool = False,
        console_of: Callable[[str], bytes] = backend.no_console,
        vcpu_quota: int = backend.VCPU_QUOTA,
    ) -> None:
        if not _running.acquire(blocking=False):
            raise RuntimeError("moto's state is the process's: stop the other Cloud first")
        _begin_empty()
        LabBackend.console_of, LabBackend.vcpu_quota = staticmethod(console_of), vcpu_quota
        self.region = region
        self.account_id = ACCOUNT_ID
        self.weather = Weather()
        self._gate = Gate(ACCOUNT_ID, region, on_change, settles=not observed)
        self._identities = Identities(ACCOUNT_ID, region)
        key = self._identities.operator_key()
        self.access_key_id, self.secret_access_key = str(key.access_key_id), str(key.secret_access_key)
        self._default = moto_models.ec2_backends[ACCOUNT_ID][region]
        self._api = Api(self._gate, self.weather, self._identities, ACCOUNT_ID)
        self._servers = [_serve(listener, self._api) for listener in listen_sockets]
        self._reports: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def calls(self) -> dict[str, int]:
        """How many requests there were so far, by service and action."""
        return self._api.calls()

    def start(self) -> None:
        """Begin to answer."""
        loops = [("observer", self._observe), *((f"api {s.port}", s.serve_forever) for s in self._servers)]
        for name, loop in loops:
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End all threads and close the servers' sockets; another Cloud may follow."""
        self._api.closing.set()
        self._gate.close()
        self._reports.put(None)
        for server in self._servers:
            if self._threads:
                _shut_down(server)
            server.server_close()
        for thread in self._threads:
            thread.join()
        _running.release()

    def world(self) -> World:
        """As of the last call that was answered; addresses are where networks see them."""
        return self._gate.world

    def instance_changed(self, instance_id: str, state: InstanceState) -> None:
        """A machine is what it was asked to be, or stopped by itself. Returns at once."""
        self._reports.put(lambda: self._report(instance_id, partial(lifecycle.reached, state=state)))

    def instance_failed(self, instance_id: str, why: str) -> None:
        """A machine cannot be what it was asked to be. Returns at once."""
        self._reports.put(lambda: self._report(instance_id, partial(lifecycle.failed, why=why)))

    def after_reports(self, call: Callable[[], None]) -> None:
        """Call when every report so far has been taken. Returns at once."""
        self._reports.put(call)

    def credentials_for(self, role: str, instance_id: str) -> RoleCredentials:
        """What IMDS hands out, valid for at least an hour; raises LabError where there is no such role."""
        return self._gate.read(lambda: self._identities.of_role(role, instance_id))

    def caller(self, access_key_id: str) -> str:
        """The ARN of who signs with a key."""
        return self._gate.read(lambda: self._identities.arn_of(access_key_id))

    def seed_existing(
        self, vpc_id: str, subnet_id: str, cidr: str, az: str, account: str | None = None
    ) -> None:
        """Make a subnet (of `cidr`) and its VPC exist, with given ids; no account is the lab's own."""
        owner = account or ACCOUNT_ID
        self._gate.change(
            lambda: seed(self._default_backend(), vpc_id, subnet_id, IPv4Network(cidr), az, owner)
        )

    def seed_arm_image(self) -> None:
        """Publish an image for arm64, which only previews can use."""
        self._gate.change(lambda: images.publish_arm_image(ACCOUNT_ID, self._default_backend().region_name))

    def answer(self, service: str, through: str, connection: socket.socket, peer: tuple[str, int]) -> None:
        """Answer calls of one service (`com.amazonaws.REGION.SERVICE`) on a connection, until that ends.

        `through`: the id of the endpoint's ENI, whose policy holds too.
        """
        ServiceHandler(connection, peer, self._servers[0], service, through)

    def _default_backend(self) -> LabBackend:
        if not isinstance(self._default, LabBackend):
            raise TypeError("moto made a backend of its own")
        return self._default

    def _observe(self) -> None:
        while (report := self._reports.get()) is not None:
            try:
                report()
            except Exception:
                log.exception("a machine's report could not be followed")

    def _report(self, instance_id: str, happened: Callable[[LabInstance], None]) -> None:
        def note() -> None:
            for region in moto_models.ec2_backends[ACCOUNT_ID].values():
                for instance in all_instances(region):
                    if instance.id == instance_id:
                        happened(instance)

        self._gate.change(note)


def _begin_empty() -> None:
    for backends in (moto_models.ec2_backends, iam_backends, sts_backends, ssm_backends):
        backends.clear()
    backend.install()
    images.install()
    LabBackend.public_addresses = PublicAddresses()


def _shut_down(server: BaseWSGIServer) -> None:
    """At once: the loop looks for the end only between connections, and every half second."""
    ending = threading.Thread(target=server.shutdown)
    ending.start()
    with suppress(OSError), socket.create_connection((server.host, server.port), timeout=1.0):
        pass
    ending.join()


def _serve(listener: socket.socket, api: Api) -> BaseWSGIServer:
    address = listener.getsockname()
    server = make_server(
        str(address[0]), int(address[1]), api, threaded=True, request_handler=Handler, fd=listener.fileno()
    )
    server.daemon_threads = True  # type: ignore[attr-defined] # of ThreadingMixIn
    return server
