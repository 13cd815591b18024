"""The fabric's public face: one object, one thread of its own, any number of callers."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lab.errors import LabError
from lab.fabric import netns, tools
from lab.fabric.block import Block
from lab.fabric.names import IMDS_ADDRESS, NETNS_DIRECTORY, TAP
from lab.fabric.plan import layout
from lab.fabric.reconcile import Reconciler
from lab.fabric.ruleset import NAME
from lab.fabric.tap import open_tap
from lab.paths import PROJECT
from lab.world import World

Result = TypeVar("Result")
BACKLOG = 64


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Packets of one ENI that the fabric dropped, and why."""

    spoofed: int  # from the guest: not its MAC, or with source/dest check not its address
    misdelivered: int  # to the guest, with source/dest check: not its address
    ingress_denied: int  # to the guest: no security group allows it
    egress_denied: int  # from the guest: no security group allows it


class Fabric:
    """Keeps the kernel equal to the world; make one per process, in network and mount namespaces of its own.

    Every method may be called from any thread; they take effect one after the other.
    """

    def __init__(self) -> None:
        """Raises LabError naming the Debian packages that are missing."""
        tools.require()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fabric")
        self._reconciler = self._run(Reconciler)
        self._world = World()
        self._blocks: tuple[Block, ...] = ()

    @staticmethod
    def check() -> None:
        """Raise LabError if the host lacks a program or library that the fabric needs."""
        tools.require()

    def apply(self, world: World) -> None:
        """Make the network equal to `world`: returns when it is. What did not change is not touched."""
        self._run(lambda: self._apply(world, self._blocks))

    def block(self, block: Block) -> None:
        """Drop matching traffic from now on; LabError if it names what is not there."""

        def add() -> None:
            block.check(self._world)
            if block not in self._blocks:
                self._apply(self._world, (*self._blocks, block))

        self._run(add)

    def unblock(self, block: Block | None = None) -> None:
        """Let it pass again; None: all that is blocked."""
        self._run(lambda: self._apply(self._world, tuple(b for b in self._blocks if block not in (None, b))))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What is blocked now."""
        return self._blocks

    def tap_fd(self, eni_id: str) -> int:
        """A file descriptor of the ENI's tap, with virtio headers; the caller closes it.

        One at a time: LabError while another one of the same tap is open.
        """
        try:
            return self._in_namespace_of(eni_id, lambda: open_tap(TAP))
        except BlockingIOError as error:
            raise LabError(
                f"the tap of {eni_id} is in use", hint="a machine that held it has not ended yet"
            ) from error

    def imds_listener(self, eni_id: str) -> socket.socket:
        """A TCP socket that listens at 169.254.169.254:80 in the ENI's namespace; the caller closes it."""
        return self._in_namespace_of(
            eni_id, lambda: socket.create_server((str(IMDS_ADDRESS), 80), backlog=BACKLOG)
        )

    def service_listener(self, eni_id: str, port: int) -> socket.socket:
        """A TCP socket that listens at the primary address of an ENI that has a service; the caller closes it."""
        address = str(self._world.enis[eni_id].private_ips[0]) if eni_id in self._world.enis else ""
        return self._in_namespace_of(eni_id, lambda: socket.create_server((address, port), backlog=BACKLOG))

    def connect(self, eni_id: str, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection to the guest's primary address at this ENI, whatever its security groups say.

        It begins beside the tap, where IMDS is, as a serial console would. Raises OSError if nobody answers.
        """
        address = str(self._world.enis[eni_id].private_ips[0]) if eni_id in self._world.enis else ""
        stream = self._in_namespace_of(eni_id, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        try:
            stream.bind((str(IMDS_ADDRESS), 0))
            stream.settimeout(timeout_s)
            stream.connect((address, port))
            stream.settimeout(None)
        except BaseException:
            stream.close()
            raise
        return stream

    def counters(self, eni_id: str) -> Counters:
        """What was dropped since the ENI exists."""

        def read() -> Counters:
            nft = self._reconciler.live[eni_id].nft
            packets = nft.counters("ip", NAME)
            arp = nft.counters("arp", NAME) if "arp" in self._reconciler.live[eni_id].tables else {}
            return Counters(**(packets | {"spoofed": packets["spoofed"] + arp.get("spoofed", 0)}))

        return self._in_namespace_of(eni_id, read)

    def blocked(self) -> int:
        """Packets that blocks have dropped, in all VPCs that there are."""
        return self._run(
            lambda: sum(
                self._reconciler.live[vpc].nft.counters("ip", NAME)["blocked"] for vpc in self._world.vpcs
            )
        )

    def capture_argv(self, eni_id: str, *options: str) -> list[str]:
        """A command that shows what passes between a guest and an ENI, until it is ended.

        Run it in the fabric's namespaces. `options` are tcpdump's: `-w -`, …
        """
        self._in_namespace_of(eni_id, lambda: None)
        enter = [tools.find("nsenter") or "nsenter", f"--net={NETNS_DIRECTORY / eni_id}"]
        # Who enters the lab's mount namespace stands at its root, where there is no package `lab`.
        python = ["env", f"PYTHONPATH={PROJECT}", sys.executable, "-m"]
        return [*enter, *python, "lab.fabric.capture", TAP, *options]

    def close(self) -> None:
        """Remove everything from the kernel and end the thread."""
        self._run(self._reconciler.close)
        self._thread.shutdown()

    def _apply(self, world: World, blocks: tuple[Block, ...]) -> None:
        still = tuple(block for block in blocks if block.concerns(world))
        self._world, self._blocks = world, still
        self._reconciler.apply(layout(world, still))

    def _in_namespace_of(self, eni_id: str, task: Callable[[], Result]) -> Result:
        def enter() -> Result:
            if eni_id not in self._world.enis or eni_id not in self._reconciler.live:
                raise LabError(f"no network interface {eni_id!r}", hint="`lab status --json` lists them")
            with netns.entered(self._reconciler.live[eni_id].fd):
                return task()

        return self._run(enter)

    def _run(self, task: Callable[[], Result]) -> Result:
        return self._thread.submit(task).result()
