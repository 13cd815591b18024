"""What a drill can break. What a real stack does not let anybody break is refused, with the reason."""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from lab.paths import PROJECT
from ops.errors import OpsError
from ops.stack import AwsStack, LabStack, Stack

VRRP = 112
CLAIM = "AssignPrivateIpAddresses"
UP_DEADLINE_S = 600.0
GIVES_WAY = ("nice", "--adjustment=10")  # on AWS an engine takes no core from the hosts
NO_PULUMI = "a drill does not run `pulumi up` for you: run it by hand while a drill's load runs"


class RefusedError(OpsError):
    """This cannot be done to this stack."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, hint="run this scenario in a lab")


class Faults(ABC):
    """Faults of machines, wires and the API; those inside a host are the same everywhere."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @abstractmethod
    def kill(self, host: str) -> None:
        """The machine is gone from one moment to the next."""

    @abstractmethod
    def restart(self, host: str) -> None:
        """A machine that was killed boots again."""

    @abstractmethod
    def hang(self, host: str) -> None:
        """The machine stands still, its links up."""

    @abstractmethod
    def resume(self, host: str) -> None:
        """A machine that hangs goes on."""

    @abstractmethod
    def unplug(self, host: str, namespace: str) -> None:
        """The cable of the platform NIC ("") or of a tenant's user ENI is out."""

    @abstractmethod
    def plug(self, host: str, namespace: str) -> None:
        """It is in again."""

    @abstractmethod
    def block_vrrp(self, one: str, other: str) -> None:
        """Adverts between the two get lost, both ways; everything else passes."""

    @abstractmethod
    def unblock(self, one: str, other: str) -> None:
        """They pass again."""

    @abstractmethod
    def claims(
        self, *, down: bool = False, delay_s: float = 0.0, effect_s: float = 0.0, refused: str = ""
    ) -> None:
        """The API's claims are unavailable, slow, late in their effect; or refused for one interface."""

    @abstractmethod
    def claims_are_fair(self) -> None:
        """The API is as it should be."""

    @abstractmethod
    def up(self, *, refresh: bool = False, changed: Sequence[str] = ()) -> list[str]:
        """Run the program, with settings KEY=VALUE changed; what it did, as `update proxy-0-pair`."""

    @abstractmethod
    def preview(self) -> list[str]:
        """What an `up` would do."""

    def reboot(self, host: str) -> None:
        """The way a person does it. The session may end before the command."""
        self.stack.hosts.run(host, "sudo -n systemctl --no-block reboot")
        self.stack.hosts.forget(host)

    def stop_service(self, host: str, unit: str) -> None:
        """Behind everybody's back."""
        self.stack.hosts.succeed(host, f"sudo -n systemctl stop {unit}")

    def start_service(self, host: str, unit: str) -> None:
        """As it was."""
        self.stack.hosts.succeed(host, f"sudo -n systemctl start {unit}")

    def signal_service(self, host: str, unit: str, signal: str, whom: str = "main") -> None:
        """To the service's own process, or to `all` of it."""
        self.stack.hosts.succeed(host, f"sudo -n systemctl kill --kill-whom={whom} --signal={signal} {unit}")

    def block_sync(self, hosts: Iterable[str], namespace: str) -> None:
        """What conntrackd is told by the other one's does not come in."""
        self._dropped(hosts, _chain("input", 'iifname "sync*"'), namespace)

    def unblock_sync(self, hosts: Iterable[str], namespace: str) -> None:
        """It comes in again, wherever it did not."""
        self._dropped_no_more(hosts, namespace)

    def _dropped(self, hosts: Iterable[str], chains: str, namespace: str = "") -> None:
        """By a table of a drill's own, on each host; "" is the root namespace."""
        for host in hosts:
            self._nft(host, namespace, f"table inet drill {{ {chains} }}")

    def _dropped_no_more(self, hosts: Iterable[str], namespace: str = "") -> None:
        """Wherever there is such a table. A host that does not answer keeps no other from that."""
        errors = []
        for host in hosts:
            try:
                self._nft(host, namespace, "add table inet drill; delete table inet drill")
            except OpsError as error:
                errors.append(error.message)
        if errors:
            raise OpsError(
                "; ".join(errors), hint=f"once it answers: {_in(namespace)}nft delete table inet drill"
            )

    def _nft(self, host: str, namespace: str, rules: str) -> None:
        self.stack.hosts.succeed(host, f"sudo -n {_in(namespace)}nft -f -", stdin=rules.encode())

    def forwarding_off(self, host: str, namespace: str) -> None:
        """The kernel of a tenant's namespace forwards nothing."""
        self.stack.hosts.succeed(
            host, f"sudo -n ip netns exec {namespace} sysctl -q -w net.ipv4.ip_forward=0"
        )

    def apply(self, host: str) -> None:
        """What the host should be, it becomes again."""
        self.stack.hosts.succeed(host, "sudo -n /opt/causeway/apply", deadline_s=120)


