"""Ask every host and the API at the same time. Who does not answer in time keeps nobody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from botocore.exceptions import BotoCoreError, ClientError

from ops.errors import OpsError
from ops.ssh import REMOTE
from ops.stack import Stack
from ops.status.seen import ApiEni, HostSeen, Seen
from ops.status.told import host_seen

LOOK_DEADLINE_S = 20.0
SAY_EVERY_S = 2.0
NAMED = 5


def look(
    stack: Stack,
    hosts: tuple[str, ...] | None = None,
    *,
    closely: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Seen:
    """What is; `hosts`: these alone, else all that there is a way to.

    `closely`: whether each host compares its kernel with what was applied, which takes it a second of processor time.
    `say` is told whom we wait for, every other second.
    """
    wanted = hosts if hosts is not None else tuple(n for n, h in stack.outputs.hosts.items() if h.ssh)
    with ThreadPoolExecutor(1) as apart, ThreadPoolExecutor(stack.at_once) as pool:
        api = apart.submit(ask_api, stack)
        asked = {name: pool.submit(ask_host, stack, name, closely=closely) for name in wanted}
        while wait(asked.values(), timeout=SAY_EVERY_S).not_done:
            waiting = [name for name, future in asked.items() if not future.done()]
            answered = len(asked) - len(waiting)
            say(f"{answered} of {len(asked)} hosts have answered; waiting for {shown(waiting)}")
        answers = {name: future.result() for name, future in asked.items()}
        enis = api.result()
    return Seen(
        hosts={name: answer for name, answer in answers.items() if isinstance(answer, HostSeen)},
        silent={name: answer for name, answer in answers.items() if isinstance(answer, str)},
        enis=() if isinstance(enis, str) else enis,
        api_error=enis if isinstance(enis, str) else None,
        at=time.time(),
    )


def shown(names: list[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def ask_host(stack: Stack, name: str, *, closely: bool = False) -> HostSeen | str:
    """What a host says, or why it says nothing."""
    script = (REMOTE / "look.sh").read_bytes()
    try:
        line = f"sudo -n bash -s --{' closely' if closely else ''}"
        told = stack.hosts.succeed(name, line, stdin=script, deadline_s=LOOK_DEADLINE_S)
        return host_seen(told)
    except OpsError as error:
        return error.message.removeprefix(f"{name}: ")


def ask_api(stack: Stack) -> tuple[ApiEni, ...] | str:
    """The proxies' interfaces, or why they are not known."""
    try:
        return proxy_enis(stack)
    except (ClientError, BotoCoreError) as error:
        return str(error)


def proxy_enis(stack: Stack) -> tuple[ApiEni, ...]:
    """Every interface that is attached to a proxy. Raises botocore's errors."""
    instances = [stack.outputs.hosts[name].instance_id for name in stack.outputs.proxies]
    pages = stack.ec2.get_paginator("describe_network_interfaces")
    filters = [{"Name": "attachment.instance-id", "Values": instances}]
    return tuple(
        ApiEni(
            id=eni["NetworkInterfaceId"],
            mac=eni["MacAddress"].lower(),
            instance_id=eni["Attachment"]["InstanceId"],
            addresses=tuple(address["PrivateIpAddress"] for address in eni["PrivateIpAddresses"]),
        )
        for page in pages.paginate(Filters=filters)
        for eni in page["NetworkInterfaces"]
    )
