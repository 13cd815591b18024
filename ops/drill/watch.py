"""Where each HaVip is by API, asked all the time while a scenario runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from ops.drill.result import Sample
from ops.errors import OpsError
from ops.stack import LabStack, Stack
from ops.status.gather import proxy_enis

LAB_PERIOD_S = 0.1
AWS_PERIOD_S = 0.5  # DescribeNetworkInterfaces is throttled per account


class Watch:
    """Samples from `with` on; a stack without HaVips has none. A question that the API does not answer is no sample."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._period_s = LAB_PERIOD_S if isinstance(stack, LabStack) else AWS_PERIOD_S
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._samples: list[Sample] = []

    def __enter__(self) -> Self:
        if self._stack.outputs.is_pair:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All so far."""
        return tuple(self._samples)

    def wait(self, what: str, holds: Callable[[Sample], bool], deadline_s: float) -> Sample:
        """The first sample from now on of which it holds; OpsError at the deadline."""
        began = time.monotonic()
        while time.monotonic() < began + deadline_s:
            last = self._samples[-1] if self._samples else None
            if last is not None and last.at >= began and holds(last):
                return last
            time.sleep(self._period_s / 4)
        raise OpsError(f"waited {deadline_s:g} s in vain for {what}", hint="`python -m ops status` says more")

    def _watch(self) -> None:
        while not self._ended.is_set():
            sample = self._ask()
            if sample is not None:
                self._samples.append(sample)
            self._ended.wait(self._period_s)

    def _ask(self) -> Sample | None:
        outputs = self._stack.outputs
        try:
            enis = proxy_enis(self._stack)
        except (ClientError, BotoCoreError):
            return None
        names = {outputs.hosts[name].instance_id: name for name in outputs.proxies}
        macs = outputs.user_macs
        holders = {
            havip.name: tuple(
                sorted(
                    names[eni.instance_id]
                    for eni in enis
                    if havip.address in eni.addresses and havip.may_be_on(eni.mac, macs)
                )
            )
            for havip in outputs.havips
        }
        return Sample(time.monotonic(), holders)
