"""How instances come through their states.

RunInstances ─▶ pending ─▶ running ◀─▶ stopping/stopped        a call asks: the states on the way
                              └─▶ shutting-down ─▶ terminated  `reached`: the states that were reached
"""

from __future__ import annotations

from typing import cast

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import StateReason

from lab.cloud.backend import LabBackend
from lab.cloud.errors import ec2_error
from lab.cloud.instance_model import LabInstance, View, all_instances
from lab.cloud.interface import Interface
from lab.cloud.interfaces import delete_interface, detach
from lab.cloud.quota import require_vcpus
from lab.cloud.tags import forget_tags
from lab.world import InstanceState

ON_THE_WAY = {
    "pending": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPED,
    "shutting-down": InstanceState.TERMINATED,
}
BY_USER = StateReason("Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown")
BY_GUEST = StateReason(
    "Client.InstanceInitiatedShutdown: Instance initiated shutdown", "Client.InstanceInitiatedShutdown"
)
FORGET_TERMINATED_S = 3600.0


def start(instance: LabInstance) -> View:
    """Ask a stopped instance to run."""
    if instance.state in ("pending", "running"):
        return instance.state_view()
    if instance.state != "stopped":
        raise _wrong_state(instance, "started")
    require_vcpus(_backend(instance), instance.instance_type, 1)
    instance.boot_count += 1
    instance.impaired = False
    instance.launch_time = utcnow()
    for eni in instance.nics.values():
        eni.start_public(_backend(instance).public_addresses)
    return instance.go("pending")


def stop(instance: LabInstance) -> View:
    """Ask a running instance to stop."""
    if instance.state in ("stopping", "stopped"):
        return instance.state_view()
    if instance.state != "running":
        raise _wrong_state(instance, "stopped")
    if instance.disable_api_stop:
        raise ec2_error(
            "OperationNotPermitted",
            f"The instance '{instance.id}' may not be stopped. "
            "Modify its 'disableApiStop' instance attribute and try again.",
        )
    _release_public(instance)
    return instance.go("stopping", BY_USER)


def reboot(instance: LabInstance) -> None:
    """Ask a running instance to boot again."""
    if instance.state != "running":
        raise _wrong_state(instance, "rebooted")
    instance.boot_count += 1


def terminate(instance: LabInstance, reason: StateReason = BY_USER) -> View:
    """Ask for the end of an instance; its interfaces stay until it is reached."""
    if instance.state in ("shutting-down", "terminated"):
        return instance.state_view()
    if instance.disable_api_termination and reason is BY_USER:
        raise ec2_error(
            "OperationNotPermitted",
            f"The instance '{instance.id}' may not be terminated. "
            "Modify its 'disableApiTermination' instance attribute and try again.",
        )
    return instance.go("shutting-down", reason)


def reached(instance: LabInstance, state: InstanceState) -> None:
    """The machine is what was asked for, or it stopped by itself; anything else is old news."""
    if ON_THE_WAY.get(instance.state) is state:
        if state is InstanceState.TERMINATED:
            _end(instance)
        else:
            instance.go(str(state), None if state is InstanceState.RUNNING else instance.state_reason)
    elif state is InstanceState.STOPPED and instance.state in ("pending", "running"):
        _release_public(instance)
        if instance.instance_initiated_shutdown_behavior == "terminate":
            terminate(instance, BY_GUEST)
        else:
            instance.go("stopped", BY_GUEST)


def failed(instance: LabInstance, why: str) -> None:
    """The machine could not be what was asked for: a launch is given up, a running one is impaired."""
    reason = StateReason(f"Server.InternalError: {why}", "Server.InternalError")
    if instance.state in ("pending", "shutting-down"):
        _end(instance, reason)
    else:
        instance.impaired = True
        instance.state_reason = reason


def settle(backend: EC2Backend) -> None:
    """Let every instance reach what was asked for."""
    for instance in all_instances(backend):
        if instance.state in ON_THE_WAY:
            reached(instance, ON_THE_WAY[instance.state])


def forget_terminated(backend: EC2Backend) -> None:
    """Terminated instances can be seen for an hour, as on AWS."""
    for key, reservation in list(backend.reservations.items()):
        old = [
            i for i in reservation.instances if _terminated_for_s(cast(LabInstance, i)) > FORGET_TERMINATED_S
        ]
        for instance in old:
            reservation.instances.remove(instance)
            forget_tags(backend, instance.id)
        if not reservation.instances:
            del backend.reservations[key]


def _terminated_for_s(instance: LabInstance) -> float:
    ended = instance.ended_at
    return (utcnow() - ended).total_seconds() if ended else 0.0


def _end(instance: LabInstance, reason: StateReason | None = None) -> None:
    backend = _backend(instance)
    for eni in list(instance.nics.values()):
        _release_interface(backend, eni)
    for volume in list(instance.block_device_mapping.values()):
        forget_tags(backend, str(volume.volume_id))
    instance.teardown_defaults()
    if instance.id in backend.iam_instance_profile_associations:
        association = backend.iam_instance_profile_associations[instance.id]
        backend.disassociate_iam_instance_profile(association.association_id)
    instance.go("terminated", reason or instance.state_reason)
    instance.ended_at = utcnow()


def _release_interface(backend: LabBackend, eni: Interface) -> None:
    eni.stop_public(backend.public_addresses)
    goes = eni.delete_on_termination
    detach(eni)
    if goes:
        delete_interface(backend, eni)


def _release_public(instance: LabInstance) -> None:
    for eni in instance.nics.values():
        eni.stop_public(_backend(instance).public_addresses)


def _backend(instance: LabInstance) -> LabBackend:
    return cast(LabBackend, instance.ec2_backend)


def _wrong_state(instance: LabInstance, done: str) -> Exception:
    return ec2_error(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is {instance.state}, a state from which it cannot be {done}.",
    )