class LabFaults(Faults):
    """The lab does it from outside the guests. `settings`: what its `up` is told besides its stack file."""

    stack: LabStack

    def __init__(self, stack: LabStack, settings: Sequence[str] = ()) -> None:
        super().__init__(stack)
        self._settings = (f"redundancy={stack.outputs.plan.redundancy}", *settings)

    def kill(self, host: str) -> None:
        self._fault("kill", host)
        self.stack.hosts.forget(host)

    def restart(self, host: str) -> None:
        self._fault("restart", host)

    def hang(self, host: str) -> None:
        self._fault("hang", host)

    def resume(self, host: str) -> None:
        self._fault("resume", host)

    def unplug(self, host: str, namespace: str) -> None:
        self._fault("unplug", host, self._device(host, namespace))

    def plug(self, host: str, namespace: str) -> None:
        self._fault("plug", host, self._device(host, namespace))

    def block_vrrp(self, one: str, other: str) -> None:
        self.stack.client.call("block", hosts=[one, other], protocol=VRRP, one_way=False)

    def unblock(self, one: str, other: str) -> None:
        del one, other
        self.stack.client.call("unblock")

    def claims(
        self, *, down: bool = False, delay_s: float = 0.0, effect_s: float = 0.0, refused: str = ""
    ) -> None:
        condition = {
            **({"unavailable": True} if down else {}),
            **({"delay_s": delay_s} if delay_s else {}),
            **({"effect_s": effect_s} if effect_s else {}),
            **({"refusal": "UnauthorizedOperation"} if refused else {}),
        }
        self.stack.client.call("weather", action=CLAIM, address=refused, condition=condition)

    def claims_are_fair(self) -> None:
        self.stack.client.call("weather", action=None, address="", condition=None)

    def up(self, *, refresh: bool = False, changed: Sequence[str] = ()) -> list[str]:
        return self._engine("up", *(["--refresh"] if refresh else []), *_as_options(changed))

    def preview(self) -> list[str]:
        return self._engine("preview")

    def _engine(self, command: str, *words: str) -> list[str]:
        argv = [
            command,
            "--name",
            self.stack.client.paths.name,
            "--json",
            *_as_options(self._settings),
            *words,
        ]
        try:
            done = subprocess.run(
                [*GIVES_WAY, sys.executable, "-m", "lab", *argv],
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=UP_DEADLINE_S,
            )
        except subprocess.TimeoutExpired as error:
            raise OpsError(f"`lab {command}` takes too long", hint="run it by hand") from error
        if done.returncode:
            raise OpsError(f"`lab {command}` failed: {done.stderr.strip()[-500:]}", hint="run it by hand")
        told = json.loads(done.stdout)
        return [f"{step['op']} {step['name']}" for step in (*told["steps"], *told["drift"])]

    def _fault(self, kind: str, host: str, device: str = "eth0") -> None:
        instance = self.stack.outputs.hosts[host].instance_id
        self.stack.client.call("fault", kind=kind, host=instance, device=device)

    def _device(self, host: str, namespace: str) -> str:
        """The lab's name of an ENI: eth and its device index."""
        if not namespace:
            return "eth0"
        enis = self.stack.client.call("host", host=self.stack.outputs.hosts[host].instance_id)["enis"]
        wanted = next(t for t in self.stack.outputs.tenants.values() if t.namespace == namespace)
        return next(f"eth{eni['device_index']}" for eni in enis if eni["id"] == wanted.user_enis[host].id)


class HostFaults(Faults):
    """A real stack: what SSH can do, in a way that undoes itself where it cuts off its own way in."""

    def kill(self, host: str) -> None:
        """The kernel resets the machine at once: nothing is stopped or written. It boots again by itself."""
        self.stack.hosts.run(
            host, "sudo -n sh -c '(sleep 0.2; echo b >/proc/sysrq-trigger) >/dev/null 2>&1 &'"
        )
        self.stack.hosts.forget(host)

    def restart(self, host: str) -> None:
        """It does so itself."""

    def hang(self, host: str) -> None:
        raise RefusedError(f"nobody can stop {host} and have it go on: AWS has no such call")

    def resume(self, host: str) -> None:
        raise RefusedError(f"{host} cannot be stopped, so it cannot go on")

    def unplug(self, host: str, namespace: str) -> None:
        if not namespace:
            raise RefusedError(f"without its platform NIC {host} could not be told to get it back")
        self._link(host, namespace, "down")

    def plug(self, host: str, namespace: str) -> None:
        """With what a link that was down has lost."""
        if not namespace:
            raise RefusedError(f"the platform NIC of {host} was not unplugged")
        self._link(host, namespace, "up")
        self.apply(host)

    def _link(self, host: str, namespace: str, state: str) -> None:
        tenant = next(t for t in self.stack.outputs.tenants.values() if t.namespace == namespace)
        self.stack.hosts.succeed(host, f"sudo -n ip -n {namespace} link set dev {tenant.user_device} {state}")

    def block_vrrp(self, one: str, other: str) -> None:
        adverts = f"ip protocol {VRRP}"
        self._dropped((one, other), f"{_chain('input', adverts)} {_chain('output', adverts)}")

    def unblock(self, one: str, other: str) -> None:
        self._dropped_no_more((one, other))

    def claims(
        self, *, down: bool = False, delay_s: float = 0.0, effect_s: float = 0.0, refused: str = ""
    ) -> None:
        del down, delay_s, effect_s, refused
        raise RefusedError("AWS's own API cannot be made slow or unavailable")

    def claims_are_fair(self) -> None:
        """They were never anything else."""

    def up(self, *, refresh: bool = False, changed: Sequence[str] = ()) -> list[str]:
        del refresh, changed
        raise RefusedError(NO_PULUMI)

    def preview(self) -> list[str]:
        raise RefusedError(NO_PULUMI)


def _chain(hook: str, match: str) -> str:
    """Drops what matches there, ahead of everything else."""
    return f"chain {hook} {{ type filter hook {hook} priority -300; {match} counter drop; }};"


def _in(namespace: str) -> str:
    """How a command begins that runs there."""
    return f"ip netns exec {namespace} " if namespace else ""


def _as_options(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--config", setting)]


def faults_of(stack: Stack, settings: Sequence[str] = ()) -> Faults:
    """Whatever can be done to this stack. `settings`: KEY=VALUE of a lab, besides its stack file."""
    if isinstance(stack, LabStack):
        return LabFaults(stack, settings)
    if isinstance(stack, AwsStack):
        return HostFaults(stack)
    raise TypeError(f"nothing is known of how to break {stack!r}")
