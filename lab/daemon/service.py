"""The lab itself: the EC2 API, and behind it a fabric and machines that follow what the API says."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from lab.cloud import Cloud
from lab.cloud.weather import EVERY_ACTION
from lab.daemon.client import PROTOCOL
from lab.daemon.control import Call, ControlServer
from lab.daemon.engine_call import EngineCall
from lab.daemon.launch import Mode
from lab.daemon.park import Hooks, Park
from lab.daemon.status import eni_at, host_named, status
from lab.daemon.weather_call import require_sensible
from lab.endpoints import Endpoints
from lab.errors import LabError
from lab.fabric import Fabric
from lab.fabric.block import Block
from lab.image import ensure_image
from lab.metadata import Credentials, Metadata
from lab.paths import LabPaths
from lab.world import World

log = logging.getLogger(__name__)
Json = Any
CONNECT_TIMEOUT_S = 10.0
FIRST_PATIENCE_S = 0.25
TROUBLE_POLL_S = 2.0


class Lab:
    """Wires the layers together: the cloud says what is, everyone else makes it so."""

    def __init__(self, paths: LabPaths, listener: socket.socket, mode: Mode, region: str) -> None:
        self.paths = paths
        self.mode = mode
        self.endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.ended = threading.Event()
        sockets = [listener]
        if mode is Mode.FULL:
            # The same address inside the lab's internet, where the engine runs.
            sockets.append(socket.create_server(("127.0.0.1", listener.getsockname()[1])))
        self.cloud = Cloud(
            sockets,
            region=region,
            on_change=self.apply,
            observed=mode is Mode.FULL,
            console_of=self.console_of,
        )
        self.engine = EngineCall(paths)
        self.fabric: Fabric | None = None
        self.park: Park | None = None
        if mode is Mode.FULL:
            self.fabric = Fabric()
            self.metadata = Metadata(
                self.fabric.imds_listener,
                credentials_for=self.credentials_for,
                console_key=paths.ssh_key.with_suffix(".pub").read_text().strip(),
            )
            self.endpoints = Endpoints(self.fabric.service_listener, self.cloud.answer)
            self.park = Park(
                paths.machines,
                ensure_image(log.info),
                Hooks(
                    tap_fd=self.fabric.tap_fd,
                    observed=self.cloud.instance_changed,
                    failed=self.cloud.instance_failed,
                ),
            )

    def apply(self, world: World) -> None:
        """The API changed something: networks first, then who lives in them."""
        if self.fabric is None or self.park is None:
            return
        self.fabric.apply(world)
        self.metadata.apply(world)
        self.endpoints.apply(world)
        self.park.apply(world)

    def console_of(self, instance_id: str) -> bytes:
        """What a machine has written to its serial console."""
        log = self.paths.machines / instance_id / "console.log"
        return log.read_bytes() if log.exists() else b""

    def credentials_for(self, role: str, instance_id: str) -> Credentials:
        """What IMDS hands out for an instance's role."""
        made = self.cloud.credentials_for(role, instance_id)
        if made is None:
            raise LabError(f"there is no role {role!r}", hint="create it, or another instance profile")
        return Credentials(
            access_key_id=made.access_key_id,
            secret_access_key=made.secret_access_key,
            token=made.token,
            expiration=made.expiration,
        )

    def serve(self) -> None:
        """Answer until told to stop."""
        self.cloud.start()
        server = ControlServer(
            self.paths.control_socket,
            self.paths.name,
            {
                "ping": lambda _call, _message: {"version": PROTOCOL},
                "host": lambda _call, message: self.host(message["host"]),
                "status": lambda _call, _message: self.status(),
                "fault": self.fault,
                "block": self.block,
                "unblock": lambda _call, _message: self.require_fabric().unblock(),
                "weather": self.set_weather,
                "capture": self.capture,
                "engine": self.run_engine,
                "seed": self.seed,
                "stop": lambda _call, _message: self.ended.set(),
            },
            self.connect,
        )
        threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
        self.ended.wait()
        self.engine.cancel()
        server.shutdown()

    def host(self, name: str) -> Json:
        """One host of the status, by any of its names."""
        instance = host_named(self.cloud.world(), name)
        return next(h for h in self.status()["hosts"] if h["instance_id"] == instance.id)

    def status(self) -> Json:
        """What `lab status --json` prints, apart from the lab's name."""
        return status(self)

    def fault(self, _call: Call, message: Mapping[str, Json]) -> None:
        """Do something bad to a machine, or undo it."""
        if self.park is None:
            raise LabError("this lab has an API only, no machines", hint="start it with `lab up`")
        world = self.cloud.world()
        instance = host_named(world, message["host"])
        kind = message["kind"]
        eni = eni_at(world, instance, device_index(message["device"])) if kind in ("unplug", "plug") else None
        self.park.fault(kind, instance.id, eni)

    def block(self, _call: Call, message: Mapping[str, Json]) -> None:
        """Drop packets from and to a host's first ENI, or between those of two hosts."""
        world = self.cloud.world()
        ends = [eni_at(world, host_named(world, host), 0).id for host in message["hosts"]]
        self.require_fabric().block(
            Block(
                eni=ends[0],
                peer=ends[1] if len(ends) > 1 else None,
                protocol=message["protocol"],
                one_way=bool(message["one_way"]),
            )
        )

    def set_weather(self, _call: Call, message: Mapping[str, Json]) -> Json:
        """Trouble of the API from the next call on; a condition of nothing is fair weather again. All there is then."""
        require_sensible(message)
        weather = self.cloud.weather
        if "condition" in message:
            action, address, condition = (message[key] for key in ("action", "address", "condition"))
            if condition:
                weather.set(action or EVERY_ACTION, address=address or "", **condition)
            else:
                weather.clear(action, address or "")
        return weather.report()

    def require_fabric(self) -> Fabric:
        """The networks, where there are any."""
        if self.fabric is None:
            raise LabError("this lab has an API only, no machines", hint="start it with `lab up`")
        return self.fabric

    def capture(self, _call: Call, message: Mapping[str, Json]) -> list[str]:
        """The argv of tcpdump on an ENI's tap, to be run inside the lab's namespaces."""
        fabric = self.require_fabric()
        world = self.cloud.world()
        instance = host_named(world, message["host"])
        eni = eni_at(world, instance, int(message["device_index"]))
        return fabric.capture_argv(eni.id)

    def run_engine(self, call: Call, message: Mapping[str, Json]) -> Json:
        """One engine operation against this very cloud."""
        credentials = {
            "access_key_id": self.cloud.access_key_id,
            "secret_access_key": self.cloud.secret_access_key,
        }
        here = {"endpoint": self.endpoint, "region": self.cloud.region, "credentials": credentials}
        ended = threading.Event()
        threading.Thread(target=self.tell_troubles, args=(call, ended), daemon=True).start()
        try:
            return self.engine.run(call, {**message, "request": {**message["request"], **here}})
        finally:
            ended.set()

    def tell_troubles(self, call: Call, ended: threading.Event) -> None:
        """Say of every host that cannot answer why, once: the engine only waits for it."""
        told: set[tuple[str, str]] = set()
        while not ended.wait(TROUBLE_POLL_S):
            for host in self.status()["hosts"]:
                trouble = (host["name"], host["machine"]["problem"])
                if not trouble[1] or trouble in told:
                    continue
                told.add(trouble)
                try:
                    call.event(
                        {"phase": "message", "name": "", "severity": "warning", "message": " ".join(trouble)}
                    )
                except OSError:
                    return  # the caller is gone

    def seed(self, _call: Call, message: Mapping[str, Json]) -> None:
        """Make exist what a stack names and this lab lacks, for a preview without the account that has it."""
        if self.mode is not Mode.API_ONLY:
            raise LabError("this lab has machines, which would find nothing there", hint="use `lab preview`")
        self.cloud.seed_arm_image()
        for network in message["networks"]:
            self.cloud.seed_existing(**network)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to a port of a host, from beside its primary ENI."""
        fabric = self.require_fabric()
        world = self.cloud.world()
        instance = host_named(world, host)
        enis = world.enis_of(instance.id)
        if not enis:
            raise LabError(f"{host} has no network interface", hint="attach one, or terminate it")
        problem = self.host(host)["machine"]["problem"]
        if problem:
            raise LabError(f"{instance.name} {problem}", hint="`lab status` shows every host")
        try:
            return connect_soon(lambda timeout_s: fabric.connect(enis[0].id, port, timeout_s=timeout_s))
        except OSError as error:
            raise LabError(
                f"{host} does not answer on port {port}: {error}",
                hint=f"`lab status` shows its state, `lab logs {host}` its console",
            ) from error


def connect_soon(connect: Callable[[float], socket.socket]) -> socket.socket:
    """Try anew with growing patience: the kernel itself repeats a SYN only after one, two and four seconds, and a
    guest that just starts is there in between.
    """
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    patience = FIRST_PATIENCE_S
    while True:
        left = deadline - time.monotonic()
        try:
            return connect(min(patience, left))
        except TimeoutError:
            if left <= patience:
                raise
            patience *= 1.1


def device_index(device: str) -> int:
    """The device index of an ENI named eth<index>."""
    if not (device.startswith("eth") and device[3:].isdecimal()):
        raise LabError(f"{device!r} is no ENI", hint="ENIs are named by device index: eth0, eth1 …")
    return int(device[3:])


def keep_what_is_loaded() -> None:
    """Look for garbage only in what comes from now on: a look at all that moto brings stops every call for 0.2 s."""
    gc.collect()
    gc.freeze()


def main(argv: list[str] | None = None) -> int:
    """Serve the lab NAME until it is told to stop or the namespace ends."""
    parser = argparse.ArgumentParser(prog="python -m lab.daemon.service", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--listen-fd", type=int, required=True, help="listening socket of the EC2 endpoint")
    parser.add_argument("--mode", type=Mode, default=Mode.FULL)
    parser.add_argument("--region", default="us-east-1")
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=os.environ.get("CAUSEWAY_LAB_LOG", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("werkzeug", "botocore", "paramiko", "qemu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        lab = Lab(
            LabPaths(options.name), socket.socket(fileno=options.listen_fd), options.mode, options.region
        )
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    keep_what_is_loaded()
    signal.signal(signal.SIGTERM, lambda _signum, _frame: lab.ended.set())
    lab.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
