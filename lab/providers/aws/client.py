"""Calls to the cloud: one place for clients, throttling and what an error says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

from lab.providers.aws.config import Config
from lab.providers.plugin.errors import ProviderError

Json = Any
CALL_TIMEOUT_S = 300.0  # starting a machine answers when its network is there
THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException"})
THROTTLE_DEADLINE_S = 60.0
POLL_FIRST_S, POLL_MOST_S = 0.05, 1.0


class AwsError(ProviderError):
    """The cloud refused a call."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code


class Aws:
    """The services of one region. Safe to use from any thread."""

    def __init__(self, config: Config, cancelled: threading.Event | None = None) -> None:
        self.config = config
        self.cancelled = cancelled or threading.Event()
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._account: str | None = None

    def ec2(self, operation: str, **arguments: Json) -> Json:
        """A call to EC2, as in `ec2("create_vpc", CidrBlock=…)`; arguments that are None are left out."""
        return self.call("ec2", operation, **arguments)

    def call(self, service: str, operation: str, **arguments: Json) -> Json:
        """A call; raises AwsError with the cloud's own code and message."""
        from botocore.exceptions import BotoCoreError, ClientError

        given = {key: value for key, value in arguments.items() if value is not None}
        name = "".join(part.title() for part in operation.split("_"))
        deadline = time.monotonic() + THROTTLE_DEADLINE_S
        pause = POLL_FIRST_S
        while True:
            try:
                return getattr(self._client(service), operation)(**given)
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "Unknown")
                message = error.response.get("Error", {}).get("Message", "")
                if code not in THROTTLED or time.monotonic() > deadline:
                    raise AwsError(name, code, _one_line(message)) from error
            except BotoCoreError as error:
                raise AwsError(name, type(error).__name__, _one_line(str(error))) from error
            self.pause(pause)
            pause = min(pause * 2, POLL_MOST_S)

    def pages(self, service: str, operation: str, key: str, **arguments: Json) -> list[Json]:
        """All items of a call that answers in pages."""
        items: list[Json] = []
        token: str | None = None
        while True:
            answer = self.call(service, operation, NextToken=token, **arguments)
            items += answer.get(key, [])
            token = answer.get("NextToken")
            if not token:
                return items

    def find(self, operation: str, key: str, gone: str, **arguments: Json) -> Json | None:
        """The one item that a describe call gives, or None when it answers with the code `gone`."""
        try:
            items = self.ec2(operation, **arguments)[key]
        except AwsError as error:
            if re.fullmatch(gone, error.code):
                return None
            raise
        return items[0] if items else None

    def wait_until(self, what: str, holds: Callable[[], bool], deadline_s: float) -> None:
        """Poll until it holds; an error says what was waited for."""
        deadline = time.monotonic() + deadline_s
        pause = POLL_FIRST_S
        while not holds():
            if time.monotonic() > deadline:
                raise ProviderError(f"waited {deadline_s:.0f} s in vain until {what}")
            self.pause(pause)
            pause = min(pause * 1.5, POLL_MOST_S)

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt; the engine's cancellation ends it."""
        if self.cancelled.wait(seconds):
            raise ProviderError("cancelled while waiting")

    @property
    def account(self) -> str:
        """The account id."""
        if self._account is None:
            self._account = str(self.call("sts", "get_caller_identity")["Account"])
        return self._account

    def arn(self, service: str, resource: str) -> str:
        """The ARN of an object of this account and region (IAM has no region)."""
        region = "" if service == "iam" else self.config.region
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                # Late, because it is slow: an `up` that changes nothing may never need it.
                import botocore.session
                from botocore.config import Config as BotoConfig

                self._clients[service] = botocore.session.get_session().create_client(
                    service,
                    region_name=self.config.region,
                    endpoint_url=self.config.endpoint,
                    aws_access_key_id=self.config.access_key,
                    aws_secret_access_key=self.config.secret_key,
                    config=BotoConfig(
                        connect_timeout=5,
                        read_timeout=CALL_TIMEOUT_S,
                        # A call that may have been done is not repeated: it could make a second object.
                        retries={"total_max_attempts": 1},
                        max_pool_connections=64,
                        proxies={},
                    ),
                )
            return self._clients[service]


def _one_line(text: str) -> str:
    return " ".join(text.split())
