"""The state of a lab as JSON, and hosts by any of their names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.fabric.block import Block
from lab.world import Eni, Instance, InstanceState, World

if TYPE_CHECKING:
    from lab.daemon.service import Lab

Json = Any


def status(lab: Lab) -> Json:
    """Endpoint, credentials, trouble made on purpose, and per host its name, instance id, state, addresses and ENIs."""
    world = lab.cloud.world()
    machines = lab.park.report() if lab.park is not None else {}
    return {
        "mode": str(lab.mode),
        "ec2_endpoint": lab.endpoint,
        "region": world.region,
        "account_id": world.account_id,
        "credentials": {
            "access_key_id": lab.cloud.access_key_id,
            "secret_access_key": lab.cloud.secret_access_key,
        },
        "accelerator": lab.park.accelerator if lab.park is not None else None,
        "engine": lab.engine.current(),
        "api_calls": lab.cloud.calls(),
        "weather": lab.cloud.weather.report(),
        "blocks": [block(world, b) for b in lab.fabric.blocks] if lab.fabric is not None else [],
        "hosts": [host(world, i, machines.get(i.id, {})) for i in live(world)],
    }


def live(world: World) -> list[Instance]:
    """Instances that still are something, by name."""
    instances = (i for i in world.instances.values() if i.state is not InstanceState.TERMINATED)
    return sorted(instances, key=lambda i: (i.name, i.id))


TROUBLES = {
    "hung": "hangs: `lab fault resume {name}` wakes it",
    "crashed": "is not running: `lab fault restart {name}` boots it",
}


def trouble(name: str, machine: Json) -> str:
    """What keeps a host from answering, with the way out; empty if nothing is known."""
    said = TROUBLES.get(machine.get("state", ""), "").format(name=name)
    return str(said or machine.get("problem", ""))


def host(world: World, instance: Instance, machine: Json) -> Json:
    """One host: what the API says, and what its machine is at."""
    enis = world.enis_of(instance.id)
    machine = {**machine, "problem": trouble(instance.name, machine)}
    unplugged = machine.pop("unplugged", ())
    return {
        "name": instance.name,
        "instance_id": instance.id,
        "state": str(instance.state),
        "machine": machine,
        "instance_type": instance.instance_type,
        "private_ip": str(enis[0].private_ips[0]) if enis else None,
        "public_ip": next((str(public) for e in enis for public in e.public_ips.values()), None),
        "addresses": [str(address) for e in enis for address in e.private_ips],
        "enis": [{**eni(world, e), "plugged": e.mac not in unplugged} for e in enis],
    }


def block(world: World, dropped: Block) -> Json:
    """One block, by the hosts that it names."""

    def name(eni_id: str | None) -> str | None:
        owner = world.enis[eni_id].instance_id if eni_id in world.enis else None
        return world.instances[owner].name if owner in world.instances else eni_id

    return {
        "host": name(dropped.eni),
        "peer": name(dropped.peer),
        "protocol": dropped.protocol,
        "one_way": dropped.one_way,
    }


def eni(world: World, interface: Eni) -> Json:
    """One ENI."""
    return {
        "id": interface.id,
        "device_index": interface.device_index,
        "mac": interface.mac,
        "subnet_id": interface.subnet_id,
        "subnet_cidr": str(world.subnets[interface.subnet_id].cidr),
        "vpc_id": interface.vpc_id,
        "addresses": [str(address) for address in interface.private_ips],
        "public": {str(private): str(public) for private, public in interface.public_ips.items()},
        "source_dest_check": interface.source_dest_check,
    }


def host_named(world: World, wanted: str) -> Instance:
    """A host by its name, instance id or any of its addresses; one clear error for none or several."""
    hosts = live(world)
    found = [i for i in hosts if wanted in {i.name, i.id, *addresses(world, i)}]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(i.id for i in found)
        raise LabError(f"{wanted!r} is the name of {len(found)} hosts", hint=f"name one by its id: {ids}")
    names = [i.name for i in hosts]
    close = difflib.get_close_matches(wanted, names, 1)
    raise LabError(
        f"there is no host {wanted!r}",
        hint=f"did you mean {close[0]}?" if close else f"hosts are: {', '.join(names) or 'none yet'}",
    )


def addresses(world: World, instance: Instance) -> set[str]:
    """Private and public addresses of an instance."""
    enis = world.enis_of(instance.id)
    return {str(a) for e in enis for a in (*e.private_ips, *e.public_ips.values())}


def eni_at(world: World, instance: Instance, device_index: int) -> Eni:
    """The ENI at a device index of an instance."""
    enis = world.enis_of(instance.id)
    for interface in enis:
        if interface.device_index == device_index:
            return interface
    indexes = ", ".join(f"eth{e.device_index}" for e in enis)
    raise LabError(f"{instance.name} has no ENI eth{device_index}", hint=f"it has {indexes or 'none'}")
