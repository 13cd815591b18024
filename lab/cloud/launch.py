"""RunInstances: what was asked for is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from moto.ec2.models.instances import Reservation
from moto.ec2.responses import EC2Response
from moto.ec2.utils import filter_iam_instance_profiles, parse_user_data, random_reservation_id

from lab.cloud.backend import LabBackend
from lab.cloud.client_tokens import made_before, remember
from lab.cloud.errors import invalid_value, missing
from lab.cloud.instance_model import LabInstance
from lab.cloud.interface import Interface
from lab.cloud.interfaces import InterfaceRequest, attach, interface, make_interface
from lab.cloud.launch_request import Launch, Params, launch_request
from lab.cloud.private_addresses import address_request
from lab.cloud.quota import require_vcpus
from lab.cloud.root_disk import make_root_disk
from lab.cloud.tags import tag_new, tags_for


def run_instances(response: EC2Response) -> Reservation:
    """Launch what the call asks for; a client token that was seen before launches nothing."""
    backend = cast(LabBackend, response.ec2_backend)
    params: Params = response._get_params()
    made = made_before(backend.launch_tokens, params)
    if made in backend.reservations:
        return backend.reservations[made]
    launch = launch_request(response, backend, params)
    require_vcpus(backend, launch.limits.instance_type, launch.count)
    reservation = Reservation(random_reservation_id(), owner_id=backend.account_id)
    backend.reservations[reservation.id] = reservation
    for index in range(launch.count):
        _launch_one(response, backend, launch, reservation, index)
    remember(backend.launch_tokens, params, reservation.id)
    return reservation


def _launch_one(
    response: EC2Response, backend: LabBackend, launch: Launch, reservation: Reservation, index: int
) -> None:
    params = launch.params
    zone = _zone(backend, launch.interfaces[0], params)
    instance = LabInstance(  # type: ignore[abstract] # of CloudFormation
        backend,
        launch.image.id,
        parse_user_data(params.get("UserData")),
        [],
        placement=zone,
        instance_type=launch.limits.instance_type,
        region_name=backend.region_name,
        key_name=params.get("KeyName"),
        client_token=params.get("ClientToken"),
        ami_launch_index=index,
        ebs_optimized=bool(params.get("EbsOptimized")),
        monitoring_state="enabled" if params.get("Monitoring", {}).get("Enabled") else "disabled",
        disable_api_termination=bool(params.get("DisableApiTermination")),
        disable_api_stop=bool(params.get("DisableApiStop")),
        instance_initiated_shutdown_behavior=params.get("InstanceInitiatedShutdownBehavior"),
        metadata_options=params.get("MetadataOptions", {}),
    )
    reservation.instances.append(instance)
    instance.public_key = launch.public_key
    instance.credits = (
        params.get("CreditSpecification", {}).get("CpuCredits") or launch.limits.default_credits
    )
    tag_new(backend, instance.id, tags_for(params, "instance"))
    for item in launch.interfaces:
        _add_interface(backend, instance, item, tags_for(params, "network-interface"))
    make_root_disk(backend, instance, launch.disk, tags_for(params, "volume"))
    _give_profile(response, backend, instance, params.get("IamInstanceProfile", {}))
    instance.go("pending")
    for eni in instance.nics.values():
        eni.start_public(backend.public_addresses)


def _zone(backend: LabBackend, primary: Params, params: Params) -> str:
    eni_id = primary.get("NetworkInterfaceId")
    if eni_id is None and "SubnetId" not in primary:
        raise missing("subnetId")
    subnet = interface(backend, eni_id).subnet if eni_id else backend.get_subnet(primary["SubnetId"])
    zone = str(subnet.availability_zone)
    wanted = params.get("Placement", {}).get("AvailabilityZone")
    if wanted not in (None, zone):
        raise invalid_value(f"Subnet {subnet.id} is in {zone}, not in {wanted}")
    return zone


def _add_interface(backend: LabBackend, instance: LabInstance, item: Params, tags: Mapping[str, str]) -> None:
    index = int(item.get("DeviceIndex", 0))
    if item.get("NetworkInterfaceId"):
        eni = interface(backend, item["NetworkInterfaceId"])
    else:
        eni = _new_interface(backend, item, tags)
    attach(instance, eni, index)


def _new_interface(backend: LabBackend, item: Params, tags: Mapping[str, str]) -> Interface:
    subnet = backend.get_subnet(item.get("SubnetId", ""))
    public = item.get("AssociatePublicIpAddress")
    request = InterfaceRequest(
        subnet=subnet,
        addresses=address_request(item),
        group_ids=item.get("Groups", []),
        description=item.get("Description", ""),
        delete_on_termination=bool(item.get("DeleteOnTermination", True)),
        wants_public_ip=bool(subnet.map_public_ip_on_launch) if public is None else bool(public),
        tags=tags,
        in_use="Address {address} is in use.",
    )
    return make_interface(backend, request)


def _give_profile(response: EC2Response, backend: LabBackend, instance: LabInstance, asked: Params) -> None:
    if not asked:
        return
    names = {"iam_instance_profile_name": asked.get("Name"), "iam_instance_profile_arn": asked.get("Arn")}
    filter_iam_instance_profiles(
        backend.account_id, response.partition, names["iam_instance_profile_arn"], asked.get("Name")
    )
    backend.associate_iam_instance_profile(instance.id, **names)
